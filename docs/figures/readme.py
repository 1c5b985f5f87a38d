"""The picture of the README: three fitted normal guides, all of them wrong, and what a certificate says of a mean.

Pale: the exact posterior density (a Student t in closed form; eight schools by quadrature over log tau). Dark: the
guide.

    python docs/figures/readme.py [FOLDER]
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from matplotlib.figure import Figure
from scipy import stats

import pyro_symvi as symvi
from pyro_symvi import examples, plots
from pyro_symvi._figures import save_figure
from pyro_symvi.divergences import ReverseKL
from pyro_symvi.guides import AutoLocationScale


def centred(effect: torch.Tensor, standard_error: torch.Tensor) -> None:
    """Eight schools with the effects themselves as sites: the same posterior, harder for a guide."""
    mu = pyro.sample("mu", dist.Normal(effect.new_zeros(()), 5.0))
    tau = pyro.sample("tau", dist.HalfCauchy(effect.new_tensor(5.0)))
    with pyro.plate("school", len(effect)):
        theta = pyro.sample("theta", dist.Normal(mu, tau))
        pyro.sample("effect", dist.Normal(theta, standard_error), obs=effect)


def certified(model: Any, args: tuple[torch.Tensor, ...], label: str) -> tuple[Any, float, float]:
    """A diagonal normal guide fitted by reverse KL: the entry of a mean, the guide's location and scale there."""
    fit = symvi.fit(model, AutoLocationScale(model, scale="diagonal"), *args, divergence=ReverseKL())
    entry = next(e for e in symvi.certify(fit)["mean"].entries if e.label == f"mean of {label}")
    index = fit.density.coordinates.index(label)
    return entry, float(fit.parameters["loc"][index]), float(fit.parameters["scale"][index])


def coefficient(index: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Marginal of a coefficient of stack loss: with a flat prior on sigma a Student t with n - k - 1 degrees."""
    x, y = (a.numpy() for a in examples.get("stackloss").args)
    inverse = np.linalg.inv(x.T @ x)
    mean = inverse @ x.T @ y
    df = len(y) - x.shape[1] - 1
    scale = math.sqrt(inverse[index, index] * np.sum((y - x @ mean) ** 2) / df)
    grid = mean[index] + scale * np.linspace(-3.4, 3.4, 121)
    return grid, stats.t.pdf(grid, df, mean[index], scale), float(mean[index])


def log_tau() -> tuple[np.ndarray, np.ndarray, float]:
    """Marginal of log tau of eight schools: given tau all else is Gaussian and is integrated out."""
    effect, error = (a.numpy() for a in examples.get("eight-schools").args)
    grid = np.linspace(-12.0, 8.0, 1001)
    zero = np.zeros(len(effect))
    log_p = [
        stats.multivariate_normal.logpdf(effect, zero, np.diag(error**2 + math.exp(2 * t)) + 25.0)
        + t
        - math.log1p(math.exp(2 * t) / 25.0)
        for t in grid
    ]
    p = np.exp(np.array(log_p) - max(log_p))
    p /= np.trapezoid(p, grid)
    return grid, p, float(np.trapezoid(grid * p, grid))


def panel(
    axis: Any, truth: tuple[np.ndarray, np.ndarray, float], found: tuple[Any, float, float], words: str, below: str
) -> None:
    """One posterior, its guide, both means and the verdict; heights are scaled, since a narrow guide is a tall one."""
    grid, density, mean = truth
    entry, loc, scale = found
    ink = plots.VERDICT_COLOURS[entry.verdict.name]
    axis.fill_between(grid, density / density.max(), color=plots.PALETTE["target"], lw=0)
    inside = np.linspace(max(grid[0], loc - 4 * scale), min(grid[-1], loc + 4 * scale), 121)
    axis.plot(inside, 0.9 * np.exp(-0.5 * ((inside - loc) / scale) ** 2), color=plots.PALETTE["guide"], lw=2.2)
    axis.plot([mean, mean], [0, 1.1], color="black", lw=1.0, ls="--")
    axis.plot([mean], [1.13], "v", color="black", ms=7)
    axis.plot([loc], [0], "D", color=ink, ms=10, mec="white", clip_on=False, zorder=5)
    axis.text(0.0, 1.155, entry.verdict.name, transform=axis.transAxes, color=ink, fontweight="bold", fontsize=14)
    axis.text(0.0, 1.045, words, transform=axis.transAxes, color=ink, fontsize=11)
    axis.set_xlabel(below, fontsize=10)
    axis.set_ylim(0, 1.22)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)


def figure() -> Any:
    """Stack loss, where symmetry makes a mean exact; eight schools twice, where it does not."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    stackloss, schools = examples.get("stackloss"), examples.get("eight-schools")
    slope, tau = coefficient(1), log_tau()
    grid, density, mean = tau
    sd = math.sqrt(np.trapezoid((grid - mean) ** 2 * density, grid))
    shown = (grid > mean - 3.6 * sd) & (grid < mean + 3.1 * sd)
    tau = (grid[shown], density[shown], mean)
    exact = certified(stackloss.model, stackloss.args, "beta[1]")
    near = certified(schools.model, schools.args, "log tau")
    far = certified(centred, schools.args, "log tau")
    grid, density, mean_slope = slope
    narrow = math.sqrt(np.trapezoid((grid - mean_slope) ** 2 * density, grid)) / exact[2]
    drawn = Figure(figsize=(9.4, 3.5), layout="constrained")
    axes = drawn.subplots(1, 3)
    panel(
        axes[0],
        slope,
        exact,
        f"exact, from a guide {narrow:.0f} times too narrow",
        "stack loss regression: effect of air flow",
    )
    panel(axes[1], tau, near, f"off by at most {near[0].bound:.2g} posterior sd", "eight schools, non-centred: log tau")
    panel(axes[2], tau, far, f"not to be used: off by {(far[1] - mean) / sd:.2g} sd", "eight schools, centred: log tau")
    handles = [
        Patch(color=plots.PALETTE["target"], label="exact posterior"),
        Line2D([], [], color="black", lw=1.0, ls="--", marker="v", ms=7, label="its mean"),
        Line2D([], [], color=plots.PALETTE["guide"], lw=1.8, label="fitted normal guide"),
        Line2D(
            [], [], marker="D", ls="", color=plots.PALETTE["ink"], ms=8, label="the guide's mean, coloured by verdict"
        ),
    ]
    drawn.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=10)
    drawn.suptitle(
        "Three normal guides, none of the right shape. Whose mean is right?\n", fontsize=14, x=0.012, ha="left"
    )
    return drawn


if __name__ == "__main__":
    torch.set_num_threads(1)
    with plots.style():
        print(save_figure(figure(), Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent) / "readme.svg"))
