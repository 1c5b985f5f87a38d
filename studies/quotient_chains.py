"""What does a loss that ignores rotations gain? Six methods, chains with known laws, paired seeds, intervals.

Chains of 4 and of 6 atoms whose torsions have the wells trans / gauche plus / gauche minus with weights .60 / .30 /
.10 (`pyro_symvi.quotient.data.torsion_chains`). A perceptron trained on turned chains, which knows nothing of
rotations, and on 4 atoms a small equivariant network. The methods differ in the loss and in whether samplers project:

    plain          |D - x_1|^2, samplers of the total space
    plain, P       the same network; only the sampler is horizontal
    quotient       |P_{x_t}(D - x_1)|^2, horizontal samplers
    orbit mean     D against the mean over rotations of x_1 given x_t, samplers of the total space
    GeoDiff        x_1 aligned to x_t, samplers of the total space (no valid one exists)
    AF3            x_1 aligned to D, the same

With one seed all methods share the chains, the first weights, the batches, times and noise of training, and the
starting points of sampling, so that differences are paired. The yardstick common to all is the horizontal loss on
chains that were not trained on; the law of samples is compared with 20000 exact draws. "exact" is the same comparison
for fresh exact draws: what a perfect method would show.

    make study-quotient_chains      (or python studies/quotient_chains.py [--quick] [--workers 2] [--results DIR])

Each network and seed leaves a small file in DIR (build/quotient_chains), and a run that is stopped goes on from there.
`--quick`, or CI in the environment, is a look at two seeds with short training. `--table` writes the text and
the picture beside it. 27 CPU minutes; 14 minutes on two cores with `--workers 2`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import itertools
import json
import multiprocessing
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pyro_symvi.quotient import CloudDataset, Context, Denoiser, Diffusion
from pyro_symvi.quotient.data import ChainLaw, chain_internal, torsion_chains
from pyro_symvi.quotient.losses import AF3Aligned, GeoDiffAligned, Loss, OrbitAveraged, Plain, Quotient
from pyro_symvi.quotient.metrics import (
    PairedDifference,
    jensen_shannon,
    paired_differences,
    radius_of_gyration,
    wasserstein1,
)
from pyro_symvi.quotient.networks import CloudNetwork, EquivariantNetwork
from pyro_symvi.quotient.samplers import ODESampler, Sampler, SDESampler
from pyro_symvi.quotient.training import Cosine, train

HERE = Path(__file__).resolve().parent
CENTRES = torch.tensor([torch.pi, torch.pi / 3, -torch.pi / 3])
WELLS = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
METRICS = {
    "heldout": "held-out horizontal loss",
    "bond": "W1 of bond lengths",
    "torsion": "Jensen-Shannon of torsions",
    "size": "W1 of the radius of gyration",
    "wells": "populations of wells, total variation",
}


@dataclass(frozen=True)
class Method:
    """A loss, and whether its samplers are horizontal; ``valid`` where they aim at the law of the data."""

    loss: Loss
    horizontal: bool
    valid: bool


METHODS = {
    "plain": Method(Plain(), False, True),
    "plain, P": Method(Plain(), True, True),
    "quotient": Method(Quotient(), True, True),
    "orbit mean": Method(OrbitAveraged(), False, True),
    "GeoDiff": Method(GeoDiffAligned(), False, False),
    "AF3": Method(AF3Aligned(), False, False),
}


@dataclass(frozen=True)
class Setting:
    """One kind of chain and network, and how long it is trained."""

    title: str
    atoms: int
    equivariant: bool
    steps: int
    batch_size: int
    learning_rate: float
    chains: int
    draws: int


FULL = (
    Setting("4 atoms, perceptron", 4, False, 3000, 256, 3e-3, 20000, 1000),
    Setting("6 atoms, perceptron", 6, False, 2500, 256, 3e-3, 20000, 1000),
    Setting("4 atoms, equivariant", 4, True, 1200, 128, 5e-3, 20000, 1000),
)
QUICK = (
    Setting("4 atoms, perceptron", 4, False, 60, 128, 3e-3, 2000, 200),
    Setting("4 atoms, equivariant", 4, True, 20, 64, 5e-3, 2000, 200),
)
NFE = (5, 10, 25, 50)
SAMPLERS = ("ODE 50", "SDE 200")


class Perceptron(CloudNetwork):
    """Coordinates and time in, coordinates out, three hidden layers: to it, turning is like bending."""

    def __init__(self, atoms: int, width: int = 128, *, data_scale: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self._prepare(
            atoms=atoms, width=width, dim=3, features=0, edge_kinds=0, hops=0, data_scale=data_scale, noise_scale=1.0,
            interpolant=None, seed=seed,
        )  # fmt: skip
        with self._seeded():
            sizes = [3 * atoms + 9, width, width, width]
            hidden = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.SiLU())]
            self.layers = nn.Sequential(*hidden, nn.Linear(width, 3 * atoms))
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def _displacement(self, x: Tensor, noise: Tensor, conditions: Any) -> Tensor:
        return self.layers(torch.cat([x.flatten(1), conditions.time], -1)).reshape(x.shape)


def make_network(setting: Setting, seed: int, scale: float) -> CloudNetwork:
    if setting.equivariant:
        return EquivariantNetwork(width=32, layers=2, features=setting.atoms, edge_kinds=1, data_scale=scale, seed=seed)
    return Perceptron(setting.atoms, data_scale=scale, seed=seed)


def network_context(setting: Setting, dataset: CloudDataset) -> CloudDataset:
    """The perceptron's inputs have an order of their own and need no context."""
    return dataset if setting.equivariant else CloudDataset(dataset.clouds, dataset.kinds, dataset.names)


