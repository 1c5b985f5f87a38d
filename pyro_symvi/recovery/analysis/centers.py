r"""Where a centre of symmetry must be, if there is one. Nothing here is a proof.

A reflection about c that leaves log p as it is carries its terms onto each other: functions f(a z + b) onto functions
of the same kind, with the argument :math:`-(az + b) + 2(ac + b)`. The sum of squares

.. math:: S(c) = \sum (a^\top c + b)^2 + \sum \lVert A c - d \rVert^2

over the affine arguments :math:`a^\top z + b` and the quadratic ones :math:`\tfrac12 z^\top A z - d^\top z + \dots` is
then symmetric about the centre, so the centre minimises it: one linear system over the rationals finds centres that no
single term shows (two modes, mirrored data about a point, a logistic law).
"""

from __future__ import annotations

from fractions import Fraction

from . import exact
from .expressions import Expressions
from .polynomials import ONE, Polynomial
from .refinement import balanced
from .refusals import Refused

_MOST_WORK = 200_000
_MOST_DENSE = 60


def common_center(table: Expressions, p: Polynomial, dim: int) -> tuple[Fraction, ...] | None:
    """The minimiser of S; zero where it is free; None where that would be too much work."""
    try:
        shown = balanced(table, p, dim)
    except Refused:
        return None
    places = {table.coordinate_atom(j): j for j in range(dim)}
    rows: list[tuple[dict[int, Fraction], Fraction]] = []
    work = 0
    seen: set[int] = set()
    stack = [shown]
    while stack:
        polynomial = stack.pop()
        found = _equations(table, polynomial, places, affine=polynomial is not shown)
        rows += found
        work += sum(len(row) ** 2 for row, _ in found)
        if work > _MOST_WORK:
            return None
        for monomial in polynomial.terms:
            for number, _ in table.monomials[monomial]:
                if number not in seen:
                    seen.add(number)
                    stack += table.atoms[number].arguments
    normal: list[dict[int, Fraction]] = [{} for _ in range(dim)]
    right = [Fraction(0)] * dim
    for row, b in rows:
        for i, x in row.items():
            right[i] += x * b
            for j, y in row.items():
                normal[i][j] = normal[i].get(j, Fraction(0)) + x * y
    if max((len(row) for row in normal), default=0) > _MOST_DENSE:
        return None
    solved = exact.solve_by_parts(normal, right, dim)
    return None if solved is None else tuple(solved)


def _equations(
    table: Expressions, p: Polynomial, places: dict[int, int], affine: bool
) -> list[tuple[dict[int, Fraction], Fraction]]:
    """``(row, b)`` with row c = b at the centre of the argument p; none if it is neither affine nor quadratic."""
    linear: dict[int, Fraction] = {}
    hessian: dict[int, dict[int, Fraction]] = {}
    for monomial, numerator in p.terms.items():
        if monomial == ONE or not table.monomial_depends(monomial):
            continue
        inside: list[int] = []
        for atom, power in table.monomials[monomial]:
            if atom not in places or not 0 < power <= 2:
                inside = [0, 0, 0]
                break
            inside += [places[atom]] * power
        if len(inside) > 2:
            if affine:
                return []
            continue
        c = Fraction(numerator, p.denominator)
        if len(inside) == 1:
            linear[inside[0]] = linear.get(inside[0], Fraction(0)) + c
        else:
            for i, j in (inside, inside[::-1]):
                row = hessian.setdefault(i, {})
                row[j] = row.get(j, Fraction(0)) + c
    if hessian:
        return [(row, -linear.get(i, Fraction(0))) for i, row in hessian.items()]
    return [(linear, -p.coefficient(ONE))] if affine and linear else []
