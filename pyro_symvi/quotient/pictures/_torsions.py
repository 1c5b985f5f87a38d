"""Laws of torsions: one at a time as histograms, two at a time as a map."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._figures import FAINT, INK, METHODS, REFERENCE, tidy
from ..._value import positive_int
from ..metrics import defined


def draw_torsions(
    samples: Mapping[str, Tensor],
    reference: Tensor | Callable[[Tensor], Tensor] | None = None,
    *,
    names: Sequence[str] | None = None,
    bins: int = 72,
    heading: str = "",
) -> Any:
    """Densities of T torsions by method, one panel each, over the reference's in light blue.

    Args:
        samples: by method, angles ``[n, T]`` (or ``[n]``) in radians; undefined ones are left out and their share is
            in the legend.
        reference: angles ``[m, T]``, or a density (of an angle in radians, elementwise) that all T share.
        names: of the torsions.
        bins: of 360 degrees.
        heading: above all panels.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: for no method, and for different numbers of torsions or names.
    """
    from matplotlib.figure import Figure

    positive_int(bins, "bins", 2)
    columns = {name: _columns(values, name) for name, values in samples.items()}
    if not columns:
        raise ValueError("expected the torsions of at least one method, got none")
    counts = {values.shape[1] for values in columns.values()}
    known = None if reference is None or not isinstance(reference, Tensor) else _columns(reference, "reference")
    counts |= set() if known is None else {known.shape[1]}
    if len(counts) != 1:
        raise ValueError(f"expected as many torsions of each method, got {sorted(counts)}")
    (count,) = counts
    if names is not None and len(names) != count:
        raise ValueError(f"expected {count} names, one a torsion, got {len(names)}")
    across = min(count, 3)
    down = -(-count // across)
    figure = Figure(figsize=(max(3.4 * across, 4.2), 2.3 * down + 0.7), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    edges = np.linspace(-180, 180, bins + 1)
    for k, axis in enumerate(axes):
        if k >= count:
            axis.set_axis_off()
            continue
        if known is not None:
            axis.stairs(_density(known[:, k], edges), edges, fill=True, color=REFERENCE, alpha=0.7, label="reference")
        elif callable(reference):
            angles = torch.linspace(-math.pi, math.pi, 721, dtype=torch.float64)
            curve = reference(angles).detach() * math.pi / 180
            axis.fill_between(np.degrees(angles.numpy()), curve.numpy(), color=REFERENCE, alpha=0.7, label="reference")
        for number, (name, values) in enumerate(columns.items()):
            kept, lost = defined(values[:, k])
            label = f"{name} ({lost:.1%} undefined)" if lost else name
            colour = METHODS[number % len(METHODS)]
            axis.stairs(_density(kept, edges), edges, baseline=None, color=colour, lw=1.2, label=label)
        _degrees(axis.xaxis, axis.set_xlim, 60)
        axis.set_ylim(bottom=0)
        axis.set_title(names[k] if names else (f"torsion {k + 1}" if count > 1 else ""), fontsize=9, color=INK)
        axis.set_yticks([])
        axis.set_xlabel("degrees", fontsize=8)
        if k % across == 0:
            axis.set_ylabel("density", fontsize=8)
        tidy(axis)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, fontsize=8)
    if heading:
        figure.suptitle(heading, fontsize=10, color=INK)
    return figure


def draw_ramachandran(
    samples: Mapping[str, tuple[Tensor, Tensor]],
    reference: tuple[Tensor, Tensor] | None = None,
    *,
    names: tuple[str, str] = ("phi", "psi"),
    bins: int = 60,
    heading: str = "",
) -> Any:
    """Two torsions at once, one map a method: where marginals agree and the joint law does not.

    Args:
        samples: by method, two tensors ``[n]`` of angles in radians; pairs with an undefined one are left out.
        reference: two tensors; its regions that hold 50 % and 90 % are outlined in each map.
        names: of the two torsions.
        bins: of 360 degrees, in both directions.
        heading: above all panels.

    Returns:
        A matplotlib figure. Colours are shares of a cell on one logarithmic scale.

    Raises:
        ValueError: for no method.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    positive_int(bins, "bins", 2)
    shown = {**({} if reference is None else {"reference": reference}), **samples}
    if not samples:
        raise ValueError("expected the torsions of at least one method, got none")
    edges = np.linspace(-180, 180, bins + 1)
    maps = {name: _map(pair, edges, name) for name, pair in shown.items()}
    top = max(float(values.max()) for values in maps.values())
    figure = Figure(figsize=(2.7 * len(maps) + 0.9, 3.2), layout="constrained")
    axes = figure.subplots(1, len(maps), squeeze=False, sharey=True).ravel()
    mesh: Any = None
    for axis, (name, values) in zip(axes, maps.items(), strict=True):
        mesh = axis.pcolormesh(
            edges, edges, np.ma.masked_equal(values.T, 0), cmap="YlGnBu", norm=LogNorm(top / 300, top), rasterized=True
        )
        if reference is not None:
            _outline(axis, maps["reference"], edges)
        axis.set_aspect("equal")
        axis.set_title(name, fontsize=9, color=INK)
        _degrees(axis.xaxis, axis.set_xlim, 90)
        _degrees(axis.yaxis, axis.set_ylim, 90)
        axis.set_xlabel(f"{names[0]} (degrees)", fontsize=8)
        tidy(axis)
    axes[0].set_ylabel(f"{names[1]} (degrees)", fontsize=8)
    bar = figure.colorbar(mesh, ax=list(axes), shrink=0.8, extend="min")
    bar.ax.tick_params(labelsize=7)
    bar.set_label("share of a cell", fontsize=8)
    if heading:
        figure.suptitle(heading, fontsize=10, color=INK)
    return figure


