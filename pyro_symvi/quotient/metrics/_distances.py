"""Distances of one-dimensional laws, on lines and circles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from ..._value import positive_int
from ._checks import positive, sample

Draws = Tensor | Sequence[float] | np.ndarray


def wasserstein1(x: Draws, y: Draws) -> Tensor:
    """W1 = integral of |F - G| for the distribution functions F, G of draws on the line, in units of x; float64.

    Draws ``[n, *rest]`` and ``[m, *rest]`` give ``[*rest]``: one distance for each bond, say.

    Reading: the mean distance that mass must be moved. Between two samples of n of the same law it is not 0 but
    about 1.8 sd / sqrt(n) for a normal law; compare with the distance of two halves of the reference.
    """
    return _each(x, y, lambda a, b: float(scipy.stats.wasserstein_distance(a, b)))


def circular_wasserstein1(x: Draws, y: Draws, *, period: float = 2 * math.pi) -> Tensor:
    """W1 on a circle of circumference ``period``, in units of x: min over c of the integral of |F - G - c|; float64.

    The best c is the median of F - G over the circle, each value with the length it is taken on. Draws are reduced
    modulo the period: no cut at pi shows. Draws ``[n, *rest]`` and ``[m, *rest]`` give ``[*rest]``.

    Raises:
        ValueError: for nan, which an undefined torsion is; see ``defined``.

    >>> circular_wasserstein1([3.1, 3.0], [-3.1, -3.0]).item()  # across the cut at pi
    0.1831...

    Source: Rabin, Delon and Gousseau, Transportation distances on the circle, J. Math. Imaging Vision 41 (2011) 147.
    """
    length = positive(period, "period")
    return _each(x, y, lambda a, b: _circular(a, b, length))


def jensen_shannon(x: Draws, y: Draws, *, bins: int = 36, period: float = 2 * math.pi, base: float = 2.0) -> Tensor:
    """Jensen-Shannon divergence of histograms of draws on a circle, KL(p|m)/2 + KL(q|m)/2 with m = (p + q)/2.

    Args:
        x: draws ``[n, *rest]``, by default angles in radians.
        y: draws ``[m, *rest]``; the result is ``[*rest]``, float64.
        bins: equal bins of the circle, from 0; 36 are 10 degrees each.
        period: circumference of the circle.
        base: of the logarithm; 2 for bits, so that the result lies in 0..1. State base and bins with the figure.
            The *square root* of it is a metric, and what ``scipy.spatial.distance.jensenshannon`` returns.

    Reading: two samples of the same law have about (k - 1)(1/n + 1/m) / (8 ln base), k the number of bins that are
    not empty; figures of that size tell nothing.

    >>> jensen_shannon([0.1, 0.1, 2.0, 2.0], [0.1, 0.1, 4.0, 4.0], bins=4).item()
    0.5

    Source: Lin, IEEE Trans. Inf. Theory 37 (1991) 145.

    Raises:
        ValueError: unless the base is above 1.
    """
    count, length = positive_int(bins, "bins", 2), positive(period, "period")
    if not (isinstance(base, int | float) and 1 < base < math.inf):
        raise ValueError(f"expected base > 1, got {base!r}; try 2 for bits")

    def divergence(a: np.ndarray, b: np.ndarray) -> float:
        p, q = (_histogram(draws, count, length) for draws in (a, b))
        middle = (p + q) / 2
        return float((scipy.stats.entropy(p, middle, base=base) + scipy.stats.entropy(q, middle, base=base)) / 2)

    return _each(x, y, divergence)


def _histogram(draws: np.ndarray, bins: int, period: float) -> np.ndarray:
    place = np.floor(np.mod(draws, period) / period * bins).astype(int) % bins
    return np.bincount(place, minlength=bins) / len(draws)


def _circular(x: np.ndarray, y: np.ndarray, period: float) -> float:
    x, y = np.mod(x, period), np.mod(y, period)
    places = np.concatenate([x, y])
    order = np.argsort(places, kind="stable")
    places = places[order]
    steps = np.concatenate([np.full(len(x), 1 / len(x)), np.full(len(y), -1 / len(y))])[order]
    gap = np.cumsum(steps)  # F - G from each draw to the next one round the circle
    lengths = np.append(places[1:], places[0] + period) - places
    ranked = np.argsort(gap, kind="stable")
    middle = gap[ranked][np.searchsorted(np.cumsum(lengths[ranked]), period / 2)]
    return float((lengths * np.abs(gap - middle)).sum())


def _each(x: Draws, y: Draws, distance: object) -> Tensor:
    a, b = sample(x, "x"), sample(y, "y")
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"expected draws [n, *rest] and [m, *rest], got {list(a.shape)} and {list(b.shape)}")
    columns = zip(a.reshape(len(a), -1).T, b.reshape(len(b), -1).T, strict=True)
    values = [distance(one, other) for one, other in columns]  # type: ignore[operator]
    return torch.tensor(values, dtype=torch.float64).reshape(a.shape[1:])