# -- one network and seed ----------------------------------------------------------------------------------------------
def compare(draws: Tensor, exact: Tensor) -> dict[str, Any]:
    """Metrics of draws ``[n, N, 3]`` against exact ones."""
    bonds, _, torsions = chain_internal(draws)
    exact_bonds, _, exact_torsions = chain_internal(exact)
    shares = populations(torsions)
    return {
        "bond": float(wasserstein1(bonds.reshape(-1), exact_bonds.reshape(-1))),
        "torsion": float(jensen_shannon(torsions, exact_torsions).mean()),
        "size": float(wasserstein1(radius_of_gyration(draws), radius_of_gyration(exact))),
        "wells": float((shares - WELLS).abs().sum(-1).mean() / 2),
        "shares": shares.mean(0).tolist(),
    }


def populations(torsions: Tensor) -> Tensor:
    """Shares of the three wells for each torsion, ``[N-3, 3]``."""
    apart = torch.remainder(torsions[..., None] - CENTRES + torch.pi, 2 * torch.pi) - torch.pi
    return nn.functional.one_hot(apart.abs().argmin(-1), 3).double().mean(0)


def heldout_loss(diffusion: Diffusion, denoiser: Denoiser, dataset: CloudDataset) -> float:
    """The horizontal loss, the same times and noise for all."""
    generator = torch.Generator().manual_seed(99)
    clouds, context = dataset.batch(torch.arange(len(dataset)))
    t = (torch.arange(len(clouds)) + 0.5) / len(clouds)
    with torch.no_grad():
        return float(Quotient()(diffusion, denoiser, clouds, t, context, generator=generator).mean())


