"""The output's spectrum while a model learns."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch

from ..._figures import FAINT, INK, METHODS, tidy
from ...groups import Group
from ._labels import drawn

MOST_BANDS = 7
"""Irreps with a colour of their own; the others are summed."""


def draw_epochs(
    axis: Any,
    time: Sequence[float],
    fractions: Any,
    labels: Sequence[Hashable],
    *,
    target: tuple[Hashable, ...] = (),
    group: Group | None = None,
    unit: str = "epoch",
) -> None:
    """Fractions of the output's energy stacked, from time to time; the target's at the bottom, what is left on top.

    Args:
        axis: to draw into.
        time: of each row.
        fractions: ``[times, irreps]``.
        labels: of the irreps.
        target: labels of the output's irreps.
        group: whose irreps; it says how their labels are written.
        unit: of the time.

    Raises:
        ValueError: sizes that don't agree.
    """
    rows = torch.as_tensor(fractions, dtype=torch.float64)
    if rows.shape != (len(time), len(labels)):
        raise ValueError(f"expected fractions of shape [{len(time)}, {len(labels)}], got {list(rows.shape)}")
    wanted = [i for i, label in enumerate(labels) if label in target]
    others = sorted((i for i in range(len(labels)) if i not in wanted), key=lambda i: -float(rows[:, i].mean()))
    order = [*wanted, *sorted(others[: max(0, MOST_BANDS - len(wanted))])]
    rest = [i for i in others if i not in order]
    bands = [rows[:, i] for i in order]
    names = [f"{drawn(labels[i], group)}{' (target)' if i in wanted else ''}" for i in order]
    if rest:
        bands.append(rows[:, rest].sum(1))
        names.append("other irreps")
    bands.append((1 - torch.stack(bands).sum(0)).clamp(min=0))
    names.append("residual")
    colours = [METHODS[k % len(METHODS)] for k in range(len(order))] + ["#d9d9d9"] * bool(rest) + ["white"]
    axis.stackplot(
        list(time), torch.stack(bands).clamp(min=0).tolist(), colors=colours, labels=names, lw=0.3, edgecolor=FAINT
    )
    axis.set_xlim(min(time), max(time))
    axis.set_ylim(0, 1)
    axis.set_xlabel(unit, fontsize=9)
    axis.set_ylabel("fraction of E|u|²", fontsize=9)
    axis.set_title("Spectrum of the output while training", fontsize=10, color=INK, loc="left")
    handles, texts = axis.get_legend_handles_labels()
    axis.legend(handles[::-1], texts[::-1], fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    tidy(axis)


def plot_epochs(
    time: Sequence[float],
    fractions: Any,
    labels: Sequence[Hashable],
    *,
    target: tuple[Hashable, ...] = (),
    group: Group | None = None,
    unit: str = "epoch",
) -> Any:
    """The stacked fractions as a figure; see :func:`draw_epochs`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 3.6), layout="constrained")
    draw_epochs(figure.add_subplot(), time, fractions, labels, target=target, group=group, unit=unit)
    return figure
