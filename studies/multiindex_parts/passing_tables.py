"""Tables and the picture of the study of message passing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bnn_parts import cells
from scipy import stats

from pyro_symvi.multiindex import (
    GaussianChannel,
    SingleIndexThresholds,
    fixed_points,
    single_index_thresholds,
    spectral_prediction,
    state_evolution,
)

from . import passing

Key = tuple[str, float, int]
Numbers = np.ndarray[Any, np.dtype[np.float64]]
NAMES = {"informed": "informed start", "spectral": "spectral start", "random": "random start", "estimator": "spectral"}
COLORS = {"informed": "#1d3a66", "spectral": "#d1652f", "random": "#4d4d4d", "estimator": "#7a9f35"}


def by_key(found: list[dict[str, Any]]) -> dict[Key, list[dict[str, Any]]]:
    """Cells by activation, snr and dimension."""
    groups: dict[Key, list[dict[str, Any]]] = {}
    for one in found:
        option = one["option"]
        groups.setdefault((option["activation"], option["snr"], option["dim"]), []).append(one)
    return groups


def values(group: list[dict[str, Any]], start: str, what: str = "cosine") -> Numbers:
    """``[seeds, ratios]``."""
    return np.array([one[start][what] for one in group], dtype=float)


def mean_and_reach(table: Numbers) -> tuple[Numbers, Numbers]:
    """Mean over seeds and half the width of its 95 % t interval."""
    count = len(table)
    if count < 2:
        return table.mean(0), np.full(table.shape[1], np.nan)
    reach = stats.t.ppf(0.975, count - 1) * table.std(0, ddof=1) / count**0.5
    return table.mean(0), reach


@cache
def channel_of(activation: str, snr: float) -> GaussianChannel:
    """One channel for all that is asked of it."""
    return GaussianChannel(activation, snr)


@cache
def thresholds_of(activation: str, snr: float) -> SingleIndexThresholds:
    """Thresholds, found once."""
    return single_index_thresholds(activation, snr)


@cache
def curve_of(channel: GaussianChannel) -> tuple[Numbers, Numbers]:
    """Overlaps q and the ratio alpha(q) at which each is a fixed point."""
    q = torch.linspace(-6, 4.5, 300, dtype=torch.float64).sigmoid()
    return q.numpy(), (q / ((1 - q) * channel.output_information(q))).numpy()


@cache
def predictions(channel: GaussianChannel, ratios: tuple[float, ...]) -> tuple[Numbers, Numbers, Numbers]:
    """Overlaps at each ratio: uninformed and informed message passing, spectral estimator."""
    points = fixed_points(channel, ratios, points=96)
    low = np.array([next((p.overlap for p in several if p.stable), 0.0) for several in points])
    high = np.array([max((p.overlap for p in several if p.stable), default=0.0) for several in points])
    return low, high, spectral_prediction(channel, ratios).overlap.numpy()


def end_of_small_branch(channel: GaussianChannel) -> float | None:
    """The ratio at which the branch that begins at overlap 0 turns back; None where it does not."""
    _, ratio = curve_of(channel)
    falls = np.flatnonzero(np.diff(ratio) < 0)
    return float(ratio[falls[0]]) if len(falls) else None


def report(found: list[dict[str, Any]]) -> str:
    """All of it, as text."""
    lines: list[str] = []
    for (activation, snr, dim), group in by_key(found).items():
        ratios = group[0]["option"]["ratios"]
        channel = channel_of(activation, snr)
        low, high, linear = predictions(channel, tuple(ratios))
        thresholds = thresholds_of(activation, snr)
        end = end_of_small_branch(channel)
        lines += [
            f"{activation}, snr {snr:g}, d = {dim:,}, {len(group)} seeds",
            f"  predicted: weak recovery {thresholds.weak_recovery:.2f}, spinodal {thresholds.spinodal:.2f}, "
            f"information-theoretic {thresholds.information:.2f}, "
            + ("no jump of the uninformed branch" if end is None else f"end of the small branch {end:.2f}"),
            "  squared cosine: prediction | mean +- 95 % t interval, seeds beyond half of the informed overlap",
            f"  {'n/d':>6} | {'informed start':>22} | {'random start':>30} | {'spectral start':>22} | {'spectral':>22}",
        ]
        informed, estimator = (mean_and_reach(values(group, start)) for start in ("informed", "estimator"))
        reached = {}
        for start in ("random", "spectral"):
            reached[start] = (values(group, start) > 0.5 * high).sum(0), mean_and_reach(values(group, start))
        for r, ratio in enumerate(ratios):
            here = f"  {ratio:6.4g} | {high[r]:.3f} | {cells.interval(informed[0][r], informed[1][r])} | {low[r]:.3f} |"
            for start in ("random", "spectral"):
                count, (mean, reach) = reached[start]
                beyond = cells.out_of(int(count[r]), len(group)) if high[r] > 0.2 else "-"  # below it chance gets there
                here += f" {cells.interval(mean[r], reach[r])}, {beyond:>6} |"
            lines.append(f"{here} {linear[r]:.3f} | {cells.interval(estimator[0][r], estimator[1][r])}")
        lines += [course_line(channel, group), confidence_line(group), ""]
    return "\n".join(lines)


def course_line(channel: GaussianChannel, group: list[dict[str, Any]]) -> str:
    """How far informed message passing is from state evolution at iterations 1 to 8, at the largest ratio."""
    ratios = group[0]["option"]["ratios"]
    steps = min(len(one["course"]) for one in group) - 1
    table = np.array([[row[-1] for row in one["course"][1 : steps + 1]] for one in group])
    expected = state_evolution(channel, ratios[-1], overlap0=passing.INFORMED, iterations=max(steps, 1), tol=0).overlaps
    away = table.mean(0) - expected[1 : steps + 1, 0].numpy()
    error = np.sqrt((table.var(0, ddof=1) / len(table)).mean()) if len(table) > 1 else np.nan
    return (
        f"  informed start at n/d = {ratios[-1]:g}, iterations 1 to {steps}, against state evolution: largest "
        f"difference {abs(away).max():.4f}, standard error {error:.4f}"
    )


def confidence_line(group: list[dict[str, Any]]) -> str:
    """How often message passing ends sure of a wrong direction."""
    parts = []
    for start in passing.STARTS:
        wrong = (values(group, start, "length") > 0.5) & (values(group, start) < 0.25)
        parts.append(f"{start} {cells.out_of(int(wrong.sum()), wrong.size)}")
    return "  squared length above 0.5 with a squared cosine below 0.25 (runs): " + ", ".join(parts)


def picture(found: list[dict[str, Any]], path: Path) -> None:
    """Squared cosines over n/d with the curve alpha(q) of all fixed points; one panel a channel and dimension."""
    groups = by_key(found)
    columns = list(dict.fromkeys((activation, snr) for activation, snr, _ in groups))
    rows = sorted({dim for _, _, dim in groups})
    figure, axes = cells.figure(len(rows), len(columns), 4.0 * len(columns), 3.0 * len(rows) + 0.4)
    for (activation, snr, dim), group in groups.items():
        axis = axes[rows.index(dim)][columns.index((activation, snr))]
        channel = channel_of(activation, snr)
        q, curve = curve_of(channel)
        ratios = np.array(group[0]["option"]["ratios"])
        stable = np.gradient(curve) > 0
        axis.plot(np.where(stable, curve, np.nan), q, color="black", linewidth=1.2, label="state evolution")
        axis.plot(np.where(stable, np.nan, curve), q, color="black", linewidth=0.8, linestyle=":")
        axis.plot([0, curve[0]], [0, 0], color="black", linewidth=1.2)
        fine = np.linspace(ratios[0], ratios[-1], 200)
        axis.plot(fine, spectral_prediction(channel, fine.tolist()).overlap, color=COLORS["estimator"], linewidth=1.0)
        width = 0.006 * (ratios[-1] - ratios[0])
        for place, start in enumerate(("estimator", "informed", "spectral", "random")):
            mean, reach = mean_and_reach(values(group, start))
            axis.errorbar(
                ratios + (place - 1.5) * width, mean, yerr=np.nan_to_num(reach), fmt="osd^"[place], markersize=3.5,
                color=COLORS[start], linewidth=0.9, label=NAMES[start],
            )  # fmt: skip
        axis.set(xlim=(0.9 * ratios[0], 1.03 * ratios[-1]), ylim=(-0.03, 1.03), xlabel="n / d")
        axis.set(ylabel="squared cosine", title=f"{activation}, snr {snr:g}, d = {dim:,}, {len(group)} seeds")
    axes[0][-1].legend(frameon=False, fontsize=7, loc="upper left")
    cells.save(figure, path)
