"""Errors while a model learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..._figures import INK, METHODS, REFERENCE, tidy


def draw_training(
    axis: Any,
    time: Sequence[float],
    errors: Mapping[str, Sequence[float]],
    *,
    floor: float | None = None,
    unit: str = "epoch",
) -> None:
    """Errors on a log scale against time, with the rounding floor as a band: below it nothing is known.

    Args:
        axis: to draw into.
        time: when the errors were taken.
        errors: by name, as long as ``time``; zeros are drawn at the floor.
        floor: in the unit of the errors.
        unit: of the time.

    Raises:
        ValueError: lengths that differ, no error at all.
    """
    if not errors:
        raise ValueError("expected errors by name, got none; try {'relative error': [...]}")
    for name, values in errors.items():
        if len(values) != len(time):
            raise ValueError(f"expected {len(time)} errors of {name!r}, one for each time, got {len(values)}")
    positive = [value for values in errors.values() for value in values if value > 0]
    least = min([*positive, *([floor] if floor else [])], default=1e-8)
    for number, (name, values) in enumerate(errors.items()):
        shown = [max(float(value), least) for value in values]
        axis.plot(
            list(time),
            shown,
            color=METHODS[number % len(METHODS)],
            lw=1.4,
            marker="o" if len(shown) <= 40 else None,
            ms=3,
            label=name,
        )
    axis.set_yscale("log")
    if floor:
        bottom = min(floor / 3, axis.get_ylim()[0])
        axis.axhspan(bottom, floor, color=REFERENCE, alpha=0.35, lw=0, label="rounding")
        axis.set_ylim(bottom=bottom)
    axis.set_xlabel(unit, fontsize=9)
    axis.set_ylabel("equivariance error", fontsize=9)
    axis.set_title("Error while training", fontsize=10, color=INK, loc="left")
    if len(errors) > 1 or floor:
        axis.legend(fontsize=8, frameon=False)
    tidy(axis)


def plot_training(
    time: Sequence[float],
    errors: Mapping[str, Sequence[float]],
    *,
    floor: float | None = None,
    unit: str = "epoch",
) -> Any:
    """The errors as a figure; see :func:`draw_training`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    draw_training(figure.add_subplot(), time, errors, floor=floor, unit=unit)
    return figure
