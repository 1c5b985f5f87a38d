r"""The order v = 1/2, which belongs to the sphere of R^3, in elementary functions.

.. math:: {}_0F_1(3/2;x^2/4) = \frac{\sinh x}{x},\qquad \frac{I_{3/2}(x)}{I_{1/2}(x)} = \coth x - \frac1x.

Series below x = 1, where the closed forms cancel. Each function takes a float or a tensor of float64.
"""

from __future__ import annotations

from fractions import Fraction

from ._numbers import Real, exp, expm1, log, log1p, where


def _cotangent(terms: int) -> list[float]:
    """Of x^(2n-1) in coth x - 1/x: by Riccati's equation (2 n + 1) c_n = [n = 1] - sum_(i<n) c_i c_(n-i)."""
    found: list[Fraction] = []
    for n in range(1, terms + 1):
        products = sum((found[i] * found[n - 2 - i] for i in range(n - 1)), Fraction(0))
        found.append((Fraction(n == 1) - products) / (2 * n + 1))
    return [float(c) for c in found]


_COTANGENT = _cotangent(18)
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
