"""Sample ratios n/d above which learning is possible, and above which it is fast: against noise, and against units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ..._figures import FAINT, INK, METHODS, tidy
from ..links import Link
from ..thresholds import CommitteeThresholds, SingleIndexThresholds, committee_thresholds, single_index_thresholds
from ._regions import COLOURS, HARD, Curve, shade

SNRS = tuple(float(s) for s in np.geomspace(0.03, 10, 16))
UNITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
_ESTIMATE = "information-theoretic, estimate"
_STYLES: dict[str, dict[str, Any]] = {
    "spinodal": {"color": METHODS[5], "ls": "--", "lw": 1.2},
    "information-theoretic": {"color": METHODS[2], "ls": "-", "lw": 3.6, "alpha": 0.55},
    _ESTIMATE: {"color": METHODS[2], "ls": (0, (1.5, 0.4)), "lw": 3.6, "alpha": 0.55},
    "algorithmic": {"color": METHODS[1], "ls": "-", "lw": 1.8},
    "algorithmic, large overlap": {"color": METHODS[1], "ls": "-.", "lw": 1.2},
    "algorithmic, asymptote": {"color": METHODS[0], "ls": ":", "lw": 1.4},
}


def draw_single_index(axis: Any, thresholds: Sequence[SingleIndexThresholds]) -> None:
    """Curves and regions of one unit: n/d against the signal-to-noise ratio, both axes logarithmic.

    The spinodal is drawn where it differs from the algorithmic threshold, and so is the sample ratio at which message
    passing without knowledge leaves the small overlaps.

    Args:
        axis: A matplotlib axis.
        thresholds: One a signal-to-noise ratio, in any order.
    """
    rows = sorted(thresholds, key=lambda row: row.snr)
    algorithmic = _curve(rows, lambda row: row.algorithmic)
    curves = {
        "spinodal": _apart(_curve(rows, lambda row: row.spinodal), algorithmic),
        "information-theoretic": _curve(rows, lambda row: row.information),
        "algorithmic": algorithmic,
        "algorithmic, large overlap": _apart(_curve(rows, lambda row: row.large_overlap), algorithmic),
        "algorithmic, asymptote": _curve(rows, lambda row: row.asymptotes.get("weak_recovery")),
    }
    _draw(axis, np.array([row.snr for row in rows]), curves, "information-theoretic")
    axis.set_xlabel("signal-to-noise ratio (signal variance / noise variance)", fontsize=9)
    axis.set_title("One unit", fontsize=10, color=INK, loc="left")


def draw_committee(axis: Any, thresholds: Sequence[CommitteeThresholds]) -> None:
    """Curves and regions of a committee: n/d against the number of units, both axes logarithmic.

    The information-theoretic curve is an estimate: known for many units only.

    Args:
        axis: A matplotlib axis.
        thresholds: One a number of units, in any order.
    """
    rows = sorted(thresholds, key=lambda row: row.units)
    if rows[0].units == 1 and len(rows) > 2 and not rows[0].information and not rows[0].algorithmic:
        rows = rows[1:]  # one unit that is found at any n/d: not on a log axis
    curves = {
        _ESTIMATE: _curve(rows, lambda row: row.information),
        "algorithmic": _curve(rows, lambda row: row.algorithmic),
        "algorithmic, asymptote": _curve(rows, lambda row: row.asymptotes.get("algorithmic")),
    }
    units = np.array([float(row.units) for row in rows])
    _draw(axis, units, curves, _ESTIMATE)
    shown = [u for u in units if u in (1, 2, 3, 4) or u % 4 == 0] if len(units) > 6 else list(units)
    axis.set_xticks(shown, [f"{u:g}" for u in shown])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("number of units", fontsize=9)
    axis.set_title(
        f"Committee: telling units apart, noise variance {rows[0].noise:g}", fontsize=10, color=INK, loc="left"
    )


def plot_phase_diagram(
    activation: Any,
    *,
    snrs: Sequence[float] = SNRS,
    units: Sequence[int] = UNITS,
    noise: float = 0.5,
    progress: bool = False,
) -> Any:
    """Both as one figure; see :func:`draw_single_index` and :func:`draw_committee`.

    Args:
        activation: A name of `ACTIVATIONS`, a torch callable, or a module.
        snrs: Signal-to-noise ratios of the first panel, at least two.
        units: Numbers of units of the second, at least two.
        noise: The variance of the noise in the second.
        progress: Show a bar: steep activations (he6) at small noise take seconds a point.

    Raises:
        ValueError: Fewer than two places on an axis, or numbers out of range.

    Example:
        >>> figure = plot_phase_diagram("abs", snrs=[0.1, 1.0], units=[1, 2])
        >>> [axis.get_title(loc="left") for axis in figure.axes]
        ['One unit', 'Committee: telling units apart, noise variance 0.5']
    """
    from matplotlib.figure import Figure

    for name, values in (("snrs", snrs), ("units", units)):
        if len(set(values)) < 2:
            raise ValueError(
                f"expected {name} with at least two values, got {list(values)}, because a curve joins them"
            )
    link = Link.of(activation)
    with tqdm(total=len(snrs) + len(units), desc="phase diagram", disable=not progress, leave=False) as bar:
        single, committee = [], []
        for snr in snrs:
            single.append(single_index_thresholds(link, snr))
            bar.update()
        for p in units:
            committee.append(committee_thresholds(link, p, noise))
            bar.update()
    figure = Figure(figsize=(10.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_single_index(left, single)
    draw_committee(right, committee)
    figure.suptitle(f"Activation: {link.name}", fontsize=11, color=INK, x=0.01, ha="left")
    handles = {
        label: handle for axis in (left, right) for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=len(handles) if len(handles) < 5 else (len(handles) + 1) // 2,
        fontsize=8,
        frameon=False,
    )
    return figure


def _curve(rows: Sequence[Any], value: Callable[[Any], float | None]) -> Curve:
    """Values on a log axis; nan where none is known, or where it is 0 or infinite."""
    found = np.array([np.nan if (v := value(row)) is None else float(v) for row in rows])
    return np.where(np.isfinite(found) & (found > 0), found, np.nan)


def _apart(curve: Curve, other: Curve) -> Curve:
    """The curve where it differs from another, and one place beyond, so that it ends on the other; else nan."""
    differs = np.abs(curve - other) > 1e-3 * other
    near = differs | np.r_[differs[1:], False] | np.r_[False, differs[:-1]]
    return np.where(near, curve, np.nan)


def _draw(axis: Any, x: Curve, curves: dict[str, Curve], information: str) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    every = np.concatenate([curve for name, curve in curves.items() if "asymptote" not in name])
    known = every[np.isfinite(every)]
    axis.set_xlim(x[0], x[-1])
    axis.set_ylim((known.min() / 4, known.max() * 4) if len(known) else (0.1, 10))
    for name, curve in curves.items():
        if np.isfinite(curve).any():
            axis.plot(x, curve, marker="o" if len(x) < 12 else None, ms=3, label=name, **_STYLES[name])
    shade(axis, x, curves[information], curves["algorithmic"], list(curves.values()), information == _ESTIMATE)
    if (curves["algorithmic"] > 1.02 * curves[information]).any():
        axis.fill_between([], [], [], color=COLOURS[HARD], lw=0, label=HARD)
    if not len(known):
        words = "one unit is learnt from the first samples on:\nno threshold in n/d"
        box = {"facecolor": "white", "lw": 0}
        axis.text(0.5, 0.5, words, transform=axis.transAxes, ha="center", va="center", fontsize=9, color=INK, bbox=box)
    axis.set_ylabel("samples per input, n/d", fontsize=9)
    axis.yaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.grid(True, which="major", color=FAINT, lw=0.3, alpha=0.5)
    tidy(axis)
