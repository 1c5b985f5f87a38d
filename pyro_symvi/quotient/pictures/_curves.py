"""Figures over training steps or sizes, with intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from ..._figures import INK, METHODS, tidy
from ..metrics._checks import confidence_level


def draw_curves(
    curves: Mapping[str, Tensor],
    at: Tensor | Sequence[float],
    *,
    label: str,
    figure_label: str,
    confidence: float = 0.95,
    log: tuple[bool, bool] = (False, False),
    target: float | None = None,
    heading: str = "",
) -> Any:
    """Mean over seeds against steps, a line a method with Student's interval as a band (none for one seed).

    Bands of two methods may overlap although paired seeds tell them apart: see ``metrics.paired_differences``.

    Args:
        curves: by method, ``[seeds, points]`` or ``[points]``; nan where a figure is missing.
        at: ``[points]``, steps or sizes, increasing.
        label: of the horizontal axis.
        figure_label: of the vertical axis, with unit.
        confidence: of the band.
        log: whether the horizontal, the vertical axis is logarithmic.
        target: a value to be reached, dashed.
        heading: above.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: for no curve, places that do not increase, or tables that do not fit them.
    """
    from matplotlib.figure import Figure

    level, places = confidence_level(confidence), torch.as_tensor(at, dtype=torch.float64).cpu()
    if places.ndim != 1 or not len(places) or not bool((places.diff() > 0).all()):
        raise ValueError(f"expected increasing places [points], got {places.tolist()}")
    if not curves:
        raise ValueError("expected at least one curve, got none")
    figure = Figure(figsize=(5.2, 3.3), layout="constrained")
    axis = figure.subplots()
    for number, (name, values) in enumerate(curves.items()):
        table = torch.as_tensor(values).detach().double().cpu()
        table = table[None] if table.ndim == 1 else table
        if table.ndim != 2 or table.shape[1] != len(places) or bool(torch.isinf(table).any()):
            raise ValueError(f"expected [seeds, {len(places)}] for {name}, none infinite, got {list(table.shape)}")
        mean, half = _student(table.numpy(), level)
        colour = METHODS[number % len(METHODS)]
        seeds = f" ({len(table)} seeds)" if len(table) > 1 else ""
        kept = ~np.isnan(mean)
        axis.plot(places[kept], mean[kept], color=colour, lw=1.5, marker="o", ms=3, label=f"{name}{seeds}")
        low = mean - half
        if log[1]:
            low = np.where(low > 0, low, np.nanmin(np.where(mean > 0, mean, np.nan)) / 10)
        axis.fill_between(places[kept], low[kept], (mean + half)[kept], color=colour, alpha=0.16, lw=0)
    if target is not None:
        axis.axhline(target, color=INK, lw=0.9, ls=(0, (4, 3)), label=f"target {target:g}")
    _scale(axis.xaxis, axis.set_xscale, log[0], places.tolist() if len(places) <= 8 else None)
    _scale(axis.yaxis, axis.set_yscale, log[1], None)
    axis.set_xlabel(label, fontsize=9)
    axis.set_ylabel(figure_label, fontsize=9)
    axis.set_title(heading, fontsize=10, color=INK, loc="left")
    axis.legend(frameon=False, fontsize=8)
    tidy(axis)
    return figure


def _scale(axis: Any, choose: Callable[[str], None], logarithmic: bool, ticks: list[float] | None) -> None:
    """A linear or logarithmic axis with plain numbers; at the places themselves where there are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    choose("log" if logarithmic else "linear")
    if logarithmic:
        if ticks is None:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        else:
            axis.set_ticks(ticks)
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _student(table: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean over seeds and half width of its interval, of the seeds that have a figure; 0 for fewer than two."""
    counts = (~np.isnan(table)).sum(0)
    mean = np.where(counts > 0, np.nansum(table, 0) / np.maximum(counts, 1), math.nan)
    square = np.nansum((table - mean) ** 2, 0) / np.maximum(counts - 1, 1)
    half = scipy.stats.t.ppf((1 + level) / 2, np.maximum(counts - 1, 1)) * np.sqrt(square / np.maximum(counts, 1))
    return mean, np.where(counts > 1, half, 0.0)
