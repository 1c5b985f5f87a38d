"""Signs of quadratics: expanding (a - x)^2 hides that it is not negative; exact definiteness brings it back."""

from __future__ import annotations

from fractions import Fraction

from . import exact, signs
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
    place: dict[int, int] = {}
    entries: list[tuple[int, int, Fraction]] = []
    for monomial, numerator in p.terms.items():
        factors: list[int] = []
        for atom, power in table.monomials[monomial]:
            if power < 0 or len(factors) + power > 2:
                return known
            factors += [place.setdefault(atom, len(place) + 1)] * power
        factors += [0] * (2 - len(factors))
        entries.append((factors[0], factors[1], Fraction(numerator, p.denominator)))
    if len(place) > _MOST:
        return known
    n = len(place) + 1
    matrix = [[Fraction(0)] * n for _ in range(n)]
    for i, j, c in entries:
        matrix[i][j] += c / 2
        matrix[j][i] += c / 2
    for orientation in (1, -1):
        found = exact.definiteness([[orientation * x for x in row] for row in matrix])
        if found:
            sign = signs.POSITIVE if found == 2 else signs.NON_NEGATIVE
            return known & (sign if orientation > 0 else signs.negated(sign))
    return known
