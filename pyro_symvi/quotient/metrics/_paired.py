"""Is one method better than another? Differences over the same seeds, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from ..._value import Value
from ._checks import confidence_level, random_state, sample
from ._table import Interval


@dataclass(frozen=True, eq=False, repr=False)
class PairedDifference(Value):
    """Mean of a - b over pairs, with intervals. See :func:`paired_differences`.

    Args:
        mean: of the differences, in units of the data.
        count: number of pairs.
        t: Student interval (low, high) of the mean.
        bootstrap: percentile bootstrap interval (low, high) over pairs; nan below 5 pairs.
        p_value: of the two-sided paired t test of no difference.
        favourable: share of pairs with a < b, ties half.
        confidence: of both intervals.
    """

    mean: float
    count: int
    t: tuple[float, float]
    bootstrap: tuple[float, float]
    p_value: float
    favourable: float
    confidence: float

    @property
    def interval(self) -> Interval:
        """The mean and its Student interval."""
        return Interval(self.mean, *self.t)

    @property
    def resolved(self) -> bool:
        """Whether the Student interval leaves out 0: only then may a sign be claimed."""
        return self.t[0] > 0 or self.t[1] < 0

    def __str__(self) -> str:
        low, high = self.bootstrap
        resampled = "" if math.isnan(low) else f"bootstrap [{low:.4g}, {high:.4g}], "
        return (
            f"{self.interval} over {self.count} pairs ({resampled}p = {self.p_value:.2g}), "
            f"{'resolved' if self.resolved else 'not told apart from 0'}"
        )


def paired_differences(
    a: Tensor | Sequence[float] | np.ndarray,
    b: Tensor | Sequence[float] | np.ndarray,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    generator: torch.Generator | None = None,
) -> PairedDifference:
    """The mean of a - b where a[k] and b[k] share a seed, data set or molecule.

    Pairing takes out what pairs have in common: the interval of the difference is often far shorter than either
    method's own.

    Args:
        a: figures ``[n]`` of one method, n >= 2.
        b: of the other, in the same order.
        confidence: of the intervals.
        resamples: of the bootstrap.
        generator: of the bootstrap; the same data give the same interval without.

    Raises:
        ValueError: for figures that are not finite, fewer than 2 pairs or unequal numbers.

    >>> print(paired_differences([0.9, 1.4, 1.1, 2.0, 1.6], [1.2, 1.6, 1.5, 2.2, 2.0]))
    -0.3 [-0.4242, -0.1758] over 5 pairs (bootstrap [-0.38, -0.22], p = 0.0026), resolved

    Reading: Student's interval assumes that differences are about normal and is the one to quote for 3 to 20 pairs.
    The bootstrap's is too short there (at n = 5 its 95 % are about 83 %) and is a check of shape: where the two
    disagree in sign of an end, claim nothing. Many comparisons need a stricter level each; see ``Comparison``.
    """
    first, second = sample(a, "a", least=2), sample(b, "b", least=2)
    level = confidence_level(confidence)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"expected as many figures [n] on both sides, got {list(first.shape)}, {list(second.shape)}")
    difference = first - second
    mean, count = float(difference.mean()), len(difference)
    favourable = float(((difference < 0) + (difference == 0) / 2).mean())
    error = float(difference.std(ddof=1)) / math.sqrt(count)
    if error <= 1e-15 * max(np.abs(first).max(), np.abs(second).max()):  # the same in each pair
        return PairedDifference(mean, count, (mean, mean), (mean, mean), float(mean == 0), favourable, level)
    low, high = (float(end) for end in scipy.stats.t.interval(level, count - 1, loc=mean, scale=error))
    p_value = float(2 * scipy.stats.t.sf(abs(mean) / error, count - 1))
    drawn = (math.nan, math.nan)
    if count >= 5:
        result = scipy.stats.bootstrap(
            (difference,),
            np.mean,
            confidence_level=level,
            n_resamples=resamples,
            method="percentile",
            random_state=random_state(generator),
        )
        drawn = (float(result.confidence_interval.low), float(result.confidence_interval.high))
    return PairedDifference(mean, count, (low, high), drawn, p_value, favourable, level)
