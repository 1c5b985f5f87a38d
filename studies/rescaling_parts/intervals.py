"""Paired comparisons over seeds: epochs to a loss, rates chosen on other seeds, intervals, many tests at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def epochs_to(curve: Sequence[float], level: float, block: float = 1.0) -> float:
    """When a training loss first is at or below a level, in epochs; inf where it never is.

    ``curve[k]`` is the mean loss of epochs k ``block`` to (k + 1) ``block`` and stands at the end of that time. Between
    two values log loss is taken as linear; a first value below the level counts as ``block``.
    """
    for k, loss in enumerate(curve):
        if loss <= level:
            if k == 0 or loss <= 0 or not math.isfinite(curve[k - 1]):
                return float((k + 1) * block)
            part = math.log(curve[k - 1] / level) / math.log(curve[k - 1] / loss)
            return (k + part) * block
    return math.inf


def chosen_rates(scores: Numbers) -> NDArray[np.int64]:
    """For each seed the index of the rate with the smallest mean score on the others; scores ``[seeds, rates]``.

    So the score of the seed at its rate is not the smallest of noise. Infinite scores make a rate the last choice.
    """
    seeds = len(scores)
    if seeds < 2:
        raise ValueError(f"expected scores of two seeds or more, got {seeds}, because a rate is chosen on the others")
    worst = np.where(np.isfinite(scores), scores, np.inf)
    others = np.stack([np.delete(worst, seed, 0).mean(0) for seed in range(seeds)])
    return others.argmin(1)


@dataclass(frozen=True)
class Paired:
    """Mean of paired differences with two 95 % intervals.

    Attributes:
        mean: over seeds.
        student: interval of the t distribution.
        bootstrap: interval of the bootstrap over seeds (bias-corrected and accelerated, 9,999 resamples).
        p: two-sided, of the t test of mean zero; 1 where all differences are zero.
        seeds: how many.
    """

    mean: float
    student: tuple[float, float]
    bootstrap: tuple[float, float]
    p: float
    seeds: int

    def ratio(self) -> tuple[float, tuple[float, float], tuple[float, float]]:
        """The same for differences of logs, as ratios."""
        return (
            math.exp(self.mean),
            (math.exp(self.student[0]), math.exp(self.student[1])),
            (math.exp(self.bootstrap[0]), math.exp(self.bootstrap[1])),
        )


def paired(one: Sequence[float] | Numbers, other: Sequence[float] | Numbers, *, seed: int = 0) -> Paired:
    """Of one - other, seed by seed.

    Raises:
        ValueError: for different lengths, fewer than two seeds, or values that are not finite.
    """
    from scipy import stats

    if len(one) != len(other) or len(one) < 2:
        raise ValueError(f"expected as many values as of the other, two or more, got {len(one)} and {len(other)}")
    d = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    if not np.isfinite(d).all():
        raise ValueError("expected finite values; try a limit in place of what was not reached")
    mean, error = float(d.mean()), float(d.std(ddof=1)) / math.sqrt(len(d))
    if error <= 1e-12 * abs(mean) or error == 0.0:
        return Paired(mean, (mean, mean), (mean, mean), 0.0 if mean else 1.0, len(d))
    half = float(stats.t.ppf(0.975, len(d) - 1)) * error
    found = stats.bootstrap(
        (d,), np.mean, confidence_level=0.95, n_resamples=9999, method="BCa", rng=np.random.default_rng(seed)
    ).confidence_interval
    p = float(2 * stats.t.sf(abs(mean) / error, len(d) - 1))
    return Paired(mean, (mean - half, mean + half), (float(found.low), float(found.high)), p, len(d))


def holm(p: Sequence[float]) -> list[float]:
    """P values adjusted for their number (Holm 1979): none of them is below 5 % by chance alone in 95 % of studies."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = largest
    return adjusted