def run(setting: Setting, loss: Loss, seed: int) -> dict[str, Any]:
    """Train one network and sample with it in every way that belongs to its loss."""
    torch.set_num_threads(1)
    started, diffusion = time.process_time(), Diffusion()
    generator = torch.Generator().manual_seed(1000 + seed)
    dataset = torsion_chains(setting.chains, atoms=setting.atoms, generator=generator)
    dataset = network_context(setting, dataset)
    heldout = network_context(
        setting, torsion_chains(4000, atoms=setting.atoms, generator=torch.Generator().manual_seed(7))
    )
    exact = ChainLaw(atoms=setting.atoms).sample(20000, generator=torch.Generator().manual_seed(8))
    network = make_network(setting, seed, float(dataset.clouds.std()))
    result = train(
        diffusion, network, dataset, loss, steps=setting.steps, batch_size=setting.batch_size, seed=seed,
        learning_rate=setting.learning_rate, schedule=Cosine(warmup=50), ema=0.995,
        evaluate=lambda ema, step: {"heldout": heldout_loss(diffusion, ema, heldout)},
        evaluate_every=max(1, setting.steps // 10),
    ).checked()  # fmt: skip
    trained = time.process_time() - started
    curve = {str(step): values["heldout"] for step, values in result.history.evaluations.items()}
    context = None if dataset.context is None else dataset.context[0]
    methods = {}
    for name, method in METHODS.items():
        if method.loss != loss:
            continue
        samplers: dict[str, Sampler] = {f"ODE {n}": ODESampler(n, "euler", method.horizontal) for n in NFE}
        if method.valid:
            samplers["SDE 200"] = SDESampler(200, horizontal=method.horizontal)
        methods[name] = {
            key: compare(draw(sampler, diffusion, result.ema, setting, context, seed), exact)
            for key, sampler in samplers.items()
        }
    return {
        "curve": curve,
        "heldout": list(curve.values())[-1],
        "methods": methods,
        "training": trained,
        "total": time.process_time() - started,
    }


def draw(
    sampler: Sampler, diffusion: Diffusion, denoiser: Denoiser, setting: Setting, context: Context | None, seed: int
) -> Tensor:
    generator = torch.Generator().manual_seed(2000 + seed)
    return sampler.sample(diffusion, denoiser, (setting.draws, setting.atoms, 3), context, generator=generator)


def exact_floor(setting: Setting, seeds: int) -> list[dict[str, Any]]:
    """The metrics of fresh exact draws, one set for each seed."""
    law = ChainLaw(atoms=setting.atoms)
    exact = law.sample(20000, generator=torch.Generator().manual_seed(8))
    return [
        compare(law.sample(setting.draws, generator=torch.Generator().manual_seed(3000 + seed)), exact)
        for seed in range(seeds)
    ]


# -- all of them, each in its file -------------------------------------------------------------------------------------
def cell(arguments: tuple[Setting, Loss, int, str]) -> dict[str, Any]:
    """The outcome of one network and seed, from its file where there is one."""
    setting, loss, seed, folder = arguments
    options = {**asdict(setting), "loss": repr(loss), "seed": seed}
    key = hashlib.blake2b(json.dumps(options, sort_keys=True).encode(), digest_size=6).hexdigest()
    path = (
        Path(folder) / f"{setting.title.replace(', ', '-').replace(' ', '_')}-{type(loss).__name__}-{seed}-{key}.json"
    )
    if path.exists():
        return json.loads(path.read_text())
    outcome = {"options": options, **run(setting, loss, seed)}
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(outcome))
    partial.replace(path)
    return outcome


def run_all(settings: tuple[Setting, ...], seeds: int, folder: Path, workers: int) -> list[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    losses = list(dict.fromkeys(method.loss for method in METHODS.values()))
    jobs = [(setting, loss, seed, str(folder)) for setting in settings for seed in range(seeds) for loss in losses]
    outcomes = []
    with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(cell, job) for job in jobs]
        for number, future in enumerate(concurrent.futures.as_completed(futures), 1):
            outcome = future.result()
            outcomes.append(outcome)
            options = outcome["options"]
            print(
                f"{number}/{len(jobs)} {options['title']}, {options['loss']}, seed {options['seed']}: held-out "
                f"{outcome['heldout']:.3f}, {outcome['total']:.0f} CPU s", flush=True,
            )  # fmt: skip
    return outcomes


# -- the report --------------------------------------------------------------------------------------------------------
def figures(outcomes: list[dict[str, Any]], setting: Setting, sampler: str, metric: str) -> dict[str, list[float]]:
    """For each method its figures, seed by seed."""
    found: dict[str, list[float]] = {}
    for outcome in sorted(outcomes, key=lambda o: o["options"]["seed"]):
        if outcome["options"]["title"] != setting.title:
            continue
        for name, results in outcome["methods"].items():
            if sampler in results:
                value = outcome["heldout"] if metric == "heldout" else results[sampler][metric]
                found.setdefault(name, []).append(value)
    return {name: found[name] for name in METHODS if name in found}


