"""How far along its orbits of rescaling does each method put a unit? PIT of the generalised inverse Gaussian law.

1-8-1 ReLU network on 40 rows of a bent line with noise, N(0, 1) priors. The pit of exact draws is uniform. MAMS, MCLMC
at four sizes of step (V is the mean of (energy error)^2 / dimension that the warm-up aims at), mean-field VI, and a
deep ensemble. z are normal scores between 48 chains.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from pyro_symvi.bnn import GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.identities import equipartition, orbit_law

from . import balancedness, cells

METHODS = ("MAMS", "MCLMC 0.001", "MCLMC 0.1", "MCLMC 0.5", "MCLMC 2.0", "mean-field", "deep ensemble")


def make_posterior() -> NetworkPosterior:
    generator = torch.Generator().manual_seed(3)
    x = torch.linspace(-2, 2, 40, dtype=torch.float64)[:, None]
    y = torch.sin(1.5 * x[:, 0]) + 0.2 * torch.randn(40, generator=generator, dtype=torch.float64)
    network = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
    return NetworkPosterior(network, GaussianNoise(0.2), NormalPrior(1.0), x, y)


def cell(method: str, chains: int, draws: int, warmup: int) -> dict[str, Any]:
    posterior = make_posterior()
    made = balancedness.make_draws(posterior, method, chains, draws, warmup)
    found = orbit_law(posterior, made)
    (layer,) = found.layers
    return {
        "histogram": layer.histogram(20).tolist(), "ks": list(layer.ks), "thin": layer.thin,
        "z": {name: float(test.z) for name, test in layer.pooled.items()},
        "size": {name: [float(test.mean), float(test.error)] for name, test in layer.pooled.items()},
        "worst": found.worst, "verdict": found.verdict, "equipartition": equipartition(posterior, made).worst,
    }  # fmt: skip


def options(short: bool) -> list[dict[str, Any]]:
    size = {"chains": 48, "draws": 20, "warmup": 100} if short else {"chains": 48, "draws": 500, "warmup": 500}
    return [{"method": method, **size} for method in (METHODS[::3] if short else METHODS)]


def report(found: list[dict[str, Any]]) -> str:
    lines = [
        "slope, curvature: mean of the Legendre polynomials of the pit (0 exact, sd 1 a draw); KS of thinned draws",
        f"{'method':<15}{'slope':>19}{'curvature':>19}{'KS':>8}{'p':>9}{'worst |z|':>11}{'equipartition |z|':>19}"
        "  verdict",
    ]
    for one in found:
        lines.append(
            f"{one['option']['method']:<15}{cells.interval(*one['size']['slope']):>19}"
            f"{cells.interval(*one['size']['curvature']):>19}{one['ks'][0]:>8.3f}{one['ks'][1]:>9.2g}"
            f"{one['worst']:>11.1f}{one['equipartition']:>19.1f}  {one['verdict']}"
        )
    return "\n".join(lines)


def picture(found: list[dict[str, Any]], path: Path) -> None:
    made, axes = cells.figure(1, len(found), 1.7 * len(found), 2.2)
    for axis, one in zip(axes[0], found, strict=True):
        heights = one["histogram"]
        axis.stairs(heights, [i / len(heights) for i in range(len(heights) + 1)], fill=True, alpha=0.6)
        axis.axhline(1, color="0.4", lw=1)
        axis.set(title=one["option"]["method"], xlabel="u", ylim=(0, min(4.0, max(1.6, 1.1 * max(heights)))))
    axes[0, 0].set_ylabel("density")
    cells.save(made, path)


def run(short: bool, folder: Path = Path("build/bnn"), workers: int = 1) -> str:
    found = cells.run_cells(cell, options(short), folder, workers)
    picture(found, folder / "bnn_orbit_law.svg")
    return f"{report(found)}\n{cells.cpu_line(found)}"