def _columns(values: Tensor, name: str) -> Tensor:
    if not isinstance(values, Tensor) or not values.is_floating_point() or values.ndim not in (1, 2):
        raise ValueError(f"expected torsions [n] or [n, T] of a floating dtype for {name}, got {values!r:.80}")
    values = values.detach().double().cpu()
    values = values[:, None] if values.ndim == 1 else values
    if not len(values) or bool(torch.isnan(values).all(0).any()) or bool(torch.isinf(values).any()):
        raise ValueError(f"expected at least one defined value of each torsion for {name}, and none infinite")
    return values


def _wrapped(values: Tensor) -> np.ndarray:
    return np.degrees(np.mod(values.detach().double().cpu().numpy() + math.pi, 2 * math.pi) - math.pi)


def _density(values: Tensor, edges: np.ndarray) -> np.ndarray:
    kept, _ = defined(values)
    return np.histogram(_wrapped(kept), edges)[0] / (len(kept) * (edges[1] - edges[0]))


def _map(pair: tuple[Tensor, Tensor], edges: np.ndarray, name: str) -> np.ndarray:
    first, second = (_columns(values, name)[:, 0] for values in pair)
    if first.shape != second.shape:
        raise ValueError(f"expected as many values of both torsions for {name}, got {len(first)} and {len(second)}")
    kept = torch.isfinite(first) & torch.isfinite(second)
    if not bool(kept.any()):
        raise ValueError(f"expected at least one pair of defined torsions for {name}, got none")
    counts = np.histogram2d(_wrapped(first[kept]), _wrapped(second[kept]), (edges, edges))[0]
    return counts / counts.sum()


def _outline(axis: Any, values: np.ndarray, edges: np.ndarray) -> None:
    """Contours of the smallest regions with 50 % and 90 % of the mass, of the map smoothed over a cell or two."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(values, 1.2, mode="wrap")
    ordered = np.sort(smooth.ravel())[::-1]
    mass = np.cumsum(ordered)
    levels = sorted(float(ordered[min(np.searchsorted(mass, share * mass[-1]), mass.size - 1)]) for share in (0.5, 0.9))
    if levels[0] < levels[1]:
        step = edges[1] - edges[0]
        centres = np.concatenate([[edges[0] - step / 2], (edges[1:] + edges[:-1]) / 2, [edges[-1] + step / 2]])
        axis.contour(
            centres, centres, np.pad(smooth, 1, mode="wrap").T, levels, colors="#d1662b", linewidths=(0.7, 1.1)
        )


def _degrees(axis: Any, limit: Any, step: int) -> None:
    limit(-180, 180)
    axis.set_ticks(range(-180, 181, step))
    axis.axes.grid(color=FAINT, lw=0.3, alpha=0.5)