@dataclass(frozen=True)
class Comparison:
    """One method against plain, on one metric."""

    setting: Setting
    sampler: str
    metric: str
    name: str
    difference: PairedDifference


def comparisons(outcomes: list[dict[str, Any]], settings: tuple[Setting, ...]) -> list[Comparison]:
    found = []
    for setting, sampler, metric in itertools.product(settings, SAMPLERS, METRICS):
        if metric == "heldout" and sampler != SAMPLERS[0]:
            continue  # a figure of the network, not of the sampler
        table = figures(outcomes, setting, sampler, metric)
        for name, values in table.items():
            if name != "plain" and (metric, name) != ("heldout", "plain, P"):
                difference = paired_differences(values, table["plain"])
                found.append(Comparison(setting, sampler, metric, name, difference))
    return found


def report(outcomes: list[dict[str, Any]], settings: tuple[Setting, ...], seeds: int) -> str:
    lines, compared = [], comparisons(outcomes, settings)
    for setting in settings:
        network = make_network(setting, 0, 1.0)
        lines += [
            f"== {setting.title}: {sum(p.numel() for p in network.parameters())} parameters, {setting.steps} steps of "
            f"{setting.batch_size} chains, {seeds} seeds, {setting.draws} draws",
            "",
        ]
        floor = exact_floor(setting, seeds)
        for sampler in SAMPLERS:
            table = {metric: figures(outcomes, setting, sampler, metric) for metric in METRICS}
            lines += [f"{sampler}: means over seeds", header(["trans / g+ / g-"])]
            for name in table["bond"]:
                shares = shares_of(outcomes, setting, sampler, name)
                lines.append(row(name, [mean(table[metric][name]) for metric in METRICS], [shares]))
            exact_shares = " / ".join(f"{mean([f['shares'][k] for f in floor]):.3f}" for k in range(3))
            values = [mean([f[metric] for f in floor]) if metric != "heldout" else None for metric in METRICS]
            lines += [row("exact", values, [exact_shares]), ""]
            lines.append(f"{sampler}: difference to plain, mean [95 % interval over {seeds} pairs]")
            for metric, title in METRICS.items():
                chosen = [c for c in compared if (c.setting, c.sampler, c.metric) == (setting, sampler, metric)]
                lines += [f"  {title}"] if chosen else []
                for c in chosen:
                    low, high = c.difference.t
                    mark = marked(c.difference, len(compared))
                    lines.append(f"    {c.name:<11} {c.difference.mean:+.4f} [{low:+.4f}, {high:+.4f}] {mark}".rstrip())
            lines.append("")
    lines += verdict(compared)
    return "\n".join(lines)


def marked(difference: PairedDifference, compared: int) -> str:
    """* where the interval leaves out 0, ** where it would also with all intervals to hold at once."""
    return "**" if difference.p_value < 0.05 / compared else "*" if difference.resolved else ""


def header(more: list[str]) -> str:
    return "  " + f"{'':<11}" + "".join(f"{metric:>10}" for metric in METRICS) + "   " + "   ".join(more)


def row(name: str, values: list[float | None], more: list[str]) -> str:
    cells = "".join(f"{'' if value is None else format(value, '.4f'):>10}" for value in values)
    return "  " + f"{name:<11}" + cells + "   " + "   ".join(more)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def shares_of(outcomes: list[dict[str, Any]], setting: Setting, sampler: str, name: str) -> str:
    chosen = [
        o["methods"][name][sampler]["shares"]
        for o in outcomes
        if o["options"]["title"] == setting.title and name in o["methods"]
    ]
    return " / ".join(f"{mean([shares[k] for shares in chosen]):.3f}" for k in range(3))


