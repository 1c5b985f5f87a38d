r"""Blocks through one quadratic of which log p depends on them: elliptical, Gaussian or not.

With a candidate :math:`Q(z_J) = (z_J - c)^\top A (z_J - c)`, put :math:`z_J = c + xu` on a line through the centre,
where :math:`Q = kx^2`. If x occurs in even powers alone, log p on the line is :math:`F(x^2, y)` with an explicit F.
Putting :math:`Q(z_J)/k` back in place of :math:`x^2` gives :math:`F(Q(z_J)/k, y)`, a function of Q and the rest by
construction; if its canonical form is that of log p, then :math:`\log p = F(Q/k, y)`: a proof, for any nesting of
functions. The same F, in one variable, says whether log p falls with Q (the hypothesis of Theorem E), and in polar
coordinates

.. math:: E\,\|z_J - c\|^m < \infty \iff \int\!\!\int |x|^{|J| - 1 + m} e^{F(x^2, y)}\,dx\,dy < \infty .
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from . import exact
from .affine_centers import polynomial_part, quadratic_arguments
from .expressions import Expressions
from .findings import EllipticalBlock
from .gaussian_block import grouped
from .integrability import Moment, moment
from .invariance import Substitution
from .polynomials import Polynomial
from .refusals import Refused
from .trends import Trends

_MOST_BLOCKS = 8
_MOST_SHAPES = 6


class _Lifted(Substitution):
    """Even powers of one coordinate replaced by powers of an expression of its square."""

    def __init__(self, table: Expressions, j: int, square: Polynomial) -> None:
        super().__init__(table, {j: square})
        self._own = table.coordinate_atom(j)
        self._square = square

    def _monomial(self, monomial: int) -> Polynomial:
        found = self._monomials.get(monomial)
        if found is None:
            table = self.table
            powers = dict(table.monomials[monomial])
            power = powers.pop(self._own, 0)
            if power % 2:
                raise Refused("it holds an odd power")
            rest = table.monomial(tuple(sorted(powers.items())))
            found = super()._monomial(rest)
            if power:
                found = table.multiply(found, table.power(self._square, power // 2))
            self._monomials[monomial] = found
        return found

    def _atom(self, number: int) -> Polynomial:
        if number == self._own:
            raise Refused("it holds an odd power")
        return super()._atom(number)


def elliptical_block(
    table: Expressions, p: Polynomial, block: tuple[int, ...], dim: int
) -> tuple[EllipticalBlock, Polynomial] | None:
    """A proved elliptical block and log p on a line through its centre (in the coordinate ``dim``); None if none.

    Args:
        table: Where p lives.
        p: A log density without open obligations.
        block: J, of two coordinates or more.
        dim: Dimension of z; coordinate number ``dim`` is the place on the line.
    """
    shapes: dict[tuple[Fraction, ...], tuple[exact.Matrix, list[Fraction]]] = {}
    for polynomial in quadratic_arguments(table, p, block):
        try:
            factors = grouped(table, polynomial_part(table, polynomial, block, degree=2), block)
        except Refused:
            continue
        for factor in factors.values():
            lead = factor.matrix[0][0]
            if lead and len(shapes) < _MOST_SHAPES:
                matrix = [[x / lead for x in row] for row in factor.matrix]
                key = tuple(x for row in matrix for x in row) + tuple(x / lead for x in factor.vector)
                if key not in shapes:
                    shapes[key] = (matrix, [x / lead for x in factor.vector])
    for matrix, vector in shapes.values():
        if exact.definiteness(matrix) != 2:
            continue
        center = exact.solve(matrix, vector)
        line = None if center is None else _through(table, p, block, center, matrix, dim)
        if center is None or line is None:
            continue
        try:
            trend = Trends(table, dim).of(line)
            falls, strictly = trend.up == -1, trend.up == -1 and trend.strict
        except Refused:
            falls = strictly = False
        return EllipticalBlock(block, tuple(center), matrix, falls, strictly), line
    return None


def radial_moment(table: Expressions, line: Polynomial, block: tuple[int, ...], dim: int, order: int) -> Moment:
    """Whether ``E |z_j|^order`` is finite for the coordinates of an elliptical block, from log p on the line."""
    rest = tuple(j for j in range(dim) if j not in block)
    found = moment(table, line, (*rest, dim), (dim,), len(block) - 1 + order)
    return Moment(found.exists, f"in polar coordinates, {found.reason}" if found.exists else found.reason)


def candidate_ellipses(table: Expressions, p: Polynomial, dim: int) -> list[tuple[int, ...]]:
    """Sets of coordinates that occur squared in one polynomial of p, largest first."""
    places = {table.coordinate_atom(j): j for j in range(dim)}
    found: dict[tuple[int, ...], None] = {}
    for polynomial in quadratic_arguments(table, p, tuple(range(dim))):
        squares: dict[tuple[int, ...], set[int]] = {}
        for monomial in polynomial.terms:
            powers = table.monomials[monomial]
            for atom, power in powers:
                if atom in places and power == 2:
                    rest = tuple(x for x in powers if x[0] not in places)
                    squares.setdefault(sum(rest, ()), set()).add(places[atom])
        for group in squares.values():
            if len(group) > 1:
                found[tuple(sorted(group))] = None
    return sorted(found, key=lambda block: (-len(block), block))[:_MOST_BLOCKS]


def _through(
    table: Expressions, p: Polynomial, block: tuple[int, ...], center: list[Fraction], matrix: exact.Matrix, dim: int
) -> Polynomial | None:
    """Log p on a line through the centre, if log p is a function of the quadratic and the rest; else None."""
    recording, table.recording = table.recording, False
    try:
        direction, k = _direction(matrix)
        x = table.coordinate(dim)
        images = {
            j: table.combination([(c, table.one), (u, x)]) for j, c, u in zip(block, center, direction, strict=True)
        }
        line = Substitution(table, images)(p)
        square = table.scaled(_quadratic(table, block, center, matrix), 1 / k)
        return line if _Lifted(table, dim, square)(line).key == p.key else None
    except (Refused, RecursionError):
        return None
    finally:
        table.recording = recording


def _direction(matrix: exact.Matrix) -> tuple[list[Fraction], Fraction]:
    """A direction u and k = u^T A u, no square of a rational where possible (so that roots of k x^2 stay whole)."""
    n = len(matrix)
    for t in (0, 1, 2, 3, 5):
        u = [Fraction(1), Fraction(t)] + [Fraction(0)] * (n - 2)
        k = sum((a * b for a, b in zip(u, exact.multiply_vector(matrix, u), strict=True)), Fraction(0))
        product = k.numerator * k.denominator
        if isqrt(product) ** 2 != product:
            break
    return u, k


def _quadratic(table: Expressions, block: tuple[int, ...], center: list[Fraction], matrix: exact.Matrix) -> Polynomial:
    terms: list[tuple[int | Fraction, Polynomial]] = []
    moved = exact.multiply_vector(matrix, center)
    for i, j in enumerate(block):
        for m in range(i, len(block)):
            if matrix[i][m]:
                product = table.multiply(table.coordinate(j), table.coordinate(block[m]))
                terms.append((matrix[i][m] * (1 if i == m else 2), product))
        if moved[i]:
            terms.append((-2 * moved[i], table.coordinate(j)))
    constant = sum((c * x for c, x in zip(center, moved, strict=True)), Fraction(0))
    return table.combination([*terms, (constant, table.one)])
