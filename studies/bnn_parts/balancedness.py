"""Do posteriors obey the balancedness identities at every width, and by how much do approximations miss them?

One hidden ReLU layer on the diabetes data (442 rows, 10 inputs; p = 11 weights into a unit, q = 1 out), N(0, 1)
priors, learned noise. MAMS, which is exact, at every width; at one width also MCLMC, mean-field VI and a deep ensemble.
E[a - b] is 10 exactly, the variance ratio 1, and the relative imbalance of the layer, the rms of sum (a - b - 10) over
E sum (a + b), is sqrt(2 / E sum (a + b)).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from pyro_symvi.bnn import Draws, LearnedGaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.approximations import DeepEnsemble, MeanField
from pyro_symvi.bnn.identities import balancedness, equipartition
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.samplers import MAMS, MCLMC
from pyro_symvi.bnn.tables import load_table

from . import cells

WIDTHS = (2, 4, 8, 16, 32, 64)
COMPARED = 16


def make_posterior(h: int) -> NetworkPosterior:
    x, y = load_table("diabetes").split(0, test=0.0, validation=0.0).train
    network = nn.Sequential(nn.Linear(x.shape[1], h), nn.ReLU(), nn.Linear(h, 1))
    return NetworkPosterior(network, LearnedGaussianNoise(), NormalPrior(1.0), x.float(), y.float())


def make_draws(posterior: NetworkPosterior, method: str, chains: int, draws: int, warmup: int) -> Draws:
    generator = torch.Generator().manual_seed(1)
    if method == "mean-field":
        steps = 4000 if draws > 100 else 200
        return MeanField(starts=1, max_steps=steps, pairs=4).fit(posterior, seed=1).sample(chains * draws, generator)
    if method == "deep ensemble":
        return DeepEnsemble(members=48, epochs=200 if draws > 100 else 10).fit(posterior, seed=1).draws
    sampler = MAMS() if method == "MAMS" else MCLMC(energy_variance=float(method.split()[1]))
    thin = 1 if method == "MAMS" else 10
    return sample(posterior, sampler, chains=chains, draws=draws, warmup=warmup, thin=thin, pack=chains, seed=1)


def cell(h: int, method: str, chains: int, draws: int, warmup: int) -> dict[str, Any]:
    posterior = make_posterior(h)
    made = make_draws(posterior, method, chains, draws, warmup)
    found = balancedness(posterior, made)
    (layer,) = found.layers
    ratio, ratio_error = layer.variance_ratio
    temperature = equipartition(posterior, made, most=2000)
    return {
        "mean": float(layer.pooled["mean"].mean) + layer.expected, "mean_error": float(layer.pooled["mean"].error),
        "ratio": ratio, "ratio_error": ratio_error, "z": found.z.tolist(),
        "pooled": {name: float(test.z) for name, test in layer.pooled.items()},
        "imbalance": layer.imbalance, "expected_imbalance": layer.expected_imbalance,
        "energy": float((layer.mean_a + layer.mean_b).sum()), "verdict": found.verdict,
        "temperature": {name: [1 - float(t.mean), float(t.error)] for name, t in temperature.blocks.items()},
    }  # fmt: skip


def options(short: bool) -> list[dict[str, Any]]:
    size = {"chains": 24, "draws": 30, "warmup": 100} if short else {"chains": 24, "draws": 600, "warmup": 600}
    widths = (2, 8) if short else WIDTHS
    compared = 8 if short else COMPARED
    others = ("MCLMC 0.001", "MCLMC 0.1", "MCLMC 0.5", "mean-field", "deep ensemble")
    return [{"h": h, "method": "MAMS", **size} for h in widths] + [{"h": compared, "method": m, **size} for m in others]


def report(found: list[dict[str, Any]]) -> str:
    lines = [
        f"{'method':<15}{'h':>4}{'E[a - b] (exact 10)':>23}{'Var ratio (exact 1)':>23}{'worst |z|':>11}"
        f"{'usual':>7}{'imbalance':>11}{'exact':>8}  verdict"
    ]
    for one in found:
        z = torch.tensor(one["z"], dtype=torch.float64)
        lines.append(
            f"{one['option']['method']:<15}{one['option']['h']:>4}"
            f"{cells.interval(one['mean'], one['mean_error']):>23}"
            f"{cells.interval(one['ratio'], one['ratio_error']):>23}"
            f"{float(z.abs().max()):>11.1f}{cells.usual_worst(len(z)):>7.1f}{one['imbalance']:>11.4f}"
            f"{one['expected_imbalance']:>8.4f}  {one['verdict']}"
        )
    exact = [one for one in found if one["option"]["method"] == "MAMS"]
    z = torch.tensor([value for one in exact for value in one["z"]], dtype=torch.float64)
    lines += [
        "",
        f"MAMS, all widths: {len(z)} z, {cells.out_of(int((z.abs() > 3).sum()), len(z))} beyond 3 "
        f"({0.0027 * len(z):.1f} expected if independent), standard deviation {float(z.std()):.2f}.",
        "Temperatures of the blocks of parameters (equipartition, exact 1):",
    ]
    for one in found:
        words = ", ".join(f"{name} {cells.interval(*pair)}" for name, pair in one["temperature"].items())
        lines.append(f"  {one['option']['method']} h = {one['option']['h']}: {words}")
    return "\n".join(lines)


def picture(found: list[dict[str, Any]], path: Path) -> None:
    made, ((left, middle, right),) = cells.figure(1, 3, 11, 3.4)
    exact = [one for one in found if one["option"]["method"] == "MAMS"]
    for i, one in enumerate(exact):
        z = torch.tensor(one["z"])
        left.plot(i + torch.linspace(-0.3, 0.3, len(z)), z, ".", ms=3, color="C0")
    left.axhspan(-3, 3, color="0.9", zorder=0)
    left.set(xticks=range(len(exact)), xticklabels=[one["option"]["h"] for one in exact], xlabel="hidden units",
             ylabel="z of each identity and unit", title="exact sampler (MAMS)")  # fmt: skip
    h = [one["option"]["h"] for one in exact]
    middle.loglog(h, [one["imbalance"] for one in exact], "o", label="found")
    middle.loglog(h, [one["expected_imbalance"] for one in exact], "-", color="0.5", label="sqrt(2 / E sum(a + b))")
    middle.set(xlabel="hidden units", ylabel="relative imbalance of the layer", title="imbalance against width")
    middle.set_xticks(h, [str(width) for width in h])
    middle.minorticks_off()
    middle.legend(fontsize=7)
    width = found[-1]["option"]["h"]
    others = [one for one in found if one["option"]["h"] == width]
    for i, one in enumerate(others):
        for key, colour, exactly, shift in (("mean", "C0", 10, -0.1), ("ratio", "C1", 1, 0.1)):
            value, error = one[key] / exactly, 2 * one[f"{key}_error"] / exactly
            right.errorbar(value, i + shift, xerr=error, fmt="o", ms=4, color=colour, capsize=2)
    right.axvline(1, color="0.5", lw=1)
    right.set_xlim(0.75, 1.1)
    for i, one in enumerate(others):  # far off the axis
        if one["ratio"] > 1.1:
            right.text(1.095, i, f"off the axis: {one['mean'] / 10:.2f} and {one['ratio']:.1f}",
                       ha="right", va="center", fontsize=7)  # fmt: skip
    right.plot([], [], "o", color="C0", label="E[a - b] / 10")
    right.plot([], [], "o", color="C1", label="variance ratio")
    right.set(yticks=range(len(others)), yticklabels=[one["option"]["method"] for one in others],
              xlabel="found / exact, two standard errors", title=f"{width} hidden units")  # fmt: skip
    right.legend(fontsize=7, loc="center left")
    cells.save(made, path)


def run(short: bool, folder: Path = Path("build/bnn"), workers: int = 1) -> str:
    found = cells.run_cells(cell, options(short), folder, workers)
    picture(found, folder / "bnn_balancedness.svg")
    return f"{report(found)}\n{cells.cpu_line(found)}"