def verdict(compared: list[Comparison]) -> list[str]:
    """What the intervals support, and no more."""
    resolved = [c for c in compared if c.difference.resolved]
    firm = [c for c in resolved if marked(c.difference, len(compared)) == "**"]
    lines = [
        f"What the intervals support. * {len(resolved)} of {len(compared)} differences to plain leave out 0 at 95 % "
        f"each (about {0.05 * len(compared):.0f} would by chance if there were none); ** {len(firm)} also with all "
        f"{len(compared)} intervals to hold at once",
        "(Bonferroni). Lower is better in every column.",
    ]
    for setting, sampler, name in itertools.product(dict.fromkeys(c.setting for c in compared), SAMPLERS, METHODS):
        here = [c for c in compared if (c.setting, c.sampler, c.name) == (setting, sampler, name)]
        if not here:
            continue
        words = {
            "lower": [c for c in here if c.difference.t[1] < 0],
            "higher": [c for c in here if c.difference.t[0] > 0],
            "not told apart": [c for c in here if not c.difference.resolved],
        }
        text = "; ".join(
            f"{word}: {', '.join(c.metric + ('**' if c in firm else '') for c in chosen)}"
            for word, chosen in words.items()
            if chosen
        )
        lines.append(f"  {setting.title}, {sampler}, {name}: {text}")
    return lines


def picture(outcomes: list[dict[str, Any]], settings: tuple[Setting, ...], path: Path) -> None:
    """Learning curves, and figures against the number of steps of the ODE; bars are standard errors over seeds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib import ticker

    plt.rcParams["svg.hashsalt"] = "quotient_chains"
    colours = dict(zip(METHODS, ("#555555", "#999999", "#d55e00", "#0072b2", "#009e73", "#cc79a7"), strict=True))
    figure, axes = plt.subplots(3, len(settings), figsize=(4.2 * len(settings), 9), squeeze=False)
    for column, setting in enumerate(settings):
        chosen = [o for o in outcomes if o["options"]["title"] == setting.title]
        for name, method in METHODS.items():
            curves = [o["curve"] for o in chosen if o["options"]["loss"] == repr(method.loss)]
            if name != "plain, P" and curves:
                steps = sorted(map(int, curves[0]))
                bars(axes[0][column], steps, [[c[str(s)] for c in curves] for s in steps], name, colours[name])
            for line, metric in ((1, "bond"), (2, "wells")):
                values = [figures(outcomes, setting, f"ODE {n}", metric)[name] for n in NFE]
                bars(axes[line][column], list(NFE), values, name, colours[name])
        axes[0][column].set(title=setting.title, xlabel="training step", yscale="log")
        for line in (1, 2):
            axes[line][column].set(xlabel="steps of the ODE (Euler)", xscale="log")
            axes[line][column].set_xticks(NFE, [str(n) for n in NFE])
            axes[line][column].minorticks_off()
            axes[line][column].set_ylim(bottom=0)
    for line, metric in enumerate(("heldout", "bond", "wells")):
        axes[line][0].set_ylabel(METRICS[metric])
    for axis in axes[0]:
        axis.yaxis.set_major_formatter(ticker.ScalarFormatter())
        axis.yaxis.set_minor_formatter(ticker.ScalarFormatter())
    axes[1][0].legend(frameon=False, ncols=2)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def bars(axis: Any, x: list[int], values: list[list[float]], label: str, colour: str) -> None:
    table = torch.tensor(values, dtype=torch.float64)
    error = table.std(-1) / table.shape[-1] ** 0.5
    axis.errorbar(x, table.mean(-1), error, label=label, color=colour, marker="o", markersize=3, linewidth=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("CI")))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--results", type=Path, default=HERE.parent / "build" / "quotient_chains")
    parser.add_argument("--table", type=Path, help="also write the text here and the picture beside it")
    options = parser.parse_args()
    settings, seeds = (QUICK, 2) if options.quick else (FULL, 5)
    seeds = options.seeds or seeds
    outcomes = run_all(settings, seeds, options.results, options.workers)
    spent = sum(outcome["total"] for outcome in outcomes)
    text = "\n".join([
        f"make study-quotient_chains{' (quick)' if options.quick else ''}",
        f"{spent / 60:.1f} CPU minutes (one thread a process, torch {torch.__version__}, {platform.machine()})",
        "",
        report(outcomes, settings, seeds),
    ])  # fmt: skip
    print(text)
    if options.table is not None:
        options.table.write_text(text + "\n")
        picture(outcomes, settings, options.table.with_suffix(".svg"))


if __name__ == "__main__":
    main()
