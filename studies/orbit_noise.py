"""How far from the truth does constant-step SVI hover, with independent particles and with mirrored pairs?

A posterior of three parameters that is even about its mean, correlated and not normal (mixed logistic variables), and a
guide of independent normals. Pyro's SVI with plain SGD, SGD with momentum and Adam, constant steps, two particles a
step: once independent, once a fresh draw and its mirror image. The error of the located mean is known exactly, in
posterior standard deviations; that of the scale is against the optimum of the same family.

    make study-orbit_noise      (or python studies/orbit_noise.py; well under a minute)

Writes `docs/orbit_noise.txt` and `docs/orbit_noise.svg`. Where CI is set: a short run that is printed alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI
from torch import Tensor

from pyro_symvi.divergences import ReverseKL
from pyro_symvi.groups import PointReflection
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.infer import DivergenceELBO

DOCS = Path(__file__).resolve().parent.parent / "docs"
STEPS = 200 if os.environ.get("CI") else 1500
MEAN = torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)
MIX = 0.5 * torch.tensor([[1.0, 0.0, 0.0], [0.8, 1.2, 0.0], [-0.4, 0.3, 0.9]], dtype=torch.float64)
SD = MIX.norm(dim=-1) * math.pi / 3**0.5
UNMIX = torch.linalg.inv(MIX)
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "SGD": lambda: pyro.optim.SGD({"lr": 0.05}),
    "momentum": lambda: pyro.optim.SGD({"lr": 0.01, "momentum": 0.9}),
    "Adam": lambda: pyro.optim.Adam({"lr": 0.02}),
}
NOISE = {"independent": None, "pairs": PointReflection()}
COLORS = {"SGD": "#0072b2", "momentum": "#d55e00", "Adam": "#009e73"}


def log_density(z: Tensor) -> Tensor:
    """Log density of ``MEAN + MIX x``, x three independent logistic variables, up to a constant."""
    return dist.Logistic(0.0, 1.0).log_prob((z - MEAN) @ UNMIX.mT).sum(-1)


def model() -> None:
    """The posterior as a Pyro model."""
    z = pyro.sample("z", dist.ImproperUniform(dist.constraints.real_vector, (), (3,)))
    pyro.factor("posterior", log_density(z))


def best_scales() -> Tensor:
    """Scales of the reverse-KL optimum, by L-BFGS on 2^14 fixed mirrored draws (error some 1e-3)."""
    draws = torch.quasirandom.SobolEngine(3, scramble=True, seed=0).draw(1 << 13, dtype=torch.float64)
    noise = dist.Normal(0.0, 1.0).icdf(draws.clamp(1e-9, 1 - 1e-9))
    noise = torch.cat([noise, -noise])
    logs = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logs], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = -log_density(MEAN + noise * logs.exp()).mean() - logs.sum()
        value.backward()
        return value

    optimizer.step(loss)
    return logs.detach().exp()


def trajectory(optimizer: Any, symmetry: Any, scales: Tensor) -> tuple[list[float], list[float]]:
    """Largest error of the mean (posterior sd) and of the log scale, after each step."""
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    guide = AutoLocationScale(model, "normal", "diagonal", init_scale=0.5)
    guide()
    with torch.no_grad():
        guide.loc.copy_(MEAN + 1.0)
    loss = DivergenceELBO(ReverseKL(), num_particles=2, max_plate_nesting=0, symmetry=symmetry)
    svi = SVI(model, guide, optimizer, loss)
    location, scale = [], []
    for _ in range(STEPS):
        svi.step()
        location.append(float(((guide.loc.detach() - MEAN) / SD).abs().max()))
        scale.append(float((guide.scale.detach() / scales).log().abs().max()))
    return location, scale


def table(runs: dict[tuple[str, str], tuple[list[float], list[float]]]) -> str:
    """Errors at a few steps; the scale's is the median over the last quarter."""
    marks = [step for step in (50, 100, 200, 500, 1000, 1500) if step <= STEPS]
    lines = ["error of the mean (posterior sd) after so many steps; of the log scale, median over the last quarter", ""]
    lines.append("particles    optimiser " + "".join(f"{step:>10}" for step in marks) + "     scale")
    for (noise, name), (location, scale) in runs.items():
        late = sorted(scale[-STEPS // 4 :])
        cells = "".join(f"{location[step - 1]:>10.1e}" for step in marks)
        lines.append(f"{noise:<13}{name:<10}{cells}{late[len(late) // 2]:>10.2f}")
    return "\n".join(lines) + "\n"


def figure(runs: dict[tuple[str, str], tuple[list[float], list[float]]]) -> Any:
    """Two panels: the mean, whose noise vanishes with pairs, and the scale, whose noise does not."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.hashsalt": "orbit noise", "svg.fonttype": "none", "font.size": 10})
    page = Figure(figsize=(8.6, 3.7), layout="constrained")
    left, right = page.subplots(1, 2, width_ratios=[1.6, 1])
    steps = range(1, STEPS + 1)
    every = max(1, STEPS // 250)
    for (noise, name), (location, scale) in runs.items():
        style = {"color": COLORS[name], "linewidth": 1.3 if noise == "pairs" else 0.7}
        for axes, values in ((left, location), (right, scale)):
            shown = [max(value, 1e-17) for value in values]
            alpha = 1.0 if noise == "pairs" else 0.45
            axes.semilogy(
                steps[::every], shown[::every], alpha=alpha, label=name if noise == "pairs" else None, **style
            )
    left.text(STEPS, 4.0, "independent particles", ha="right", va="bottom", color="0.25")
    left.text(STEPS, 4e-18, "a draw and its mirror image", ha="right", va="bottom", color="0.25")
    left.set(ylim=(1e-18, 60), xlabel="step", title="error of the mean (posterior sd)")
    right.set(ylim=(1e-2, 2), xlabel="step", title="error of the log scale")
    left.legend(frameon=False, loc="center right")
    for axes in (left, right):
        axes.title.set_fontsize(10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.92", linewidth=0.6)
    return page


def main() -> None:
    """Run all six, print the table, and, in a full run, write it and the figure to the documentation."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    scales = best_scales()
    runs = {
        (noise, name): trajectory(make(), symmetry, scales)
        for noise, symmetry in NOISE.items()
        for name, make in OPTIMIZERS.items()
    }
    text = table(runs)
    print(text, end="")
    page = figure(runs)
    if os.environ.get("CI"):
        return
    (DOCS / "orbit_noise.txt").write_text(text, encoding="utf-8")
    page.savefig(DOCS / "orbit_noise.svg", metadata={"Date": None})
    print(f"wrote {DOCS / 'orbit_noise.txt'} and {DOCS / 'orbit_noise.svg'}")


if __name__ == "__main__":
    main()
