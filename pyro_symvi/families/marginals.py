"""Quantiles of one coordinate of a location-scale law."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize

from ..distributions.bases import Array, Base

_TERMS = 20_000
_REACH = 90.0


def distribution_function(base: Base, row: Array) -> Callable[[float], float]:
    r"""Distribution function of :math:`\sum_j C_{ij}\xi_j`, all :math:`\xi_j` independent; ``row``: :math:`C_{i\cdot}`.

    Inversion of the characteristic function (Gil-Pelaez, 1951) by the midpoint rule,

    .. math:: F(x) = ½ + \frac1\pi\sum_{k\ge 0} \frac{\sin((k+½)hx)}{k+½}\prod_j\varphi(C_{ij}(k+½)h),

    whose error is the mass beyond :math:`2\pi/h - |x|`, here below 1e-13, plus the cut tail of the sum: below 1e-12 for
    logistic coordinates; for Laplace ones below 1e-11 where the second largest entry is a tenth of the largest or more,
    else below 1e-7. For Laplace and lighter tails only.
    """
    h = 2 * np.pi / (_REACH * np.abs(row).sum())
    k = np.arange(_TERMS) + 0.5
    weights = np.prod([base.characteristic(c * k * h) for c in row if c], axis=0) / (np.pi * k)
    kept = np.abs(weights) > 1e-18
    frequencies, weights = k[kept] * h, weights[kept]
    return lambda x: 0.5 + float(np.sin(frequencies * x) @ weights)


def marginal_quantile(base: Base, row: Array, u: Array) -> Array:
    r"""Quantiles of :math:`\sum_j C_{ij}\xi_j` at levels ``u`` in (0, 1).

    Spherical bases, and rows with one entry, scale the base's own quantile; else the distribution function above is
    inverted by Brent's method, so that the probability is right to the accuracy stated there.
    """
    entries = row[np.abs(row) > 1e-9 * np.abs(row).max()]
    scale = float(np.sqrt(np.sum(entries**2)))
    if base.spherical or len(entries) == 1:
        return scale * base.quantile(u)
    below = distribution_function(base, entries)
    upper = [_solve(below, level, scale) for level in np.maximum(u, 1 - u).ravel()]
    return np.where(u >= 0.5, 1.0, -1.0) * np.reshape(upper, np.shape(u))


def _solve(below: Callable[[float], float], level: float, scale: float) -> float:
    """The ``x >= 0`` with ``below(x) = level``; beyond the accuracy of ``below``, where it first exceeds ``level``."""
    if level == 0.5:
        return 0.0
    top = scale
    while below(top) < level and top < 80 * scale:
        top *= 2
    if below(top) < level:
        return top
    return float(optimize.brentq(lambda x: below(x) - level, 0.0, top, xtol=1e-12 * scale))
