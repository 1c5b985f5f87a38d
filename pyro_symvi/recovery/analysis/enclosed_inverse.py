"""The inverse of a large positive definite rational matrix, to an error that is proved, where exact algebra is slow."""

from __future__ import annotations

import math
from fractions import Fraction
from math import lcm

import numpy as np

from .exact import Matrix

_BITS = 110
_TOLERANCE = Fraction(1, 10**14)


def enclosed_inverse(a: Matrix) -> Matrix | None:
    r"""X with :math:`|A^{-1} - X|_{ij} \le 10^{-14}\sqrt{X_{ii}X_{jj}}` for every i, j; None where that was not shown.

    A is scaled by powers of two to a diagonal near one; X is its floating-point inverse after one Newton step
    :math:`X(2I - AX)` in integers of 110 bits. With the residual :math:`E = I - AX`, computed without rounding,
    :math:`\|A^{-1} - X\|_\infty \le \|X\|_\infty \|E\|_\infty / (1 - \|E\|_\infty)` (Rump, 2010, "Verification
    methods", section 10).

    Args:
        a: Symmetric and positive definite, which is not checked here.
    """
    n = len(a)
    if any(a[i][i] <= 0 for i in range(n)):
        return None
    halves = [
        Fraction(2) ** -round((math.log2(a[i][i].numerator) - math.log2(a[i][i].denominator)) / 2) for i in range(n)
    ]
    scaled = [[halves[i] * a[i][j] * halves[j] for j in range(n)] for i in range(n)]
    common = lcm(*(x.denominator for row in scaled for x in row))
    whole = [[x.numerator * (common // x.denominator) for x in row] for row in scaled]
    try:
        start = np.linalg.inv(np.array([[float(x) for x in row] for row in scaled]))
    except np.linalg.LinAlgError:
        return None
    if not bool(np.isfinite(start).all()) or float(np.abs(start).max()) > 2.0**40:
        return None
    unit = 1 << _BITS
    first = [[int(math.ldexp(float(x), _BITS)) for x in row] for row in start]
    newton = _residual(whole, first, common, unit, 2)
    x = [[v // (common * unit) for v in row] for row in _product(first, newton)]
    residual = _residual(whole, x, common, unit, 1)
    error = Fraction(max(sum(map(abs, row)) for row in residual), common * unit)
    if error >= Fraction(1, 2):
        return None
    size = Fraction(max(sum(map(abs, row)) for row in x), unit)
    if size * error / (1 - error) > _TOLERANCE * Fraction(min(x[i][i] for i in range(n)), unit):
        return None
    return [[halves[i] * Fraction(x[i][j] + x[j][i], 2 * unit) * halves[j] for j in range(n)] for i in range(n)]


def _residual(whole: list[list[int]], x: list[list[int]], common: int, unit: int, times: int) -> list[list[int]]:
    """(times I - A X) common unit, exactly."""
    product = _product(whole, x)
    return [[(times * common * unit if i == j else 0) - v for j, v in enumerate(row)] for i, row in enumerate(product)]


def _product(a: list[list[int]], b: list[list[int]]) -> list[list[int]]:
    columns = list(zip(*b, strict=True))
    return [[sum(map(int.__mul__, row, column)) for column in columns] for row in a]
