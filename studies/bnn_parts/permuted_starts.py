"""Do chains that start at permuted copies of one trained network reach the same functions as independent starts?

10-16-16-1 ReLU network on the diabetes data (70 % of 442 rows), N(0, 1) priors, learned noise. MAMS, 12 chains, from
(a) one member of a deep ensemble under 12 random permutations of its hidden units, (b) 12 members trained apart,
(c) draws of the prior; three seeds each, which share the split of the data. Figures are on held-out rows. "apart" is
the share of the variance of predictions that lies between chains (means over rows); 1 / draws if chains agreed and
draws were independent. Starts of (a) are the same function, so it is 0 there at the start.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pyro_symvi.bnn import Draws, LearnedGaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.approximations import DeepEnsemble
from pyro_symvi.bnn.convergence import predictions_at, rhat
from pyro_symvi.bnn.identities import balancedness
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.samplers import MAMS
from pyro_symvi.bnn.symmetry import NetworkSymmetry
from pyro_symvi.bnn.tables import load_table

from . import cells

CHAINS = 12
STARTS = ("permuted", "independent", "prior")


def make_posterior() -> tuple[NetworkPosterior, Tensor, Tensor, float]:
    split = load_table("diabetes").split(0, test=0.3, validation=0.0)
    network = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    x, y = (part.float() for part in split.train)
    posterior = NetworkPosterior(network, LearnedGaussianNoise(), NormalPrior(1.0), x, y)
    return posterior, *(part.float() for part in split.test), split.y_scale


def starts(posterior: NetworkPosterior, kind: str, seed: int, epochs: int) -> Tensor | None:
    if kind == "prior":
        return None
    members = DeepEnsemble(members=CHAINS + 4, epochs=epochs, drop=100.0).fit(posterior, seed=seed).members[:CHAINS]
    if kind == "independent":
        return members
    symmetry = NetworkSymmetry.of(posterior)
    g = symmetry.random(CHAINS, torch.Generator().manual_seed(seed))
    return symmetry.act(g, members[:1].expand(CHAINS, -1).double()).to(members)


def apart(predictions: Tensor) -> float:
    """Share of the variance of ``[chains, draws, rows]`` between chains."""
    between = predictions.mean(1).var(0, correction=0)
    return float((between / predictions.flatten(0, 1).var(0, correction=0).clamp_min(1e-12)).mean())


def cell(kind: str, seed: int, draws: int, warmup: int, thin: int, epochs: int) -> dict[str, Any]:
    posterior, x, y, y_scale = make_posterior()
    begin = starts(posterior, kind, seed, epochs)
    made = sample(posterior, MAMS(), chains=CHAINS, draws=draws, warmup=warmup, thin=thin, pack=CHAINS, seed=seed,
                  start=begin)  # fmt: skip
    predictions = predictions_at(posterior, made, x).double()
    rows = torch.cat([posterior.pointwise_log_likelihood(part, x, y) for part in made.theta.split(50, 1)], 1).double()
    flat = rows.flatten(0, 1)
    lppd = float((torch.logsumexp(flat, 0) - math.log(len(flat))).mean()) - math.log(y_scale)
    error = float((predictions.mean((0, 1))[: len(y)] - y.reshape(-1).double()).square().mean().sqrt()) * y_scale
    canonical = NetworkSymmetry.of(posterior).canonicalize(made.theta.double())
    spread = None
    if begin is not None:
        first = Draws(begin[:, None], posterior.layout, "starts")
        values = predictions_at(posterior, first, x).double()[:, 0]
        spread = float(values.std(0).mean()) * y_scale
    return {
        "function": rhat(predictions).median().item(), "function_worst": rhat(predictions).max().item(),
        "weights": rhat(made.theta.double()).median().item(), "canonical": rhat(canonical).median().item(),
        "apart": apart(predictions), "start_spread": spread, "lppd": lppd, "rmse": error,
        "balanced": balancedness(posterior, made).verdict,
    }  # fmt: skip


def options(short: bool) -> list[dict[str, Any]]:
    size = {"draws": 20, "warmup": 60, "thin": 1, "epochs": 10}
    if not short:
        size = {"draws": 250, "warmup": 300, "thin": 1, "epochs": 200}
    return [{"kind": kind, "seed": seed, **size} for kind in STARTS for seed in range(1 if short else 3)]


def report(found: list[dict[str, Any]]) -> str:
    lines = [
        "R-hat: medians over rows or weights. Spread of predictions over starts, LPPD, RMSE: in units of the target",
        f"{'starts':<13}{'seed':>5}{'spread':>8}{'R-hat functions':>17}{'worst':>7}{'apart':>8}{'R-hat weights':>15}"
        f"{'canonical':>11}{'LPPD':>9}{'RMSE':>7}  balancedness",
    ]
    for one in found:
        spread = "" if one["start_spread"] is None else f"{one['start_spread']:.2f}"
        lines.append(
            f"{one['option']['kind']:<13}{one['option']['seed']:>5}{spread:>8}{one['function']:>17.3f}"
            f"{one['function_worst']:>7.2f}{one['apart']:>8.3f}{one['weights']:>15.2f}{one['canonical']:>11.2f}"
            f"{one['lppd']:>9.3f}{one['rmse']:>7.2f}  {one['balanced']}"
        )
    seeds = len({one["option"]["seed"] for one in found})
    lines.append(
        f"{seeds} seeds: differences smaller than those between seeds of one kind of start are not told apart."
    )
    return "\n".join(lines)


def picture(found: list[dict[str, Any]], path: Path) -> None:
    made, axes = cells.figure(1, 3, 9, 2.8)
    for axis, key, title in zip(
        axes[0], ("function", "apart", "lppd"), ("R-hat of predictions", "variance between chains", "LPPD"), strict=True
    ):
        for i, kind in enumerate(STARTS):
            values = [one[key] for one in found if one["option"]["kind"] == kind]
            axis.plot([i] * len(values), values, "o", ms=5)
        axis.set(xticks=range(len(STARTS)), xticklabels=STARTS, title=title)
    cells.save(made, path)


def run(short: bool, folder: Path = Path("build/bnn"), workers: int = 1) -> str:
    found = cells.run_cells(cell, options(short), folder, workers)
    picture(found, folder / "bnn_permuted_starts.svg")
    return f"{report(found)}\n{cells.cpu_line(found)}"
