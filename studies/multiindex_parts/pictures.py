"""Pictures of the study: guides by start, and curvature at the tied point, along the sample ratio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bnn_parts import cells
from multiindex_parts.starts import STARTS
from multiindex_parts.tables import Curves, Found, column, half

COLOURS = dict(zip(STARTS, ("#b5b5b5", "#4d4d4d", "#c49a1a", "#d1652f", "#1d3a66", "#2a7f62"), strict=True))
LABELS = {
    "centred": "tied, $m = 0$",
    "tied": "tied",
    "broken": "mixture, from near $m = 0$",
    "random": "mixture, random start",
    "spectral": "mixture, spectral start",
    "informed": "mixture, informed start",
}
MEASURES = (("mixture", "ELBO per datum (nats)"), ("error", "error of the mean (signal: 1)"), ("q", "overlap $q_d$"))
LINES = {
    "information": (":", "#8a4f9e", "information-theoretic threshold"),
    "algorithmic": ("--", "#b5483a", "algorithmic threshold"),
    "signal": ("-.", "#2a7f62", "$p\\,(1+\\Delta)/c_1^2$"),
}
SIZES = {50: "#9bb7d4", 100: "#5d7a89", 200: "#1d3a66"}


def guides(found: Found, known: dict[str, dict[str, float | None]], dim: int, path: Path) -> None:
    """Three measures against n/d, a column for each activation, with 95 % Student intervals over seeds."""
    names = list(dict.fromkeys(name for name, size, _ in found if size == dim))
    figure, axes = cells.figure(len(MEASURES), len(names), 3.6 * len(names), 7.6)
    for across, name in enumerate(names):
        here = {ratio: cell for (other, size, ratio), cell in found.items() if (other, size) == (name, dim)}
        ratios = np.array(list(here))
        for down, (what, title) in enumerate(MEASURES):
            axis = axes[down][across]
            for start in (s for s in STARTS if all(s in cell["runs"] for cell in here.values())):
                rows = [column(cell, start, what) for cell in here.values()]
                middle, reach = np.array([r.mean() for r in rows]), np.array([half(r) for r in rows])
                axis.plot(ratios, middle, "o-", color=COLOURS[start], ms=3, lw=1.3, label=LABELS[start])
                axis.fill_between(ratios, middle - reach, middle + reach, color=COLOURS[start], alpha=0.15, lw=0)
            _ratio_axis(axis, ratios)
            _thresholds(axis, known[name], ("information", "algorithmic"))
            axis.set_ylabel(title if across == 0 else "")
            axis.set_title(f"{name}, p = 4, d = {dim}" if down == 0 else "")
            if what != "mixture":
                axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
    _legend(figure, *axes.flat)
    cells.save(figure, path)


def curvature(found: Curves, known: dict[str, dict[str, float | None]], path: Path) -> None:
    """Lowest eigenvalue and overlap of its eigenvector with the teacher against n/d."""
    names = list(dict.fromkeys(name for name, _, _ in found))
    figure, axes = cells.figure(2, len(names), 3.6 * len(names), 5.8)
    for across, name in enumerate(names):
        kind = "centred" if any(key[0] == name and key[2] == "centred" for key in found) else "free"
        here = {dim: columns for (other, dim, which), columns in found.items() if (other, which) == (name, kind)}
        above, below = axes[0][across], axes[1][across]
        for dim, columns in here.items():
            ratios, colour = columns["ratio"][0], SIZES.get(dim, "#4d4d4d")
            for axis, what in ((above, "lowest"), (below, "overlap")):
                rows = columns[what].T
                reach = np.array([half(row) for row in rows])
                axis.errorbar(ratios, rows.mean(1), yerr=reach, fmt="o-", ms=3, lw=1, color=colour, label=f"d = {dim}")
            chance = f"chance, d = {dim}" if dim == max(here) else None
            below.axhline(columns["chance"][0, 0], color=colour, lw=0.9, ls=(0, (1, 2)), label=chance)
        last = here[max(here)]
        if "edge" in last:
            edge, out = last["edge"], last["outlier"]
            lowest = np.where(np.isfinite(out), out, edge).mean(0)
            above.plot(last["ratio"][0], lowest, "x", color="#d1652f", ms=5, label=f"predicted, d = {max(here)}")
        above.axhline(0.0, color="black", lw=0.8)
        above.set_yscale("symlog", linthresh=1.0)
        above.set_yticks([1, 0, -1, -10, -100], ["1", "0", "-1", "-10", "-100"])
        above.set_title(f"{name}, p = 4, " + ("at m = 0" if kind == "centred" else "m fitted"))
        below.set_ylim(0.0, 1.0)
        for axis in (above, below):
            _ratio_axis(axis, last["ratio"][0])
            _thresholds(axis, known[name], ("information", "algorithmic", "signal"))
    axes[0][0].set_ylabel("lowest eigenvalue (prior: 1)")
    axes[1][0].set_ylabel("its eigenvector in the teacher's span")
    _legend(figure, *axes.flat)
    cells.save(figure, path)


def _thresholds(axis: Any, known: dict[str, float | None], wanted: tuple[str, ...]) -> None:
    for name in wanted:
        value = known.get(name)
        if value is not None:
            axis.axvline(value, color=LINES[name][1], lw=1.3, ls=LINES[name][0], label=LINES[name][2])


def _ratio_axis(axis: Any, ratios: Any) -> None:
    from matplotlib.ticker import NullFormatter

    axis.set_xscale("log")
    low, high = float(ratios.min()) / 1.15, float(ratios.max()) * 1.15
    leading = (1, 2, 3, 5) if high / low < 100 else (1,)
    ticks = [a * 10.0**k for k in range(-3, 3) for a in leading if low <= a * 10.0**k <= high]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlim(low, high)
    axis.set_xlabel("samples per dimension n / d")


def _legend(figure: Any, *axes: Any) -> None:
    named: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    figure.legend(named.values(), named.keys(), frameon=False, fontsize=8, loc="outside lower center", ncols=4)
