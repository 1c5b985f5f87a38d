"""How even the parameters were before and are after, and by how much each layer was scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..._figures import INK, METHODS, REFERENCE, tidy
from ..conditioning import Conditioning
from ..criteria import PathCriterion
from ..path_lifting import log_path_weights

MOST_LAYERS = 60
"""Layers beyond which only the first are drawn."""
_BINS = 80


def draw_spread(axis: Any, result: Conditioning) -> None:
    """Histograms before and after of log10 g (path criterion) or log10 abs(theta) (others), zeros left out.

    g_i is the sum over paths through parameter i of the squared product of the other weights; conditioning makes its
    histogram narrow.
    """
    group = result.group
    logs = group.action.log_factors(result.log_scale / 2)  # -Bz/2
    theta = group.parameters(result.model)
    if isinstance(result.criterion, PathCriterion):
        now, change, name = log_path_weights(group.traced, theta), -2 * logs, "log10 g"
    else:
        now, change, name = theta.abs().log(), logs, "log10 |weight|"
    before, after = (now - change, now) if result.applied else (now, now + change)
    known = now > -torch.inf
    parts = [(values[known] / np.log(10)).numpy() for values in (before, after)]
    joint = np.concatenate(parts) if len(parts[0]) else np.zeros(1)
    low, high = np.quantile(joint, [0.0005, 0.9995])
    edges = np.linspace(low - 0.05, high + 0.05, _BINS + 1)
    for values, colour, label in zip(parts, (REFERENCE, METHODS[0]), ("before", "after"), strict=True):
        axis.hist(np.clip(values, edges[0], edges[-1]), edges, color=colour, alpha=0.7, label=label)
    axis.set_xlabel(name, fontsize=9)
    axis.set_ylabel("parameters", fontsize=9)
    axis.set_title("Spread over the parameters", fontsize=10, color=INK, loc="left")
    axis.legend(fontsize=8, frameon=False)
    tidy(axis)


def draw_scales(axis: Any, result: Conditioning) -> None:
    """The factor exp(z / 2) on the weights into each free unit, log scale: a dot a unit, a mark at the median."""
    rows = [block for block in result.group.traced.blocks if bool((block.scales >= 0).any())][:MOST_LAYERS]
    jitter = np.random.default_rng(0)
    for number, block in enumerate(rows):
        factors = (result.log_scale[block.scales[block.scales >= 0]] / 2).exp().numpy()
        places = number + jitter.uniform(-0.25, 0.25, len(factors))
        axis.scatter(factors, places, s=4, color=REFERENCE, lw=0, rasterized=len(factors) > 2000)
        axis.plot([np.median(factors)], [number], "|", color=METHODS[0], ms=12, mew=2)
    axis.axvline(1.0, color=INK, lw=0.6, ls=":")
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("{x:g}" if _narrow(axis) else "")
    axis.set_yticks(range(len(rows)), [block.name for block in rows])
    axis.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axis.set_xlabel("factor on the weights into a unit", fontsize=9)
    axis.set_title("Scales by layer", fontsize=10, color=INK, loc="left")
    tidy(axis)
    axis.tick_params(axis="x", which="minor", labelsize=7)


def _narrow(axis: Any) -> bool:
    """Whether the axis spans too little for powers of ten to mark it."""
    low, high = axis.get_xlim()
    return bool(high < 20 * low)


def plot_conditioning(result: Conditioning) -> Any:
    """Both as one figure; see :func:`draw_spread` and :func:`draw_scales`."""
    from matplotlib.figure import Figure

    blocks = sum(bool((b.scales >= 0).any()) for b in result.group.traced.blocks)
    height = 3.4 + 0.16 * max(0, min(blocks, MOST_LAYERS) - 12)
    figure = Figure(figsize=(9.0, height), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_spread(left, result)
    draw_scales(right, result)
    return figure
