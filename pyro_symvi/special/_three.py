r"""The order v = 1/2, which belongs to the sphere of R^3, in elementary functions.

.. math:: {}_0F_1(3/2;x^2/4) = \frac{\sinh x}{x},\qquad \frac{I_{3/2}(x)}{I_{1/2}(x)} = \coth x - \frac1x
          = 2\sum_{n\ge1}\frac{(-1)^{n+1}\zeta(2n)}{\pi^{2n}}x^{2n-1}\quad(|x|<\pi).

Series below x = 1, where the closed forms cancel. Each function takes a float or a tensor of float64.
"""

from __future__ import annotations

import math

from ._numbers import Real, exp, expm1, log, log1p, where

_COTANGENT = [
    2 * (-1) ** (n + 1) * sum(k ** (-2.0 * n) for k in range(1, 2000)) / math.pi ** (2 * n) for n in range(1, 19)
]
_COTANGENT[0] = 1 / 3
_SINH_TERMS = 9


def _series(coefficients: list[float], y: Real) -> Real:
    total = 0 * y
    for c in reversed(coefficients):
        total = total * y + c
    return total


def _split(x: Real) -> tuple[bool | Real, Real, Real]:
    """Whether x is below 1; x for the closed form, and for the series: harmless where the other is used."""
    small = x < 1
    one = 0 * x + 1
    return small, where(small, one, x), where(small, x, one)


def log_hyp0f1(x: Real, scaled: bool) -> Real:
    """log(sinh x / x), less x where ``scaled``."""
    small, large_x, small_x = _split(x)
    y = small_x * small_x
    rise = 0 * y
    for n in range(_SINH_TERMS, 0, -1):
        rise = y / (2 * n * (2 * n + 1)) * (1 + rise)
    near, far = log1p(rise), log(-expm1(-2 * large_x) / (2 * large_x))
    return where(small, near - small_x, far) if scaled else where(small, near, far + large_x)


def ratio(x: Real) -> Real:
    """Coth x - 1/x."""
    small, large_x, small_x = _split(x)
    tail = -2 * exp(-2 * large_x) / expm1(-2 * large_x)
    return where(small, small_x * _series(_COTANGENT, small_x * small_x), 1 - 1 / large_x + tail)


def ratio_complement(x: Real) -> Real:
    """1 - coth x + 1/x."""
    small, large_x, small_x = _split(x)
    tail = -2 * exp(-2 * large_x) / expm1(-2 * large_x)
    return where(small, 1 - small_x * _series(_COTANGENT, small_x * small_x), 1 / large_x - tail)


def ratio_slope(x: Real) -> Real:
    """1/x^2 - 1/sinh^2 x."""
    small, large_x, small_x = _split(x)
    slopes = [(2 * n + 1) * c for n, c in enumerate(_COTANGENT)]
    drop = expm1(-2 * large_x)
    return where(
        small, _series(slopes, small_x * small_x), 1 / large_x / large_x - 4 * exp(-2 * large_x) / (drop * drop)
    )
