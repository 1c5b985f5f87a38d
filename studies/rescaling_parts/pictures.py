"""Figures: losses against epochs, the grid of rates, and gains against what the widths predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyro_symvi._figures import FAINT, INK, METHODS, save_figure, tidy

from . import tables
from .learning import METHODS as NAMES
from .tables import Found
from .tasks import MAIN, WIDTHS

COLOURS = dict(zip(NAMES, (METHODS[7], METHODS[1], METHODS[0]), strict=True))
LABELS = {"none": "as initialised", "l2": "least energy (ENorm, once)", "path": "path conditioning"}


def curves(found: Found, path: Path) -> None:
    """Training loss against epochs: at the small step, and each method at its best rate."""
    all_runs = tables.by_name(found)
    made, panels = _panels(tables.cases(all_runs, MAIN))
    for (task, init), pair in panels.items():
        for axis, small in zip(pair, (True, False), strict=True):
            for method in NAMES:
                r = all_runs[task, init, method]
                rows = r.curves[:, r.small] if small else r.at(r.curves, r.reach)
                epochs = r.block * np.arange(1, rows.shape[1] + 1)
                _band(axis, epochs, np.where(np.isfinite(rows), rows, np.nan), COLOURS[method], LABELS[method])
            words = f"small step {r.task.small:g}" if small else "best rate of each"
            axis.set_title(f"{task}, {init}: {words}", fontsize=8.5, color=INK, loc="left")
            axis.axhline(r.task.level, color=FAINT, lw=0.8, ls=":")
            axis.set_xlabel("epochs", fontsize=8)
            axis.set_ylabel("training loss", fontsize=8)
    _legend(panels)
    save_figure(made, path)


def rates(found: Found, path: Path) -> None:
    """Epochs to the level (dotted: the whole length), and training loss at the end, against the learning rate."""
    all_runs = tables.by_name(found)
    made, panels = _panels(tables.cases(all_runs, MAIN))
    for (task, init), (above, below) in panels.items():
        for method in NAMES:
            r = all_runs[task, init, method]
            for axis, values in ((above, r.reach), (below, r.final)):
                _band(axis, np.array(r.rates), values, COLOURS[method], LABELS[method], marker="o")
        above.axhline(r.option["epochs"], color=FAINT, lw=0.8, ls=":")
        for axis, title, unit in (
            (above, f"epochs to a loss of {r.task.level:g}", "epochs"),
            (below, "loss at the end", "training loss"),
        ):
            axis.set_title(f"{task}, {init}: {title}", fontsize=8.5, color=INK, loc="left")
            axis.set_xlabel("learning rate", fontsize=8)
            axis.set_ylabel(unit, fontsize=8)
    _legend(panels)
    save_figure(made, path)


def widths(found: Found, path: Path) -> None:
    """Ratios against none of both rescalings, and the decrease of F / n that each brings, network by network."""
    from matplotlib.figure import Figure

    all_runs = tables.by_name(found)
    shown = tables.cases(all_runs, (*WIDTHS, *MAIN))
    made = Figure(figsize=(10.5, 0.42 * len(shown) + 1.6), layout="constrained")
    axes = made.subplots(1, 3, sharey=True)
    places = np.arange(len(shown))[::-1]
    for offset, method in ((0.13, "l2"), (-0.13, "path")):
        for axis, measure in zip(axes[1:], (tables.best_rate, tables.small_step), strict=True):
            for place, (task, init) in zip(places, shown, strict=True):
                ratio, (low, high), _ = measure(all_runs[task, init, method], all_runs[task, init, "none"]).ratio()
                axis.plot([low, high], [place + offset] * 2, color=COLOURS[method], lw=1.6)
                axis.plot(ratio, place + offset, "o", color=COLOURS[method], ms=4)
    for method in NAMES:
        values = [all_runs[task, init, method].objective.mean() for task, init in shown]
        axes[0].plot(values, places, "o", color=COLOURS[method], ms=4.5, label=LABELS[method])
    titles = ("F / n where training starts", "epochs to the level, best rates: ratio to none",
              "training loss at the small step: ratio to none")  # fmt: skip
    for axis, title in zip(axes, titles, strict=True):
        axis.set_xscale("log")
        axis.set_title(title, fontsize=8.5, color=INK, loc="left")
        axis.grid(color=FAINT, alpha=0.25)
        tidy(axis)
    for axis in axes[1:]:
        axis.axvline(1.0, color=FAINT, lw=0.8)
        axis.set_xlabel("below 1: better than none; bars: 95 % Student", fontsize=8)
        _plain(axis)
    axes[0].set_yticks(places, [f"{task}, {init}" for task, init in shown], fontsize=8)
    axes[0].legend(fontsize=7, frameon=False)
    save_figure(made, path)


def _panels(shown: list[tuple[str, str]]) -> tuple[Any, dict[tuple[str, str], tuple[Any, Any]]]:
    """Two log-log panels, one above the other, for each task (across) and init (down)."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    names, inits = (list(dict.fromkeys(part)) for part in zip(*shown, strict=True))
    made = Figure(figsize=(3.5 * len(names), 4.6 * len(inits)), layout="constrained")
    axes = made.subplots(2 * len(inits), len(names), squeeze=False)
    for axis in axes.flat:
        tidy(axis)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.tick_params(which="both", labelsize=7)
        axis.grid(color=FAINT, alpha=0.25)
    places = {one: (2 * inits.index(one[1]), names.index(one[0])) for one in shown}
    return made, {one: (axes[row, column], axes[row + 1, column]) for one, (row, column) in places.items()}


def _legend(panels: dict[tuple[str, str], tuple[Any, Any]]) -> None:
    next(iter(panels.values()))[0].legend(fontsize=7, frameon=False, loc="lower left")


def _plain(axis: Any) -> None:
    """Decimal numbers on a short log axis."""
    from matplotlib.ticker import NullFormatter

    low, high = (float(limit) for limit in axis.get_xlim())
    if high / low < 2.5:
        step = 0.05 if high - low < 0.4 else 0.1 if high - low < 0.8 else 0.2
        ticks = [round(k * step, 2) for k in range(1, 200) if low <= k * step <= high]
    else:
        leading = (1, 1.5, 2, 3, 5, 7) if high / low < 8 else (1, 2, 5)
        ticks = [a * 10.0**k for k in range(-6, 4) for a in leading if low <= a * 10.0**k <= high]
        ticks = ticks if len(ticks) < 8 else [tick for tick in ticks if f"{tick:e}"[0] == "1"]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())


def _band(axis: Any, x: Any, rows: Any, colour: str, label: str, marker: str | None = None) -> None:
    """Geometric mean over seeds (rows) and its 95 % Student interval; values where a seed is nan are left out."""
    from scipy import stats

    logs = np.log(rows)
    mean = logs.mean(0)
    half = stats.t.ppf(0.975, len(rows) - 1) * logs.std(0, ddof=1) / np.sqrt(len(rows))
    axis.plot(x, np.exp(mean), color=colour, lw=1.3, label=label, marker=marker, ms=3)
    if len(rows) > 2:
        axis.fill_between(x, np.exp(mean - half), np.exp(mean + half), color=colour, alpha=0.18, lw=0)
