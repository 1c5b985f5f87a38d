"""Predictions beside what was observed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..._figures import FAINT, INK, METHODS, REFERENCE, tidy
from ..predictions import ClassificationScores, NormalMixture, calibration_bins


def draw_predictions(axis: Any, mixture: NormalMixture, y: Tensor, *, level: float = 0.9, unit: str = "") -> None:
    """Observed targets against predictive means, with central intervals of probability ``level``.

    On the diagonal where the mean is right. The share ``level`` of the bars should cross it; those that do not are in
    the second colour.

    Args:
        axis: a matplotlib axis.
        mixture: predictive laws of the rows, ``[n, 1]``.
        y: targets ``[n]`` or ``[n, 1]``, in the units of the mixture.
        level: probability of the intervals.
        unit: what the targets are, for the labels.

    Raises:
        ValueError: unless there are as many targets as predictions.
    """
    mean = mixture.mean().flatten()
    observed = y.flatten().to(mean)
    if mean.shape != observed.shape:
        raise ValueError(
            f"expected as many targets as predictions, got {list(y.shape)} and {list(mixture.mean().shape)}; "
            "try one target at a time"
        )
    low, high = (end.flatten() for end in mixture.interval(level))
    inside = (low <= observed) & (observed <= high)
    for chosen, colour, label in ((inside, METHODS[0], "covered"), (~inside, METHODS[1], "not covered")):
        if bool(chosen.any()):
            axis.errorbar(
                observed[chosen].tolist(),
                mean[chosen].tolist(),
                yerr=torch.stack([mean - low, high - mean])[:, chosen].tolist(),
                fmt="o",
                ms=3,
                lw=0.7,
                color=colour,
                ecolor=colour,
                alpha=0.8,
                label=f"{label} ({int(chosen.sum())} of {len(mean)})",
            )
    ends = [float(torch.minimum(observed, low).min()), float(torch.maximum(observed, high).max())]
    axis.plot(ends, ends, color=INK, lw=0.8, ls=(0, (4, 3)))
    axis.set_xlabel(f"observed {unit}".strip(), fontsize=9)
    axis.set_ylabel(f"predicted, {100 * level:.0f} % interval", fontsize=9)
    axis.set_title("Predictions of rows held out", fontsize=10, color=INK, loc="left")
    axis.legend(fontsize=8, frameon=False)
    tidy(axis)


def draw_curve(
    axis: Any, x: Tensor, mixture: NormalMixture, data: tuple[Tensor, Tensor] | None = None, *, level: float = 0.9
) -> None:
    """The predictive mean and interval along one input ``[n]``, sorted, and the data's points."""
    order = x.flatten().argsort()
    points = x.flatten()[order].tolist()
    low, high = (end.flatten()[order].tolist() for end in mixture.interval(level))
    axis.fill_between(points, low, high, color=REFERENCE, alpha=0.5, lw=0, label=f"{100 * level:.0f} % predictive")
    axis.plot(points, mixture.mean().flatten()[order].tolist(), color=METHODS[0], lw=1.5, label="mean")
    if data is not None:
        axis.plot(data[0].flatten().tolist(), data[1].flatten().tolist(), ".", color=INK, ms=4, label="data")
    axis.legend(fontsize=8, frameon=False)
    tidy(axis)


def draw_reliability(axis: Any, scores: ClassificationScores) -> None:
    """Share of right answers against confidence, in bins; on the diagonal where probabilities mean what they say."""
    bins = calibration_bins(scores.probabilities, scores.y, scores.bins)
    kept = bins.rows > 0
    size = (20 + 180 * bins.rows[kept] / bins.rows.sum()).tolist()
    axis.scatter(bins.confidence[kept].tolist(), bins.accuracy[kept].tolist(), s=size, color=METHODS[0], alpha=0.8)
    axis.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=(0, (4, 3)))
    axis.set_xlim(0, 1.02)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("confidence", fontsize=9)
    axis.set_ylabel("share that is right", fontsize=9)
    axis.set_title("Calibration on rows held out", fontsize=10, color=INK, loc="left")
    axis.text(0.02, 0.95, "area: number of rows", fontsize=8, color=FAINT)
    tidy(axis)
