"""Pictures of the catalogue of failures: target and guide on the left, the objective on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._style import PALETTE, style

if TYPE_CHECKING:
    from ..recovery.failures import Curve, Directed, Failure, Optimum

_NODES, _GRID, _WIDE = 801, 161, 1.5
_MOST = 3
"""Optima drawn at most: the outermost of a plateau and one between."""
_APART = 1e-3


def plot_failure(failure: Failure, *, nodes: int = 61) -> Any:
    """Draw a counterexample: where the guide ends up, and why.

    Left: the target (pale blue, filled), the guide at its optima (dark lines) and, where it is not among them, the best
    symmetric guide (dashed). Right: the objective against the location, at the best scale for each. Red triangles are
    optima, green marks the target's mean and the best symmetric guide. On a sphere the left picture runs along the
    great circle through the axis and the guide. Where there is no optimum the curve shows what grows or falls for ever.

    Args:
        failure: Of `pyro_symvi.recovery.failures.FAILURES`.
        nodes: Places at which the objective is computed.

    Returns:
        A matplotlib figure (not shown; ``figure.savefig(path)`` writes it).

    Raises:
        TypeError: Not a failure.
    """
    from matplotlib.figure import Figure

    from ..recovery.failures import Directed, Failure

    if not isinstance(failure, Failure):
        raise TypeError(
            f"expected a failure, got {failure!r}, because its objective is drawn; try "
            'FAILURES["two modes"] from pyro_symvi.recovery.failures'
        )
    with style():
        figure = Figure(figsize=(10.0, 4.1), layout="constrained")
        left, right = figure.subplots(1, 2)
        if isinstance(failure, Directed):
            _draw_circle(left, failure)
        else:
            (_draw_line if failure.dim == 1 else _draw_plane)(left, failure)
        _draw_curve(right, failure, failure.curve(nodes))
        name = f"{failure.name[0].upper()}{failure.name[1:]}"
        figure.suptitle(f"{name}: {failure.subject} {failure.outcome}", x=0.01, ha="left", fontsize=13)
        left.set_title("target and guide")
        right.set_title(f"the premise that fails: {failure.premise}")
        for axis in (left, right):
            axis.title.set_fontsize(12)
            axis.xaxis.label.set_fontsize(12)
            axis.yaxis.label.set_fontsize(12)
            axis.tick_params(labelsize=10)
            if axis.get_legend_handles_labels()[0]:
                axis.legend(loc="upper left", bbox_to_anchor=(0.0, -0.17), ncols=2, fontsize=10)
        figure.draw_without_rendering()  # the layout settles in a second pass
    return figure


def _shown(failure: Failure) -> list[Optimum]:
    """The guides to draw: optima, else the one that stands for all."""
    return list(failure.optima()[:_MOST]) or [failure.fitted()]


def _dashed(failure: Failure) -> Optimum | None:
    """The best symmetric guide, unless it is among the optima."""
    if not hasattr(failure, "symmetric"):
        return None
    found: Optimum = failure.symmetric()
    gaps = [max(abs(x - y) for x, y in zip(o.location, found.location, strict=True)) for o in failure.optima()]
    return found if min(gaps, default=0.0) > _APART else None


def _draw_guides(axis: Any, failure: Failure, x: Tensor, z: Tensor) -> None:
    """Densities of the guides at points ``z`` against ``x``."""
    for k, optimum in enumerate(_shown(failure)):
        name = "guide at an optimum" if failure.optima() else "a guide"
        density = failure.family.log_prob(z, optimum.parameters).exp()
        axis.plot(x, density, color=PALETTE["guide"], lw=1.8, label=name if k == 0 else None)
    found = _dashed(failure)
    if found is not None and hasattr(failure, "symmetric_name"):
        density = failure.family.log_prob(z, found.parameters).exp()
        axis.plot(x, density, color=PALETTE["guide"], ls="--", lw=1.4, label=failure.symmetric_name)


def _target_density(failure: Failure, z: Tensor) -> Tensor:
    gap = (failure.log_density - failure.log_p(failure.space[0])).nan_to_num().median()
    return (failure.log_p(z) + gap).exp()


def _extent(failure: Failure, i: int) -> tuple[float, float]:
    """An interval that holds the target's mass and the optima."""
    z, mass = failure.space[0][:, i], failure.mass
    order = z.argsort()
    total = mass[order].cumsum(0)
    low, high = (float(z[order][int((total < level).sum().clamp(max=len(z) - 1))]) for level in (0.02, 0.98))
    places = [low, high, *(optimum.location[i] for optimum in _shown(failure))]
    room = 0.25 * (max(places) - min(places))
    return min(places) - room, max(places) + room


