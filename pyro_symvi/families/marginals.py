r"""Distribution functions and quantiles of one coordinate of location-scale laws, and of mixtures of such laws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize

from ..distributions.bases import Array, Base

_TERMS = 20_000
_REACH = 90.0
_FLAT = 1e-7


def distribution_function(base: Base, row: Array) -> Callable[[float], float]:
    r"""Distribution function of :math:`\sum_j C_{ij}\xi_j`, all :math:`\xi_j` independent; ``row``: :math:`C_{i\cdot}`.

    Inversion of the characteristic function (Gil-Pelaez, 1951) by the midpoint rule,

    .. math:: F(x) = ½ + \frac1\pi\sum_{k\ge 0} \frac{\sin((k+½)hx)}{k+½}\prod_j\varphi(C_{ij}(k+½)h),

    whose error is the mass beyond :math:`2\pi/h - |x|`, here below 1e-13, plus the cut tail of the sum: below 1e-12 for
    logistic coordinates; for Laplace ones (and powers :math:`e^{-|x|^\beta}`, beta > 1) below 1e-11 where the second
    largest entry is a tenth of the largest or more, else below 1e-7. For Laplace and lighter tails only.
    """
    h = 2 * np.pi / (_REACH * np.abs(row).sum())
    pieces = []
    for k in np.array_split(np.arange(_TERMS) + 0.5, _TERMS // 500):
        weights = np.prod([base.characteristic(c * k * h) for c in row if c], axis=0) / (np.pi * k)
        pieces.append((k * h, weights))
        if np.abs(weights).max() < 1e-18:  # the product only falls from here on
            break
    frequencies, weights = np.concatenate(pieces, axis=1)
    return lambda x: 0.5 + float(np.sin(frequencies * x) @ weights)


def marginal_cdf(base: Base, row: Array, x: Array) -> Array:
    r"""Distribution function of :math:`\sum_j C_{ij}\xi_j` at ``x``, for :math:`\xi\sim q_0` on R^d, d = ``len(row)``.

    Spherical bases, and rows with one entry, scale the base's own; else by inversion, to the accuracy of
    `distribution_function`.

    Raises:
        ValueError: A product of heavy-tailed laws in a row with several entries: no method here is accurate then.
    """
    return _marginal(base, row)(np.asarray(x, dtype=np.float64))


def marginal_quantile(base: Base, row: Array, u: Array) -> Array:
    r"""Quantiles of :math:`\sum_j C_{ij}\xi_j` at levels ``u`` in (0, 1), for :math:`\xi\sim q_0` on R^d, d =
    ``len(row)``.

    Spherical bases, and rows with one entry, scale the base's own quantile; else the distribution function is inverted
    by Brent's method, so that the probability is right to the accuracy stated there.

    Raises:
        ValueError: As `marginal_cdf`.
    """
    entries, scale = _entries(row)
    if base.spherical or len(entries) == 1:
        return scale * base.quantile(u, len(row))
    below = distribution_function(_light(base), entries)
    upper = [_solve(below, level, scale) for level in np.maximum(u, 1 - u).ravel()]
    return np.where(u >= 0.5, 1.0, -1.0) * np.reshape(upper, np.shape(u))


def mixture_quantile(base: Base, weights: Array, locs: Array, rows: Array, u: Array) -> Array:
    r"""Quantiles of the mixture :math:`\sum_k w_k` (law of :math:`\ell_k + \sum_j R_{kj}\xi_j`) at levels ``u[n]``.

    The average of the components' distribution functions, inverted by Brent's method between the smallest and the
    largest of their quantiles. Where it is flat about a level, as between separated components, every point there is a
    quantile, and the middle of the piece where it differs from u by less than 1e-7 min(u, 1 - u) is returned.

    Args:
        base: The base law :math:`q_0`.
        weights: ``[k]``, positive, summing to one.
        locs: ``[k]``.
        rows: ``[k, d]``.
        u: Levels ``[n]`` in (0, 1).

    Raises:
        ValueError: As `marginal_cdf`.
    """
    lower = np.minimum(u, 1 - u)  # upper levels by reflection, where 1 - F keeps its digits
    found = np.empty(len(u))
    for sign in (1.0, -1.0):
        side = (u <= 0.5) == (sign > 0)
        if side.any():
            mixture = _Mixture(base, weights, sign * locs, rows)
            found[side] = [sign * mixture.quantile(level) for level in lower[side]]
    return found


class _Mixture:
    """The distribution function of a mixture, its components evaluated together where they have one shape."""

    def __init__(self, base: Base, weights: Array, locs: Array, rows: Array) -> None:
        self.base, self.weights, self.locs, self.rows = base, weights, locs, rows
        self.scales = np.sqrt(np.square(rows).sum(-1))
        self.alike = base.spherical or all(len(_entries(row)[0]) == 1 for row in rows)
        self.parts = [] if self.alike else [_marginal(base, row) for row in rows]

    def below(self, x: float) -> float:
        """The mixture's distribution function."""
        if self.alike:
            values = self.base.cdf((x - self.locs) / self.scales, self.rows.shape[-1])
        else:
            values = np.array([part(np.asarray(x - m)) for part, m in zip(self.parts, self.locs, strict=True)])
        return float(self.weights @ values)

    def quantiles(self, level: float) -> Array:
        """The components' own."""
        u = np.array([level])
        if self.alike:
            return self.locs + self.scales * self.base.quantile(u, self.rows.shape[-1])
        own = [marginal_quantile(self.base, row, u)[0] for row in self.rows]
        return self.locs + np.array(own)

    def quantile(self, level: float) -> float:
        """The quantile at one level; the middle of a flat piece."""
        if len(self.locs) == 1:
            return float(self.quantiles(level)[0])
        slack = _FLAT * min(level, 1 - level)
        left, right = self.quantiles(level - slack).min(), self.quantiles(level + slack).max()
        return 0.5 * (self._root(level - slack, left, right) + self._root(level + slack, left, right))

    def _root(self, level: float, left: float, right: float) -> float:
        if self.below(left) >= level:
            return left
        if self.below(right) <= level:
            return right
        xtol = 1e-13 * float(self.scales.min())
        return float(optimize.brentq(lambda x: self.below(x) - level, left, right, xtol=xtol))


def _entries(row: Array) -> tuple[Array, float]:
    """The entries of a row that count, and their Euclidean norm."""
    entries = row[np.abs(row) > 1e-9 * np.abs(row).max()]
    return entries, float(np.sqrt(np.sum(entries**2)))


def _marginal(base: Base, row: Array) -> Callable[[Array], Array]:
    entries, scale = _entries(row)
    if base.spherical or len(entries) == 1:
        return lambda x: base.cdf(x / scale, len(row))
    return np.vectorize(distribution_function(_light(base), entries), otypes=[np.float64])


def _light(base: Base) -> Base:
    if not base.tail(1).at_least_exponential:
        raise ValueError(
            f"expected a spherical or light-tailed base in a sum of several coordinates, got {base!r}, because sums of "
            "heavy-tailed independent coordinates have no tractable marginals; try spherical=True, or the quantiles of "
            "draws"
        )
    return base


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
