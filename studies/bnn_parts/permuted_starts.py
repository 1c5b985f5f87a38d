"""Do chains that start from permutations of one network see more than chains that start from that network?

Two hidden ReLU layers, N(0, 1) priors, learned noise; rows of concrete (or diabetes where the file is not at hand). A
deep ensemble gives the starts of three runs of MAMS with the same random numbers:

    independent    each chain from a member of its own
    permuted       all chains from one member, its hidden units permuted at random in each chain
    copies         all chains from that member itself

A chain of an isotropic sampler from g theta, g a permutation, is in law the image under g of the chain from theta: what
it predicts follows one law whether the start was permuted or not. So "permuted" can differ from "copies" by chance
alone, whatever R-hat of weights says; the question left is what both lose against independent starts. For each run:
R-hat of held-out predictions, squared 2-Wasserstein distances of the predictive laws of two draws within a chain and of
two chains, the same at the start, and scores. The ensemble itself is the baseline.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pyro_symvi.bnn import Draws, LearnedGaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.approximations import DeepEnsemble
from pyro_symvi.bnn.convergence import predictions_at, rhat
from pyro_symvi.bnn.predictions import evaluate, functional_diversity
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.samplers import MAMS
from pyro_symvi.bnn.symmetry import NetworkSymmetry
from pyro_symvi.bnn.tables import Split, Table, load_table, read_table

from . import cells

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("independent", "permuted", "copies")
WINDOWS = 5
COLOURS = {"independent": "C0", "permuted": "C1", "copies": "C2"}


def table() -> tuple[str, Table]:
    """Concrete, if the files are there."""
    path = Path(os.environ.get("SYMVI_DATA") or ROOT.parent / "shared" / "data") / "uci" / "concrete.data"
    return ("concrete", read_table(path)) if path.exists() else ("diabetes", load_table("diabetes"))


def problem(seed: int, width: int) -> tuple[NetworkPosterior, Split]:
    split = table()[1].split(seed, test=0.1, validation=0.0, dtype=torch.float32)
    x, y = split.train
    network = nn.Sequential(
        nn.Linear(x.shape[1], width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )
    return NetworkPosterior(network, LearnedGaussianNoise(), NormalPrior(1.0), x, y), split


def cell(seed: int, width: int, chains: int, draws: int, warmup: int, epochs: int) -> dict[str, Any]:
    posterior, split = problem(seed, width)
    ensemble = DeepEnsemble(members=chains, epochs=epochs, drop=100.0).fit(posterior, seed=seed).draws
    members = ensemble.flat
    chains = len(members)
    symmetry = NetworkSymmetry.from_module(posterior.network, posterior.layout)
    one = members[:1].expand(chains, -1)
    elements = symmetry.random(chains, generator=torch.Generator().manual_seed(seed))
    starts = {"independent": members, "permuted": symmetry.act(elements, one), "copies": one}
    f = {kind: posterior.outputs(theta, split.test.x) for kind, theta in starts.items()}
    outcome: dict[str, Any] = {
        "start": float((f["permuted"] - f["copies"]).abs().max() / f["copies"].abs().max()),
        "moved": float((starts["permuted"] - one).abs().max()),
        "ensemble": scores(posterior, ensemble, split),
    }
    for kind, theta in starts.items():
        made = sample(
            posterior, MAMS(ascent=0), chains=chains, pack=chains, draws=draws, warmup=warmup, start=theta, seed=seed
        )
        outcome[kind] = {**seen(posterior, made, split), "at_start": at_start(posterior, theta, split.test.x)}
    return outcome


def seen(posterior: NetworkPosterior, made: Draws, split: Split) -> dict[str, Any]:
    """What one run shows on the rows that were held out."""
    late = Draws(made.theta[:, made.draws // 2 :], made.layout, made.source)
    of_predictions = rhat(predictions_at(posterior, late, split.test.x)[..., : len(split.test.x)])
    of_weights = rhat(late.theta[..., : posterior.layout.network_dim])
    windows = made.theta.chunk(WINDOWS, 1)
    pairs = [functional_diversity(posterior, Draws(t, made.layout, made.source), split.test.x) for t in windows]
    return {
        **scores(posterior, late, split),
        "rhat": of_predictions.double().quantile(torch.linspace(0, 1, 21).double()).tolist(),
        "rhat_weights": float(of_weights.median()),
        "within": [d.mean_within for d in pairs],
        "between": [d.mean_between for d in pairs],
        "by_chains": [scores(posterior, Draws(late.theta[:c], made.layout, made.source), split)["lppd"]
                      for c in range(1, made.chains + 1)],
        "acceptance": made.info["acceptance"], "gradients": made.info["gradients"],
    }  # fmt: skip


def at_start(posterior: NetworkPosterior, theta: Tensor, x: Tensor) -> float:
    """Mean W2^2 between the laws that two chains predict before their first step."""
    return functional_diversity(posterior, Draws(theta[None], posterior.layout, "starts"), x).mean_within


def scores(posterior: NetworkPosterior, draws: Draws, split: Split) -> dict[str, float]:
    found = evaluate(posterior, draws, *split.test, target_scale=split.y_scale)
    return {"lppd": found.lppd, "rmse": found.rmse}  # type: ignore[attr-defined]


def options(short: bool) -> list[dict[str, Any]]:
    if short:
        return [{"seed": s, "width": 4, "chains": 4, "draws": 40, "warmup": 30, "epochs": 10} for s in range(2)]
    return [{"seed": s, "width": 16, "chains": 12, "draws": 600, "warmup": 600, "epochs": 200} for s in range(4)]


def mean(values: list[float]) -> tuple[float, float]:
    """Mean over splits and its standard error."""
    t = torch.tensor(values, dtype=torch.float64)
    return float(t.mean()), float(t.std() / len(t) ** 0.5)


def report(found: list[dict[str, Any]]) -> str:
    option = found[0]["option"]
    lines = [
        f"Starts of chains: {table()[0]}, two layers of {option['width']} units, {len(found)} splits, "
        f"{option['chains']} chains of {option['draws']} draws of MAMS after {option['warmup']} steps of warm-up.",
        "Mean over splits +- standard error. R-hat and scores: second half of the draws. W2^2: last fifth, between "
        "predictions of targets with variance 1.",
        f"Permuted starts: weights differ by {max(one['moved'] for one in found):.2f}, predictions by "
        f"{max(one['start'] for one in found):.0e} of the largest at most.",
        "",
        f"{'start':<13}{'LPPD':>20}{'RMSE':>17}{'R-hat f median':>18}{'R-hat f 95 %':>18}{'R-hat weights':>18}"
        f"{'W2^2 at start':>19}{'within':>19}{'between':>19}{'ratio':>17}",
    ]
    for kind in KINDS:
        runs = [one[kind] for one in found]
        ratio = [r["between"][-1] / r["within"][-1] for r in runs]
        numbers = [
            (20, 3, [r["lppd"] for r in runs]), (17, 2, [r["rmse"] for r in runs]),
            (18, 2, [r["rhat"][10] for r in runs]), (18, 2, [r["rhat"][19] for r in runs]),
            (18, 2, [r["rhat_weights"] for r in runs]),
            (19, 4, [r["at_start"] for r in runs]), (19, 4, [r["within"][-1] for r in runs]),
            (19, 4, [r["between"][-1] for r in runs]), (17, 2, ratio),
        ]  # fmt: skip
        lines.append(f"{kind:<13}" + "".join(f"{cells.interval(*mean(v), digits):>{w}}" for w, digits, v in numbers))
    lppd, rmse = (mean([one["ensemble"][name] for one in found]) for name in ("lppd", "rmse"))
    lines.append(f"{'ensemble':<13}{cells.interval(*lppd, 3):>20}{cells.interval(*rmse, 2):>17}")
    lines += ["", "Paired differences over splits:"]
    for name, pick in (("LPPD", lambda r: r["lppd"]), ("ratio of W2^2", lambda r: r["between"][-1] / r["within"][-1])):
        for a, b in (("permuted", "copies"), ("independent", "permuted")):
            difference = mean([pick(one[a]) - pick(one[b]) for one in found])
            lines.append(f"  {name}, {a} - {b}: {cells.interval(*difference, 4)}")
    return "\n".join(lines)


def picture(found: list[dict[str, Any]], path: Path) -> None:
    made, ((left, middle, right),) = cells.figure(1, 3, 11, 3.4)
    draws = found[0]["option"]["draws"]
    places = [(i + 0.5) * draws / WINDOWS for i in range(WINDOWS)]
    for kind in KINDS:
        for one in found:
            first = one is found[0]
            left.semilogy(places, one[kind]["between"], "-", color=COLOURS[kind], lw=1, label=kind if first else None)
            left.semilogy(places, one[kind]["within"], ":", color=COLOURS[kind], lw=1)
            middle.plot(one[kind]["rhat"], torch.linspace(0, 1, 21), "-", color=COLOURS[kind], lw=1)
        chains = range(1, found[0]["option"]["chains"] + 1)
        curve = torch.tensor([one[kind]["by_chains"] for one in found]).mean(0)
        right.plot(chains, curve, "o-", ms=3, color=COLOURS[kind])
    left.plot([], [], ":", color="0.4", label="within a chain")
    left.set(xlabel="draw", ylabel="W2^2 of predictive laws", title="two draws of two chains (solid)")
    left.legend(fontsize=7)
    middle.axvline(1.01, color="0.5", lw=1)
    middle.set(
        xlabel="R-hat of a held-out prediction", ylabel="share of rows below", xscale="log", title="agreement of chains"
    )
    right.axhline(
        sum(one["ensemble"]["lppd"] for one in found) / len(found), color="0.5", lw=1, ls="--", label="ensemble"
    )
    right.set(xlabel="chains", ylabel="LPPD, mean over splits", title="held-out rows")
    right.legend(fontsize=7)
    cells.save(made, path)


def run(short: bool, folder: Path = Path("build/bnn"), workers: int = 1) -> str:
    """The text, and the picture ``bnn_permuted_starts.svg`` in ``folder``."""
    found = cells.run_cells(cell, options(short), folder, workers)
    picture(found, folder / "bnn_permuted_starts.svg")
    return f"{report(found)}\n{cells.cpu_line(found)}"
