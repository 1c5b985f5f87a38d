"""What do posterior samplers gain over a deep ensemble on tables? Six methods, up to five tables, paired splits.

Tables: diabetes (442 rows, in the package) and yacht, energy, concrete, airfoil of the UCI repository where
$SYMVI_DATA/uci or ../shared/data/uci has them. Each split takes 70 % of the rows for training, 20 % for validation and
10 % for testing (seeds from 100 on: defaults were chosen by looking at splits 0 to 2); inputs and target are
standardised by the train rows. Network d-16-16-1 (ReLU), prior N(0, 1) on all weights, Gaussian noise of unknown size.
The methods:

    constant        one normal law fitted to the train targets: what no input tells
    ensemble        10 networks trained from random starts (Lakshminarayanan et al. 2017): the baseline
    mean field      the closest factorised normal law
    symmetrised     its mixture over permutations of hidden units: the same predictions (so it is not compared on its
                    own), a tighter evidence bound
    last layer      Laplace approximation of the last layer of one network
    MCLMC           10 chains from the members of the ensemble, unadjusted (as in MILE, Sommer et al. 2025)
    MAMS            the same with exact acceptance

LPPD, RMSE and CRPS are of test targets in their own units. Validation rows stop the training of the ensemble and are
not used otherwise. Differences to the ensemble are paired by split; their intervals are those of the corrected
resampled t test (Nadeau and Bengio 2003), since splits share rows: variance times 1/J + n_test/n_train over J splits.

    make study-bnn_uci      (or python studies/bnn_uci.py [--short] [--workers 2] [--results DIR] [--table FILE])

Each table and split leaves a small file in DIR (build/bnn_uci), and a run that is stopped goes on from there.
`--short`, or CI in the environment, is a look at two tables and two splits with short runs. About 30 CPU minutes.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import itertools
import json
import math
import multiprocessing
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import scipy.stats
import torch
from torch import Tensor, nn

from pyro_symvi._figures import FAINT, METHODS, save_figure, tidy
from pyro_symvi.bnn import Draws, LearnedGaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.approximations import DeepEnsemble, FittedEnsemble, FittedSymmetrized, LastLayerLaplace, MeanField
from pyro_symvi.bnn.convergence import check_convergence
from pyro_symvi.bnn.predictions import NormalMixture, evaluate
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.samplers import MAMS, MCLMC, Sampler
from pyro_symvi.bnn.symmetry import NetworkSymmetry
from pyro_symvi.bnn.tables import Split, Table, load_table, read_table

HERE = Path(__file__).resolve().parent
BASELINE = "ensemble"
NAMES = ("constant", BASELINE, "mean field", "symmetrised", "last layer", "MCLMC", "MAMS")
NOT_COMPARED = ("constant", BASELINE, "symmetrised")
METRICS = {"lppd": "LPPD", "rmse": "RMSE", "crps": "CRPS", "coverage": "coverage error"}
LARGER_IS_BETTER = ("lppd",)
UCI = ("yacht", "energy", "concrete", "airfoil")
FIRST_SPLIT = 100
"""Defaults of the ensemble, mean field and last layer were chosen by looking at splits 0 to 2 of concrete and yacht."""


@dataclass(frozen=True)
class Setting:
    """One table and how long the methods run."""

    table: str
    width: int = 16
    members: int = 10
    epochs: int = 1000
    variational_steps: int = 4000
    draws: int = 200
    thin: int = 25
    warmup: int = 1500
    adjusted_warmup: int = 400


SHORT = {"epochs": 30, "variational_steps": 200, "draws": 50, "thin": 2, "warmup": 100, "adjusted_warmup": 60}


# -- data --------------------------------------------------------------------------------------------------------------
def folders() -> list[Path]:
    """Where tables of the UCI repository may lie."""
    given = os.environ.get("SYMVI_DATA")
    return [*([Path(given)] if given else []), HERE.parent.parent / "shared" / "data"]


def find(table: str) -> Path | None:
    return next((f / "uci" / f"{table}.data" for f in folders() if (f / "uci" / f"{table}.data").exists()), None)


def load(table: str) -> Table:
    if table == "diabetes":
        return load_table(table)
    path = find(table)
    if path is None:
        raise SystemExit(f"error: expected {table}.data in one of {[str(f / 'uci') for f in folders()]}")
    return read_table(path, kind="regression")


def make_posterior(split: Split, width: int) -> NetworkPosterior:
    sizes = [len(split.names), width, width]
    hidden = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
    network = nn.Sequential(*hidden, nn.Linear(width, 1))
    return NetworkPosterior(network, LearnedGaussianNoise(), NormalPrior(1.0), *split.train)


# -- one table and split -----------------------------------------------------------------------------------------------
def scores_of(posterior: NetworkPosterior, draws: Draws, split: Split) -> dict[str, Any]:
    scores = evaluate(posterior, draws, *split.test, target_scale=split.y_scale)
    return {
        "lppd": scores.lppd, "rmse": scores.rmse, "crps": scores.crps, "coverage": scores.coverage_error,
        "levels": list(scores.coverage), "noise": scores.coverage_noise, "draws": draws.chains * draws.draws,
    }  # fmt: skip


def constant(split: Split) -> dict[str, Any]:
    """Scores of N(0, 1) on standardised targets: mean and standard deviation of the train rows."""
    y = split.test.y.double()
    law = NormalMixture(torch.zeros(1, len(y)), torch.ones(1, len(y)))
    levels = (0.5, 0.75, 0.9, 0.95)
    found = [float(((2 * law.cdf(y) - 1).abs() <= level).double().mean()) for level in levels]
    return {
        "lppd": float(law.log_prob(y).mean()) - math.log(split.y_scale),
        "rmse": float(y.square().mean().sqrt()) * split.y_scale,
        "crps": float(law.crps(y).mean()) * split.y_scale,
        "coverage": math.sqrt(sum((a - b) ** 2 for a, b in zip(levels, found, strict=True)) / 4),
        "levels": found,
        "seconds": 0.0,
        "draws": 1,
    }


def chains(
    posterior: NetworkPosterior, sampler: Sampler, ensemble: FittedEnsemble, setting: Setting, seed: int
) -> Draws:
    exact = isinstance(sampler, MAMS)
    return sample(
        posterior, sampler, chains=setting.members, draws=setting.draws, thin=1 if exact else setting.thin,
        warmup=setting.adjusted_warmup if exact else setting.warmup, start=ensemble.draws, seed=seed,
    )  # fmt: skip


def agreement(posterior: NetworkPosterior, draws: Draws, split: Split) -> dict[str, Any]:
    """How far the chains have converged, in function space on the test rows."""
    report = check_convergence(posterior, draws, *split.test)
    between, within = report.line("R-hat, predictions"), report.line("R-hat within chains, predictions")
    size, raw = report.line("ESS bulk"), report.line("R-hat, raw weights")
    return {
        "rhat": between.worst, "rhat_median": between.typical, "within": within.worst,
        "within_median": within.typical, "ess": size.worst, "ess_median": size.typical, "raw": raw.worst,
        "reading": report.reading().value, "acceptance": float(draws.stats["acceptance"].mean()),
        "energy": report.line("energy error").typical if not (draws.stats["acceptance"] != 1).any() else math.nan,
    }  # fmt: skip


def run(setting: Setting, seed: int) -> dict[str, Any]:
    """All methods on one split."""
    torch.set_num_threads(1)
    began = time.process_time()
    split = load(setting.table).split(seed, constant="drop", dtype=torch.float32)
    posterior = make_posterior(split, setting.width)
    methods: dict[str, dict[str, Any]] = {"constant": constant(split)}

    def timed(name: str, compute: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = compute()
        methods[name] = {"seconds": time.process_time() - start}
        return result

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(10_000 + seed)

    number = 10 * setting.draws
    ensemble = timed(
        BASELINE,
        lambda: DeepEnsemble(setting.members, epochs=setting.epochs).fit(
            posterior, validation=split.validation, seed=seed
        ),
    )
    methods[BASELINE] |= scores_of(posterior, ensemble.draws, split)
    mean_field = MeanField(max_steps=setting.variational_steps)
    fitted = timed("mean field", lambda: mean_field.fit(posterior, seed=seed))
    methods["mean field"] |= scores_of(posterior, fitted.sample(number, generator()), split)
    methods["mean field"]["elbo"] = [float(v) for v in fitted.elbo(1000, generator())]
    symmetry = NetworkSymmetry.of(posterior)
    mixture = timed("symmetrised", lambda: FittedSymmetrized(fitted, symmetry))
    methods["symmetrised"] |= scores_of(posterior, mixture.sample(number, generator()), split)
    methods["symmetrised"]["gain"] = float(mixture.gain(50, generator()).value)
    methods["symmetrised"]["seconds"] += methods["mean field"]["seconds"]  # what is moved
    laplace = timed("last layer", lambda: LastLayerLaplace().fit(posterior, validation=split.validation, seed=seed))
    methods["last layer"] |= scores_of(posterior, laplace.sample(number, generator()), split)
    for name, sampler in (("MCLMC", MCLMC(ascent=0)), ("MAMS", MAMS(ascent=0))):
        draws = timed(name, lambda sampler=sampler: chains(posterior, sampler, ensemble, setting, seed))
        methods[name] |= scores_of(posterior, draws, split) | {"agreement": agreement(posterior, draws, split)}
        methods[name]["seconds"] += methods[BASELINE]["seconds"]  # where the chains start from
    return {
        "rows": [len(part.y) for part in (split.train, split.validation, split.test)],
        "inputs": len(split.names),
        "parameters": posterior.dim,
        "log_order": symmetry.log_order,
        "methods": methods,
        "total": time.process_time() - began,
    }


def cell(arguments: tuple[Setting, int, str]) -> dict[str, Any]:
    """The outcome of one table and split, from its file where there is one."""
    setting, seed, folder = arguments
    options = {**asdict(setting), "seed": seed}
    key = hashlib.blake2b(json.dumps(options, sort_keys=True).encode(), digest_size=6).hexdigest()
    path = Path(folder) / f"{setting.table}-{seed}-{key}.json"
    if path.exists():
        return json.loads(path.read_text())
    outcome = {"options": options, **run(setting, seed)}
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(outcome))
    partial.replace(path)
    return outcome


def run_all(settings: list[Setting], splits: int, folder: Path, workers: int) -> list[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(setting, seed, str(folder)) for seed in range(FIRST_SPLIT, FIRST_SPLIT + splits) for setting in settings]
    outcomes, metric = [], "lppd"
    with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(cell, job) for job in jobs]
        for number, future in enumerate(concurrent.futures.as_completed(futures), 1):
            outcome = future.result()
            outcomes.append(outcome)
            found = outcome["methods"]
            print(
                f"{number}/{len(jobs)} {outcome['options']['table']}, split {outcome['options']['seed']}: LPPD "
                f"{', '.join(f'{name} {found[name][metric]:.3f}' for name in NAMES[1:])}; {outcome['total']:.0f} CPU s",
                flush=True,
            )
    return sorted(outcomes, key=lambda o: (o["options"]["table"], o["options"]["seed"]))


# -- the report --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Difference:
    """Mean over splits of a method minus the ensemble, with its corrected interval; p of no difference."""

    table: str
    metric: str
    name: str
    mean: float
    low: float
    high: float
    p_value: float

    @property
    def resolved(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def better(self) -> bool:
        """Whether the method is ahead, told apart or not."""
        return (self.mean > 0) == (self.metric in LARGER_IS_BETTER)


def corrected(values: Tensor, test_rows: int, train_rows: int) -> tuple[float, float, float, float]:
    """Mean, 95 % interval and p-value of the corrected resampled t test for paired differences ``[J]``."""
    count, mean = len(values), float(values.mean())
    error = float(values.std()) * math.sqrt(1 / count + test_rows / train_rows)
    if error == 0:
        return mean, mean, mean, float(mean == 0)
    reach = float(scipy.stats.t.ppf(0.975, count - 1)) * error
    return mean, mean - reach, mean + reach, float(2 * scipy.stats.t.sf(abs(mean) / error, count - 1))


def of_table(outcomes: list[dict[str, Any]], table: str) -> list[dict[str, Any]]:
    return [o for o in outcomes if o["options"]["table"] == table]


def column(outcomes: list[dict[str, Any]], name: str, key: str) -> Tensor:
    return torch.tensor([o["methods"][name][key] for o in outcomes], dtype=torch.float64)


def differences(outcomes: list[dict[str, Any]]) -> list[Difference]:
    found = []
    for table in dict.fromkeys(o["options"]["table"] for o in outcomes):
        here = of_table(outcomes, table)
        train, _, test = here[0]["rows"]
        for metric, name in itertools.product(METRICS, NAMES):
            if name in NOT_COMPARED:
                continue
            values = column(here, name, metric) - column(here, BASELINE, metric)
            found.append(Difference(table, metric, name, *corrected(values, test, train)))
    return found


def marked(difference: Difference, compared: int) -> str:
    """* where the interval leaves out 0, ** where it would also with all intervals to hold at once."""
    return "**" if difference.p_value < 0.05 / compared else "*" if difference.resolved else ""


def report(outcomes: list[dict[str, Any]]) -> str:
    lines, compared = [], differences(outcomes)
    for table in dict.fromkeys(o["options"]["table"] for o in outcomes):
        here = of_table(outcomes, table)
        first = here[0]
        train, validation, test = first["rows"]
        lines += [
            f"== {table}: {train} train, {validation} validation, {test} test rows of {first['inputs']} inputs, "
            f"{first['parameters']} parameters, {len(here)} splits",
            "means over splits, +- standard deviation over splits for LPPD; seconds of CPU, the ensemble included",
            f"  {'':<12}{'LPPD':>18}{'RMSE':>9}{'CRPS':>9}{'cov. err.':>11}{'seconds':>9}{'draws':>7}",
        ]
        for name in NAMES:
            means = {key: float(column(here, name, key).mean()) for key in (*METRICS, "seconds", "draws")}
            spread = float(column(here, name, "lppd").std()) if len(here) > 1 else math.nan
            lines.append(
                f"  {name:<12}{means['lppd']:>10.3f} +- {spread:.2f}{means['rmse']:>9.3f}{means['crps']:>9.3f}"
                f"{means['coverage']:>11.3f}{means['seconds']:>9.1f}{means['draws']:>7.0f}"
            )
        noise = sum(o["methods"][BASELINE]["noise"] for o in here) / len(here)
        lines += [f"  (a calibrated predictor has a coverage error of about {noise:.3f} on {test} rows)", ""]
        lines.append(f"difference to the ensemble, mean [95 % interval, corrected, {len(here)} splits]")
        for metric, title in METRICS.items():
            lines.append(f"  {title}, {'higher' if metric in LARGER_IS_BETTER else 'lower'} is better")
            for d in compared:
                if (d.table, d.metric) == (table, metric):
                    interval = f"{d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}] {marked(d, len(compared))}"
                    lines.append(f"    {d.name:<12}{interval}".rstrip())
        lines += ["", *diagnosed(here), ""]
    return "\n".join([*lines, *verdict(compared, outcomes)])


def diagnosed(here: list[dict[str, Any]]) -> list[str]:
    """Convergence of the chains and evidence bounds, medians over splits."""
    lines = [
        "chains, predictions of test rows, medians over splits: worst (median) R-hat between chains, within chains;"
    ]
    lines.append("least (median) bulk ESS; largest R-hat of raw weights, which counts for nothing")

    def shown(value: float) -> str:
        return "-" if math.isnan(value) else f"{value:.2f}"

    for name in ("MCLMC", "MAMS"):
        found = {k: median([o["methods"][name]["agreement"][k] for o in here]) for k in (
            "rhat", "rhat_median", "within", "within_median", "ess", "ess_median", "raw", "acceptance", "energy")
        }  # fmt: skip
        more = (
            f"acceptance {found['acceptance']:.2f}" if name == "MAMS" else f"energy variance / d {found['energy']:.3f}"
        )
        lines.append(
            f"  {name:<12}{found['rhat']:.2f} ({found['rhat_median']:.2f}), "
            f"{shown(found['within'])} ({shown(found['within_median'])}); "
            f"{found['ess']:.0f} ({found['ess_median']:.0f}); {found['raw']:.1f}; {more}"
        )
    bound = median([o["methods"]["mean field"]["elbo"][0] for o in here])
    gain = median([o["methods"]["symmetrised"]["gain"] for o in here])
    lines.append(
        f"evidence bound of mean field {bound:.1f} nats, median; symmetrised at least {gain:+.1f} (no more "
        f"than the log order of the group, {here[0]['log_order']:.1f})"
    )
    return lines


def median(values: list[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).quantile(0.5))


def verdict(compared: list[Difference], outcomes: list[dict[str, Any]]) -> list[str]:
    """What the intervals support, and no more."""
    resolved = [d for d in compared if d.resolved]
    firm = [d for d in resolved if marked(d, len(compared)) == "**"]
    lines = [
        f"What the intervals support. * {len(resolved)} of {len(compared)} differences to the ensemble leave out 0 at "
        f"95 % each (about {0.05 * len(compared):.0f} would by chance if",
        f"there were none); ** {len(firm)} also with all {len(compared)} intervals to hold at once (Bonferroni).",
    ]
    for name, metric in itertools.product(NAMES, METRICS):
        here = [d for d in compared if (d.name, d.metric) == (name, metric)]
        words = {
            "better": [d for d in here if d.resolved and d.better],
            "worse": [d for d in here if d.resolved and not d.better],
            "not told apart": [d for d in here if not d.resolved],
        }
        text = "; ".join(
            f"{word}: {', '.join(d.table + ('**' if d in firm else '') for d in chosen)}"
            for word, chosen in words.items()
            if chosen
        )
        if here:
            lines.append(f"  {name}, {METRICS[metric]}: {text}")
    chain = [o["methods"][n]["agreement"] for o in outcomes for n in ("MCLMC", "MAMS")]
    disagree = sum(a["rhat"] > 1.05 for a in chain)
    lines.append(
        f"Chains from different members disagree on some prediction (R-hat above 1.05) in {disagree} of {len(chain)} "
        "runs; where they do,"
    )
    lines.append("MCLMC and MAMS are mixtures over the modes that the ensemble found, not draws of the posterior.")
    return lines


def picture(outcomes: list[dict[str, Any]], path: Path) -> None:
    """Differences to the ensemble with their intervals, one column a table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    compared = differences(outcomes)
    tables = list(dict.fromkeys(d.table for d in compared))
    shown = [name for name in NAMES if name not in NOT_COMPARED]
    figure, axes = plt.subplots(3, len(tables), figsize=(2.5 * len(tables) + 0.8, 5.6), squeeze=False)
    for (line, metric), (place, table) in itertools.product(enumerate(("lppd", "rmse", "coverage")), enumerate(tables)):
        axis = axes[line][place]
        axis.axvline(0, color=FAINT, linewidth=1)
        for height, name in enumerate(reversed(shown)):
            d = next(d for d in compared if (d.table, d.metric, d.name) == (table, metric, name))
            axis.plot([d.low, d.high], [height] * 2, color=METHODS[shown.index(name)], linewidth=1.5)
            axis.plot(d.mean, height, "o", color=METHODS[shown.index(name)], markersize=4)
        better = "higher" if metric in LARGER_IS_BETTER else "lower"
        axis.set_yticks(range(len(shown)), list(reversed(shown)) if place == 0 else [""] * len(shown))
        axis.set_ylim(-0.5, len(shown) - 0.5)
        axis.set_xlabel(f"{METRICS[metric]} ({better} is better)", fontsize=7)
        axis.locator_params(axis="x", nbins=4)
        tidy(axis)
        axis.tick_params(axis="y", length=0)
        if line == 0:
            axis.set_title(table, fontsize=9)
    figure.suptitle("Method minus deep ensemble: mean over splits, corrected 95 % interval", fontsize=9)
    figure.tight_layout()
    save_figure(figure, path)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", "--quick", action="store_true", default=bool(os.environ.get("CI")))
    parser.add_argument("--splits", type=int)
    parser.add_argument("--tables", nargs="+", choices=("diabetes", *UCI))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--results", type=Path, default=HERE.parent / "build" / "bnn_uci")
    parser.add_argument("--table", type=Path, help="write the text there and the picture beside it")
    options = parser.parse_args()
    if options.table is None and not (options.short or options.tables or options.splits):
        options.table = HERE / "results" / "bnn_uci.txt"
    if options.splits is not None and options.splits < 2:
        parser.error(f"expected at least 2 splits, got {options.splits}, because one has no interval")
    known = ["diabetes", *(name for name in UCI if find(name) is not None)]
    missing = [name for name in UCI if name not in known]
    tables = options.tables or (known[:2] if options.short else known)
    settings = [Setting(name, **(SHORT if options.short else {})) for name in tables]
    outcomes = run_all(settings, options.splits or (2 if options.short else 5), options.results, options.workers)
    spent = sum(outcome["total"] for outcome in outcomes)
    text = "\n".join([
        f"make study-bnn_uci{' (short: nothing below says which method is better)' if options.short else ''}",
        f"{spent / 60:.1f} CPU minutes (one thread a process, torch {torch.__version__}, {platform.machine()})",
        *([f"left out, as their files were not found: {', '.join(missing)}"] if missing else []),
        "",
        report(outcomes),
    ])  # fmt: skip
    print(text)
    if options.table is not None:
        options.table.write_text(text + "\n")
        picture(outcomes, options.table.with_suffix(".svg"))


if __name__ == "__main__":
    main()
