"""The three regions of a phase diagram: filled, and named where there is room for the name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._figures import INK

IMPOSSIBLE, HARD, EASY = "impossible", "hard (no known fast algorithm)", "easy"
COLOURS = {IMPOSSIBLE: "#e4e4e4", HARD: "#f6d9c6", EASY: "#ffffff"}
_TEXTS = {
    IMPOSSIBLE: ((IMPOSSIBLE, 0.22, 0.09),),
    HARD: (("hard\n(no known\nfast algorithm)", 0.26, 0.18), ("hard", 0.09, 0.06)),
    EASY: ((EASY, 0.12, 0.09),),
}
_ESTIMATED = ((f"{IMPOSSIBLE}\n(estimate)", 0.22, 0.14),)
"""Texts to try, the first that finds room, each with its width and height as shares of the axis."""

Curve = NDArray[np.float64]


def shade(
    axis: Any, x: Curve, information: Curve, algorithmic: Curve, lines: list[Curve], estimate: bool = False
) -> None:
    """Fill the regions between the curves and name them; the limits of both (log) axes must be set before.

    Args:
        axis: Both scales logarithmic.
        x: Ascending ``[m]``.
        information: Below it nothing can be learnt ``[m]``; nan where it is not known.
        algorithmic: Above it fast algorithms learn ``[m]``; nan where it is not known.
        lines: Every curve that is drawn, for names to keep clear of.
        estimate: Whether the name of the region below ``information`` says that this is an estimate.
    """
    low, high = axis.get_ylim()
    known = np.isfinite(information) & np.isfinite(algorithmic)
    floor = np.minimum(information, algorithmic)
    axis.fill_between(x, low, floor, where=known, color=COLOURS[IMPOSSIBLE], lw=0, zorder=0)
    axis.fill_between(x, floor, algorithmic, where=known, color=COLOURS[HARD], lw=0, zorder=0)
    edges = {
        IMPOSSIBLE: (np.full(len(x), low), floor),
        HARD: (floor, algorithmic),
        EASY: (algorithmic, np.full(len(x), high)),
    }
    for name, (bottom, top) in edges.items():
        for text, width, height in (_ESTIMATED if estimate and name == IMPOSSIBLE else ()) + _TEXTS[name]:
            place = roomiest(axis, x, bottom, top, lines, width, height)
            if place is not None:
                axis.text(*place, text, transform=axis.transAxes, ha="center", va="center", fontsize=9, color=INK)
                break


def roomiest(
    axis: Any, x: Curve, bottom: Curve, top: Curve, lines: list[Curve], width: float, height: float
) -> tuple[float, float] | None:
    """The centre of the tallest free box of a width between two curves; None where none has the height.

    All in shares of the axis.
    """
    grid = np.linspace(0, 1, 161)
    across = _shares(x, *axis.get_xlim())

    def level(curve: Curve) -> Curve:
        known = np.isfinite(curve)
        shares = _shares(np.where(known, curve, 1.0), *axis.get_ylim())
        return np.interp(grid, across[known], shares[known]) if known.any() else np.full(len(grid), np.nan)

    if not (np.isfinite(bottom).any() and np.isfinite(top).any()):
        return None
    lowest, highest, drawn = level(bottom), level(top), [level(line) for line in lines]
    half = width / 2 + 0.015
    best, found = height, None
    for centre in grid[(grid > half) & (grid < 1 - half)]:
        window = np.abs(grid - centre) <= half
        cuts = float(np.max(lowest[window])), float(np.min(highest[window]))
        if not cuts[0] < cuts[1]:
            continue
        spans = [(line[window].min(), line[window].max()) for line in drawn if np.isfinite(line).all()]
        for start, end in _gaps(cuts[0], cuts[1], spans):
            if end - start > best:
                best, found = end - start, (float(centre), (start + end) / 2)
    return found


def _gaps(start: float, end: float, spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """What is left of an interval without the spans."""
    left = []
    for low, high in sorted(spans):
        if low > start:
            left.append((start, min(low, end)))
        start = max(start, high)
    return [*left, (start, end)]


def _shares(values: Curve, low: float, high: float) -> Curve:
    """Positions on a log axis, 0 at its lower end and 1 at its upper."""
    return np.asarray((np.log(values) - np.log(low)) / (np.log(high) - np.log(low)))
