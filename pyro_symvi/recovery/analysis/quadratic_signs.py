"""Signs of quadratics: expanding (a - x)^2 hides that it is not negative; exact definiteness brings it back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from . import exact, signs
from .exact import Matrix
from .expressions import Expressions
from .polynomials import Polynomial

_MOST = 30


def quadratic_sign(table: Expressions, p: Polynomial) -> int:
    """The sign of p, with its atoms taken as free real numbers if it is quadratic in them.

    With v = (1, atoms), p = v^T H v: not negative if H is positive semidefinite, positive if H is positive definite.
    """
    known = table.sign(p)
    if known in (signs.POSITIVE, signs.NEGATIVE, signs.ZERO):
        return known
    matrix = homogeneous_matrix(table, p)
    if matrix is None:
        return known
    for orientation in (1, -1):
        found = exact.definiteness([[orientation * x for x in row] for row in matrix])
        if found:
            sign = signs.POSITIVE if found == 2 or floor(matrix, orientation) else signs.NON_NEGATIVE
            return known & (sign if orientation > 0 else signs.negated(sign))
    return known


def floor(matrix: Matrix, orientation: int = 1) -> Fraction:
    """An e > 0 with v^T H v >= e for all v = (1, ...), H (or -H) being positive semidefinite; 0 if none was found."""
    h = orientation * np.array([[float(x) for x in row] for row in matrix])
    if not np.isfinite(h).all():
        return Fraction(0)
    lowest = h[0, 0] - float(h[0, 1:] @ np.linalg.lstsq(h[1:, 1:], h[1:, 0], rcond=None)[0]) if len(h) > 1 else h[0, 0]
    for factor in (0.99, 0.5):
        e = Fraction(lowest * factor).limit_denominator(10**9) if lowest > 0 else Fraction(0)
        shifted = [[orientation * x for x in row] for row in matrix]
        shifted[0][0] -= e
        if e > 0 and exact.definiteness(shifted):
            return e
    return Fraction(0)


def homogeneous_matrix(table: Expressions, p: Polynomial) -> Matrix | None:
    """H with p = v^T H v, v = (1, atoms); None if p is not quadratic in its atoms, or has very many."""
    place: dict[int, int] = {}
    entries: list[tuple[int, int, Fraction]] = []
    for monomial, numerator in p.terms.items():
        factors: list[int] = []
        for atom, power in table.monomials[monomial]:
            if power < 0 or len(factors) + power > 2:
                return None
            factors += [place.setdefault(atom, len(place) + 1)] * power
        factors += [0] * (2 - len(factors))
        entries.append((factors[0], factors[1], Fraction(numerator, p.denominator)))
    if len(place) > _MOST:
        return None
    n = len(place) + 1
    matrix = [[Fraction(0)] * n for _ in range(n)]
    for i, j, c in entries:
        matrix[i][j] += c / 2
        matrix[j][i] += c / 2
    return matrix
