"""Pictures of the catalogue of failures: target and guide on the left, the objective on the right."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..families import Family
from ._style import PALETTE, style

if TYPE_CHECKING:
    from ..recovery.failures import Curve, Failure, Optimum

_NODES = 801
_GRID = 121
_MOST = 3
"""Optima drawn at most: the outermost of a plateau and one between."""


def plot_failure(failure: Failure, *, nodes: int = 61) -> Any:
    """Draw a counterexample: where the guide ends up, and why.

    Left: the target (pale blue, filled), the guide at the optima (dark line) and, where it is not among them, the best
    symmetric guide (dashed); the target's mean is the green line or cross, the fitted locations are red triangles.
    Right: the objective against the location, the scale being the best one at each, with the same marks.

    Args:
        failure: Of `pyro_symvi.recovery.failures.FAILURES`.
        nodes: Places at which the objective is computed.

    Returns:
        A matplotlib figure (not shown; ``figure.savefig(path)`` writes it).

    Raises:
        TypeError: Not a failure.
    """
    from matplotlib.figure import Figure

    from ..recovery.failures import Failure

    if not isinstance(failure, Failure):
        raise TypeError(
            f"expected a failure, got {failure!r}, because its objective is drawn; try "
            'FAILURES["two modes"] from pyro_symvi.recovery.failures'
        )
    with style():
        figure = Figure(figsize=(10.0, 3.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_target(left, failure)
        _draw_curve(right, failure, nodes)
        figure.suptitle(_title(failure), x=0.01, ha="left", fontsize=13, color=PALETTE["ink"])
        for axis in (left, right):
            axis.title.set_fontsize(12)
            axis.xaxis.label.set_fontsize(12)
            axis.yaxis.label.set_fontsize(12)
            axis.tick_params(labelsize=10)
    return figure


def _title(failure: Failure) -> str:
    error = failure.error()
    told = "no optimum" if math.isinf(error) else f"off by {error:.2g} standard deviations"
    return f"{failure.name[0].upper()}{failure.name[1:]}: the {failure.statistic} is {told}"


def _shown(failure: Failure) -> list[Optimum]:
    return list(failure.optima()[:_MOST])


def _density(family: Family, z: Tensor, optimum: Optimum) -> Tensor:
    return family.log_prob(z, optimum.parameters).exp()


def _draw_target(axis: Any, failure: Failure) -> None:
    draw = _draw_line if failure.dim == 1 else _draw_plane
    draw(axis, failure)
    axis.set_title("target and guide")


def _extent(failure: Failure, i: int) -> tuple[float, float]:
    """An interval that holds the target's mass and the optima."""
    z, mass = failure.space[0][:, i], failure.mass
    order = z.argsort()
    total = mass[order].cumsum(0)
    low, high = (float(z[order][int((total < level).sum().clamp(max=len(z) - 1))]) for level in (0.002, 0.998))
    places = [low, high, *(optimum.location[i] for optimum in _shown(failure))]
    room = 0.25 * (max(places) - min(places))
    return min(places) - room, max(places) + room


def _draw_line(axis: Any, failure: Failure) -> None:
    low, high = _extent(failure, 0)
    x = torch.linspace(low, high, _NODES, dtype=torch.float64)[:, None]
    constant = (failure.log_density - failure.log_p(failure.space[0])).nan_to_num().median()
    target = (failure.log_p(x) + constant).exp()
    axis.fill_between(x[:, 0], target, color=PALETTE["target"], lw=0, label="target")
    chosen = _shown(failure)
    for k, optimum in enumerate(chosen):
        label = "guide at an optimum" if k == 0 else None
        axis.plot(x[:, 0], _density(failure.family, x, optimum), color=PALETTE["guide"], lw=1.8, label=label)
    centred = failure.symmetric() if hasattr(failure, "symmetric") else None
    if centred is not None and all(abs(o.location[0] - centred.location[0]) > 1e-3 for o in chosen):
        label = "best guide at the centre"
        axis.plot(x[:, 0], _density(failure.family, x, centred), color=PALETTE["guide"], ls="--", lw=1.4, label=label)
    mean = float(failure.mean[0])
    axis.axvline(mean, color=PALETTE["good"], lw=1.8, label="mean of the target")
    axis.plot([o.location[0] for o in chosen], [0.0] * len(chosen), "^", color=PALETTE["bad"], ms=9, clip_on=False)
    axis.set_xlabel("z")
    axis.set_ylabel("density")
    axis.set_ylim(bottom=0.0)
    axis.legend(loc="upper left", bbox_to_anchor=(0.0, -0.2), ncols=2, fontsize=10)


def _draw_plane(axis: Any, failure: Failure) -> None:
    (a0, a1), (b0, b1) = _extent(failure, 0), _extent(failure, 1)
    a, b = (torch.linspace(lo, hi, _GRID, dtype=torch.float64) for lo, hi in ((a0, a1), (b0, b1)))
    z = torch.stack(torch.meshgrid(a, b, indexing="xy"), -1)
    log_p = failure.log_p(z)
    top = float(log_p.max())
    levels = [top - 4.5, top - 2.0, top - 0.5, top + 1.0]
    axis.contourf(a, b, log_p.clamp_min(top - 50), levels=levels, colors=["#dbe6f1", "#bcd0e4", PALETTE["target"]])
    for optimum in _shown(failure):
        log_q = failure.family.log_prob(z, optimum.parameters)
        peak = float(log_q.max())
        axis.contour(a, b, log_q, levels=[peak - 2.0, peak - 0.5], colors=PALETTE["guide"], linewidths=1.5)
        axis.plot(*optimum.location, "^", color=PALETTE["bad"], ms=9)
    axis.plot(*failure.mean.tolist(), "P", color=PALETTE["good"], ms=10)
    axis.set_xlabel("first coordinate")
    axis.set_ylabel("second coordinate")


def _draw_curve(axis: Any, failure: Failure, nodes: int) -> None:
    curve = failure.curve(nodes)
    axis.plot(curve.at, curve.values, color=PALETTE["guide"], lw=1.8)
    _limits(axis, curve)
    chosen = _shown(failure)
    moving = int(torch.tensor(getattr(failure, "direction", (1.0,))).abs().argmax())
    axis.plot(
        [optimum.location[moving] for optimum in chosen],
        [optimum.value for optimum in chosen],
        "^",
        color=PALETTE["bad"],
        ms=9,
        label="optimum",
    )
    if hasattr(failure, "symmetric"):
        value = failure.symmetric().value
        at = failure.centre[moving]
        axis.plot(at, value, "o", mfc="white", mew=2, color=PALETTE["good"], ms=8, label="centre of symmetry")
    axis.set_xlabel(curve.label)
    axis.set_ylabel("objective")
    axis.set_title("what is minimised")
    axis.legend(loc="upper left", bbox_to_anchor=(0.0, -0.2), ncols=2, fontsize=10)


def _limits(axis: Any, curve: Curve) -> None:
    """Room about a flat curve; grey where it is infinite."""
    seen = curve.values[curve.values.isfinite()]
    low, high = float(seen.min()), float(seen.max())
    room = max(0.08 * (high - low), 0.02 * abs(high) if high - low < 1e-9 * abs(high) else 0.0)
    axis.set_ylim(low - room, high + room)
    axis.set_xlim(float(curve.at[0]), float(curve.at[-1]))
    beyond = ~curve.values.isfinite()
    if bool(beyond.any()):
        axis.fill_between(
            curve.at, low - room, high + room, where=beyond, color=PALETTE["faint"], alpha=0.5, lw=0, label="infinite"
        )


__all__ = ["plot_failure"]
