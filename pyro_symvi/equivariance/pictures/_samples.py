"""The error sample by sample."""

from __future__ import annotations

from typing import Any

import torch

from ..._figures import INK, METHODS, REFERENCE, tidy
from ..errors import EquivarianceError


def draw_samples(axis: Any, error: EquivarianceError) -> None:
    """The share of samples whose error A is larger than a value, both on log scales, with the rounding floor.

    A heavy tail, a few samples far worse than the others, is a line that goes on to the right. Zeros are drawn at the
    left end.
    """
    floor = error.noise_floor
    values = error.per_sample.double().sort().values
    positive = values[values > 0].tolist()
    least = min([*positive, *([floor / 3] if floor > 0 else [])], default=1e-16)
    values = values.clamp(min=least)
    shares = 1 - torch.arange(len(values), dtype=torch.float64) / len(values)
    axis.step(values.tolist(), shares.tolist(), where="pre", color=METHODS[0], lw=1.4)
    axis.plot(values.tolist(), shares.tolist(), "o", ms=3, color=METHODS[0])
    axis.set_xscale("log")
    left, right = axis.get_xlim()
    left, right = min(left, float(values[0]) / 2), max(right, float(values[-1]) * 2)
    if floor > 0:
        left = min(left, floor / 3)
        axis.axvspan(left, floor, color=REFERENCE, alpha=0.35, lw=0, label="rounding")
    pooled = max(error.A, least)
    axis.axvline(pooled, color=INK, lw=0.9, ls=(0, (4, 3)), label=f"pooled A = {error.A:.2g}")
    axis.set_xlim(left, right)
    axis.set_ylim(0, 1.05)
    axis.set_xlabel("error A of a sample", fontsize=9)
    axis.set_ylabel("share of samples above", fontsize=9)
    axis.set_title(f"Error by sample ({len(values)})", fontsize=10, color=INK, loc="left")
    axis.legend(fontsize=8, frameon=False, loc="lower left")
    tidy(axis)


def plot_samples(error: EquivarianceError) -> Any:
    """The distribution of errors as a figure; see :func:`draw_samples`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.4), layout="constrained")
    draw_samples(figure.add_subplot(), error)
    return figure