def _draw_line(axis: Any, failure: Failure) -> None:
    low, high = _extent(failure, 0)
    x = torch.linspace(low, high, _NODES, dtype=torch.float64)
    axis.fill_between(x, _target_density(failure, x[:, None]), color=PALETTE["target"], lw=0, label="target")
    _draw_guides(axis, failure, x, x[:, None])
    if "mean" not in failure.outcome:
        axis.axvline(float(failure.mean[0]), color=PALETTE["good"], lw=1.8, label="mean of the target")
    places = [o.location[0] for o in failure.optima()[:_MOST]]
    axis.plot(places, [0.0] * len(places), "^", color=PALETTE["bad"], ms=9, clip_on=False)
    axis.set_xlabel("z")
    axis.set_ylabel("density")
    axis.set_ylim(bottom=0.0)


def _draw_circle(axis: Any, failure: Directed) -> None:
    degrees = torch.linspace(-180.0, 180.0, _NODES, dtype=torch.float64)
    angle = degrees.deg2rad()
    x = torch.stack([angle.sin(), 0 * angle, angle.cos()], -1)
    axis.fill_between(degrees, _target_density(failure, x), color=PALETTE["target"], lw=0, label="target")
    _draw_guides(axis, failure, degrees, x)
    if float(failure.mean.norm()) > _APART:
        axis.axvline(0.0, color=PALETTE["good"], lw=1.8, label="mean direction")
    axis.set_xticks([-180, -90, 0, 90, 180])
    axis.set_xlabel("angle to the axis (degrees)")
    axis.set_ylabel("density on the sphere")
    axis.set_ylim(bottom=0.0)


def _draw_plane(axis: Any, failure: Failure) -> None:
    (a0, a1), (b0, b1) = _extent(failure, 0), _extent(failure, 1)
    half = 0.6 * max((a1 - a0) / _WIDE, b1 - b0)  # equal units, in a picture _WIDE times as wide as high
    ends = (((a0 + a1) / 2, _WIDE * half), ((b0 + b1) / 2, half))
    a, b = (torch.linspace(at - room, at + room, _GRID, dtype=torch.float64) for at, room in ends)
    z = torch.stack(torch.meshgrid(a, b, indexing="xy"), -1)
    log_p = failure.log_p(z)
    top = float(failure.log_p(failure.space[0]).max())
    levels = [top - 4.5, top - 2.0, top - 0.5, top + 1.0]
    axis.contourf(a, b, log_p.clamp(top - 50, top), levels=levels, colors=["#dbe6f1", "#bcd0e4", PALETTE["target"]])
    axis.fill_between([], [], color=PALETTE["target"], label="target")
    for k, optimum in enumerate(_shown(failure)):
        log_q = failure.family.log_prob(z, optimum.parameters)
        peak = float(failure.family.log_prob(torch.tensor(optimum.location), optimum.parameters))
        axis.contour(
            a, b, log_q, levels=[peak - 2.0, peak - 0.5], colors=PALETTE["guide"], linestyles="solid", linewidths=1.5
        )
        name = "guide at an optimum" if failure.optima() else "a guide"
        axis.plot([], [], color=PALETTE["guide"], label=name if k == 0 else None)
    places = torch.tensor([optimum.location for optimum in failure.optima()[:_MOST]]).reshape(-1, 2)
    axis.plot(places[:, 0], places[:, 1], "^", color=PALETTE["bad"], ms=9, label="optimum" if len(places) else None)
    if "posterior" not in failure.name:
        mean = failure.mean.tolist()
        axis.plot(*mean, "P", color=PALETTE["good"], mec="white", ms=11, ls="none", label="mean of the target")
    axis.set_aspect("equal", adjustable="datalim")
    axis.set_xlabel("first coordinate")
    axis.set_ylabel("second coordinate")


def _draw_curve(axis: Any, failure: Failure, curve: Curve) -> None:
    axis.plot(curve.at, curve.values, color=PALETTE["guide"], lw=1.8)
    _limits(axis, curve)
    if hasattr(failure, "place"):
        chosen = failure.optima()[:_MOST]
        at, values = [failure.place(o) for o in chosen], [o.value for o in chosen]
        axis.plot(at, values, "^", color=PALETTE["bad"], ms=9, label="optimum")
    if hasattr(failure, "symmetric") and hasattr(failure, "place"):
        found = failure.symmetric()
        mark = {"mfc": "white", "mew": 2, "color": PALETTE["good"], "ms": 8, "ls": "none"}
        axis.plot([failure.place(found)], [found.value], "o", label=getattr(failure, "symmetric_name", None), **mark)
    axis.set_xlabel(curve.label)
    axis.set_ylabel(getattr(failure, "quantity", "objective"))


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
