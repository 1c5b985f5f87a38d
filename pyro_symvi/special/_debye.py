r"""Uniform asymptotics of the modified Bessel function at large order, in log form.

With V the order, s = sqrt(V^2 + x^2), p = V / s, Debye's expansion (DLMF 10.41.3) reads

.. math:: I_V(x) \sim \frac{e^{V\eta}}{\sqrt{2\pi s}} \exp\Big(\sum_{k\ge1} D_k(p) V^{-k}\Big),

uniformly in x >= 0. D_k = p^k times a polynomial of degree k in p^2, so the k-th term is of order s^-k.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from ._numbers import Real, hypot, log1p

TERMS = 12
"""Terms kept; with `LOWEST_ORDER` the first one left out is below 1e-16."""

LOWEST_ORDER = 24
"""The expansion is used from this order on."""

Polynomial = dict[int, Fraction]


def _times(a: Polynomial, b: Polynomial, factor: Fraction) -> Polynomial:
    product: Polynomial = {}
    for i, x in a.items():
        for j, y in b.items():
            product[i + j] = product.get(i + j, Fraction(0)) + factor * x * y
    return product


def _debye_polynomials(terms: int) -> list[Polynomial]:
    r"""U_0 ... U_terms by U_{k+1} = p^2 (1 - p^2) U_k' / 2 + \int_0^p (1 - 5 t^2) U_k dt / 8 (DLMF 10.41.9)."""
    found: list[Polynomial] = [{0: Fraction(1)}]
    for _ in range(terms):
        following: Polynomial = {}
        for n, c in found[-1].items():
            following[n + 1] = following.get(n + 1, Fraction(0)) + c * (Fraction(n, 2) + Fraction(1, 8 * (n + 1)))
            following[n + 3] = following.get(n + 3, Fraction(0)) - c * (Fraction(n, 2) + Fraction(5, 8 * (n + 3)))
        found.append(following)
    return found


def _log_coefficients(terms: int) -> list[list[float]]:
    """Row k - 1, column j: the coefficient of p^(k + 2 j) in D_k, by k D_k = k U_k - sum_{i<k} i D_i U_(k-i)."""
    u = _debye_polynomials(terms)
    d: list[Polynomial] = [{}]
    for k in range(1, terms + 1):
        found = dict(u[k])
        for i in range(1, k):
            for n, c in _times(d[i], u[k - i], Fraction(-i, k)).items():
                found[n] = found.get(n, Fraction(0)) + c
        d.append(found)
    return [[float(d[k].get(k + 2 * j, Fraction(0))) for j in range(terms + 1)] for k in range(1, terms + 1)]


_ROWS = _log_coefficients(TERMS)
_LOG, _EULER, _EULER_TWICE = (
    [[c * (k + 2 * j) ** derivative for j, c in enumerate(row)] for k, row in enumerate(_ROWS, 1)]
    for derivative in range(3)
)
"""Coefficients of sum_k D_k(p) V^-k, and of its first two derivatives in log p; row k - 1 has k + 1 that are not 0."""


def _sum(rows: list[list[float]], s: Real, p2: Real) -> Real:
    """sum_kj rows[k - 1][j] s^-k p2^j."""
    if isinstance(s, Tensor):
        inverse = (1 / s)[..., None]
        powers = torch.cumprod(inverse.expand(*inverse.shape[:-1], TERMS), -1)
        squares = torch.cumprod(torch.cat([torch.ones_like(inverse), p2[..., None].expand(*p2.shape, TERMS)], -1), -1)
        return ((powers @ torch.tensor(rows, dtype=s.dtype, device=s.device)) * squares).sum(-1)
    total = 0.0
    for k in range(len(rows), 0, -1):
        polynomial = 0.0
        for c in reversed(rows[k - 1][: k + 1]):
            polynomial = polynomial * p2 + c
        total = (total + polynomial) / s
    return total


@lru_cache(maxsize=256)
def _sum_at_zero(order: float) -> float:
    """The sum of `_LOG` at x = 0."""
    return _sum(_LOG, order, 1.0)


class Point(NamedTuple, Generic[Real]):
    """x at the order V, with s = sqrt(V^2 + x^2), p^2 = V^2 / s^2 and w = s / V - 1."""

    order: Real
    x: Real
    s: Real
    p2: Real
    w: Real


def at(order: Real, x: Real) -> Point[Real]:
    """What all the expansions share; float64; the order is a float where x is one, else 0-dim or like x."""
    s = hypot(order, x)
    p = order / s
    return Point(order, x, s, p * p, x / order * (x / (s + order)))


def log_hyp0f1(z: Point[Real], scaled: bool) -> Real:
    """Log 0F1(V + 1; x^2 / 4), less x where ``scaled``; exactly 0 at x = 0."""
    if isinstance(z.order, Tensor):
        start = _sum(_LOG, z.order, torch.ones_like(z.order))
    else:
        start = _sum_at_zero(z.order)
    corrections = _sum(_LOG, z.s, z.p2) - start
    leading = -z.order * (z.order * z.w + z.x) / (z.s + z.x) if scaled else z.order * z.w
    return leading - z.order * log1p(z.w / 2) - log1p(z.w) / 2 + corrections


def ratio_over_x(z: Point[Real]) -> Real:
    """I_(V+1)(x) / (x I_V(x))."""
    return 1 / (z.s + z.order) - (0.5 + _sum(_EULER, z.s, z.p2)) / z.s / z.s


def ratio_and_complement(z: Point[Real]) -> tuple[Real, Real]:
    """R = I_(V+1)(x) / I_V(x) and 1 - r, without cancellation at large x."""
    correction = (0.5 + _sum(_EULER, z.s, z.p2)) / z.s
    leading = (z.order + z.order * (z.order / (z.s + z.x))) / (z.s + z.order)
    return z.x * (1 / (z.s + z.order) - correction / z.s), leading + z.x / z.s * correction


def ratio_slope(z: Point[Real]) -> Real:
    """The derivative of I_(V+1)(x) / I_V(x) in x."""
    first, second = _sum(_EULER, z.s, z.p2), _sum(_EULER_TWICE, z.s, z.p2)
    sine = z.x / z.s
    sine2 = sine * sine
    bracket = z.order / (z.s + z.order) * z.s + (sine2 - z.p2) * (0.5 + first) + sine2 * second
    return bracket / z.s / z.s
