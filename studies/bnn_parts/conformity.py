"""Do marginals of one hidden unit move to the prior as the network widens, and does the bound hold?

1-h-1 networks on 30 rows of a bent line (noise .2), N(0, 1) priors, ReLU and tanh. C = KL(posterior || prior) by
tempering with the output weights integrated out, 8 runs. For the law of one unit KL <= C / h, so Kolmogorov-Smirnov
distances of its weights to the prior are at most sqrt(C / (2 h)) and the rms of their Wasserstein-1 distances at most
sqrt(2 C / (3 h)) (three weights a unit). Marginals are pooled over units; the largest distance of one unit in one
chain, which never permutes, is shown beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from pyro_symvi.bnn import GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.identities import conformity, equipartition, tempered_evidence
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.samplers import MAMS

from . import cells

WIDTHS = (1, 2, 5, 10, 30, 100)
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def make_posterior(h: int, activation: str) -> NetworkPosterior:
    generator = torch.Generator().manual_seed(3)
    x = torch.linspace(-2, 2, 30, dtype=torch.float64)[:, None]
    y = torch.sin(1.5 * x[:, 0]) + 0.2 * torch.randn(30, generator=generator, dtype=torch.float64)
    network = nn.Sequential(nn.Linear(1, h), ACTIVATIONS[activation](), nn.Linear(h, 1))
    return NetworkPosterior(network, GaussianNoise(0.2), NormalPrior(1.0), x, y)


def cell(h: int, activation: str, chains: int, draws: int, warmup: int, particles: int) -> dict[str, Any]:
    posterior = make_posterior(h, activation)
    evidence = tempered_evidence(posterior, particles=particles, runs=8, moves=10, seed=h)
    made = sample(posterior, MAMS(), chains=chains, draws=draws, warmup=warmup, pack=chains, seed=h)
    (layer,) = conformity(posterior, made, evidence=evidence).layers
    return {
        "information": evidence.information, "error": evidence.information_error,
        "log_evidence": [evidence.log_evidence, evidence.log_evidence_error],
        "acceptance": float(evidence.acceptance.min()),
        "rms": layer.rms, "rms_bound": layer.w1_rms, "tv": layer.tv,
        "marginals": [[m.name, m.wasserstein, m.wasserstein_error, m.ks, m.kurtosis, m.scale, m.worst_label]
                      for m in layer.marginals],
        "equipartition": equipartition(posterior, made, most=5000).worst,
    }  # fmt: skip


def options(short: bool) -> list[dict[str, Any]]:
    size = {"chains": 48, "draws": 20, "warmup": 100, "particles": 64}
    if not short:
        size = {"chains": 48, "draws": 400, "warmup": 500, "particles": 256}
    widths = (1, 10) if short else WIDTHS
    return [{"h": h, "activation": name, **size} for name in ACTIVATIONS for h in widths]


def report(found: list[dict[str, Any]]) -> str:
    lines = [
        f"{'':<6}{'h':>4}{'C (nats)':>18}{'C / h':>8}{'W1 rms':>9}{'bound':>8}{'KS worst':>10}{'bound':>8}"
        f"{'kurtosis of w, b, v':>24}{'one label W1':>14}{'equipartition |z|':>19}"
    ]
    for one in found:
        option, marginals = one["option"], one["marginals"]
        kurtosis = ", ".join(f"{m[4]:.2f}" for m in marginals)
        lines.append(
            f"{option['activation']:<6}{option['h']:>4}{cells.interval(one['information'], one['error'], 2):>18}"
            f"{one['information'] / option['h']:>8.3f}{one['rms']:>9.3f}{one['rms_bound']:>8.3f}"
            f"{max(m[3] for m in marginals):>10.3f}{one['tv']:>8.3f}{kurtosis:>24}"
            f"{max(m[6] for m in marginals):>14.2f}{one['equipartition']:>19.1f}"
        )
    broken = [one for one in found if one["rms"] > one["rms_bound"] or max(m[3] for m in one["marginals"]) > one["tv"]]
    lines.append(f"Above a bound: {cells.out_of(len(broken), len(found))} settings.")
    return "\n".join(lines)


def picture(found: list[dict[str, Any]], path: Path) -> None:
    made, axes = cells.figure(1, 3, 10.5, 3.2)
    for activation, colour in zip(ACTIVATIONS, ("C0", "C1"), strict=True):
        chosen = [one for one in found if one["option"]["activation"] == activation]
        h = [one["option"]["h"] for one in chosen]
        axes[0, 0].errorbar(h, [one["information"] for one in chosen], yerr=[2 * one["error"] for one in chosen],
                            fmt="o-", ms=3, color=colour, capsize=2, label=activation)  # fmt: skip
        axes[0, 1].loglog(h, [one["rms"] for one in chosen], "o-", ms=3, color=colour, label=f"{activation}, found")
        axes[0, 1].loglog(h, [one["rms_bound"] for one in chosen], ":", color=colour, label="bound")
        labels = [max(m[6] for m in one["marginals"]) for one in chosen]
        axes[0, 1].loglog(h, labels, "x", ms=4, color=colour, label="one unit, one chain, worst")
        axes[0, 2].loglog(h, [max(m[3] for m in one["marginals"]) for one in chosen], "o-", ms=3, color=colour)
        axes[0, 2].loglog(h, [one["tv"] for one in chosen], ":", color=colour)
    axes[0, 0].set(
        xscale="log", xlabel="hidden units", ylabel="C (nats)", title="information in the data", ylim=(0, None)
    )
    axes[0, 1].set(xlabel="hidden units", title="rms of Wasserstein-1 to the prior")
    axes[0, 2].set(xlabel="hidden units", title="largest KS distance to the prior")
    for axis in axes[0, :2]:
        axis.legend(fontsize=6)
    cells.save(made, path)


def run(short: bool, folder: Path = Path("build/bnn"), workers: int = 1) -> str:
    found = cells.run_cells(cell, options(short), folder, workers)
    picture(found, folder / "bnn_conformity.svg")
    return f"{report(found)}\n{cells.cpu_line(found)}"
