r"""Analysis B: blocks that are Gaussian given the rest, with their centre and precision by exact linear algebra.

With J the block and y the other coordinates, group the terms of log p by their factor r(y):

.. math:: \log p = -\tfrac12\, z_J^\top\Big(\sum_r r(y) A_r\Big) z_J + \Big(\sum_r r(y) b_r\Big)^\top z_J + h(y),

:math:`A_r` and :math:`b_r` rational. If some c solves :math:`A_r c = b_r` for every r, then log p is unchanged by
:math:`z_J \mapsto 2c - z_J`, for every y: exact rational algebra, nothing numerical. If moreover
:math:`\Lambda(y) = \sum_r r(y) A_r` is positive definite for every y, the block is Gaussian given y with mean c; and if
all :math:`A_r` are multiples of one A, its precision is a(y) A: the law of the block is elliptical about c.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from . import exact, signs
from .exact import Matrix, Vector
from .expressions import Expressions
from .gram_lift import Lift, gram_lift
from .polynomials import ONE, Polynomial
from .refusals import Refused

_ZERO = Fraction(0)


@dataclass
class Factor:
    """One factor r(y): ``monomial``, and the coefficients of ``-1/2 z A z + b z + constant`` that it multiplies."""

    monomial: int
    matrix: Matrix
    vector: Vector
    constant: Fraction = _ZERO
    _energy: Fraction | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def is_curved(self) -> bool:
        """Whether A is not zero."""
        return any(x for row in self.matrix for x in row)

    @cached_property
    def definiteness(self) -> int:
        """That of A (`exact.definiteness`), to be asked once A is complete."""
        return exact.definiteness(self.matrix)

    def energy_at(self, c: tuple[Fraction, ...]) -> Fraction:
        """``constant + c A c / 2`` at the centre, where A c is the vector b; computed once."""
        if self._energy is None:
            self._energy = self.constant + exact.multiply_vector([self.vector], list(c))[0] / 2
        return self._energy


@dataclass(frozen=True)
class GaussianBlock:
    """A block in which log p is quadratic, the rest held.

    Attributes:
        coordinates: The block J.
        factors: The factors r(y).
        positive_definite: Whether the precision was shown to be positive definite for every y (only then is the block
            Gaussian).
        center: The exact centre, if one point serves all y; else None.
        shape: A with precision a(y) A, a(y) > 0, if the precision is proportional to one matrix and positive definite.
        anchors: Bounds r A of the precision from below, A positive definite and r > 0: factors of it (all others adding
            nothing negative), or what a `gram_lift` gives.
    """

    coordinates: tuple[int, ...]
    factors: tuple[Factor, ...]
    positive_definite: bool
    center: tuple[Fraction, ...] | None
    shape: Matrix | None
    anchors: tuple[Factor, ...]

    @property
    def covariance_shape(self) -> Matrix | None:
        """The inverse of ``shape``: the covariance matrix up to a factor."""
        return None if self.shape is None else exact.inverse(self.shape)

    @property
    def is_symmetric(self) -> bool:
        """Whether log p is proved unchanged by reflecting the block about ``center``."""
        return self.center is not None


def grouped(table: Expressions, p: Polynomial, block: tuple[int, ...]) -> dict[int, Factor]:
    """The factors of a block.

    Raises:
        Refused: log p is not quadratic in the block (a function, a negative or a high power of one of its coordinates).
    """
    place = {table.coordinate_atom(j): i for i, j in enumerate(block)}
    mask = sum(1 << j for j in block)
    n = len(block)
    factors: dict[int, Factor] = {}
    for monomial, numerator in p.terms.items():
        c = Fraction(numerator, p.denominator)
        inside: list[int] = []
        rest = []
        if table.monomial_depends(monomial) & mask:
            for atom, power in table.monomials[monomial]:
                if atom in place:
                    if power < 0 or power > 2:
                        raise Refused(f"it holds the power {power} of a coordinate")
                    inside += [place[atom]] * power
                elif table.atoms[atom].depends & mask:
                    raise Refused(f"it holds {table.atom_text(atom)}, which is not quadratic")
                else:
                    rest.append((atom, power))
            if len(inside) > 2:
                raise Refused("it holds a product of more than two coordinates")
            outside = table.monomial(tuple(rest))
        else:
            outside = monomial
        if outside not in factors:
            factors[outside] = Factor(outside, [[_ZERO] * n for _ in range(n)], [_ZERO] * n)
        factor = factors[outside]
        if not inside:
            factor.constant += c
        elif len(inside) == 1:
            factor.vector[inside[0]] += c
        elif inside[0] == inside[1]:
            factor.matrix[inside[0]][inside[0]] -= 2 * c
        else:
            i, j = inside
            factor.matrix[i][j] -= c
            factor.matrix[j][i] -= c
    return factors


def gaussian_block(table: Expressions, p: Polynomial, block: tuple[int, ...]) -> GaussianBlock:
    """What is proved of a block.

    Raises:
        Refused: log p is not quadratic in it, or does not depend on it.
    """
    factors = grouped(table, p, block)
    curved = [f for f in factors.values() if f.is_curved]
    moving = [f for f in factors.values() if f.is_curved or any(f.vector)]
    if not moving:
        raise Refused("the log density does not depend on it")
    center = _constant_center(moving)
    anchors = _anchors(table, curved)
    definite = bool(anchors) or _definite_together(table, curved)
    if not definite:
        lift = gram_lift(table, [(f.monomial, f.matrix) for f in curved])
        definite = lift is not None
        anchors = () if lift is None else _lifted_anchors(table, lift)
    shape = None
    if definite and all(exact.proportional(curved[0].matrix, f.matrix) for f in curved[1:]):
        shape = curved[0].matrix if curved[0].definiteness == 2 else None
    return GaussianBlock(block, tuple(factors.values()), definite, center, shape, anchors)


def _constant_center(moving: list[Factor]) -> tuple[Fraction, ...] | None:
    """C with A_r c = b_r for every r; checked by multiplication."""
    rows = [{k: x for k, x in enumerate(row) if x} for f in moving for row in f.matrix]
    right = [x for f in moving for x in f.vector]
    found = exact.solve_by_parts(rows, right, len(moving[0].vector))
    if found is None:
        return None
    if any(exact.multiply_vector(f.matrix, found) != f.vector for f in moving):
        return None
    return tuple(found)


def _nonnegative_parts(table: Expressions, curved: list[Factor]) -> bool:
    """Whether every r >= 0 is proved and every A_r is positive semidefinite."""
    return all(not table.monomial_sign(f.monomial) & signs.NEGATIVE and f.definiteness for f in curved)


def _anchors(table: Expressions, curved: list[Factor]) -> tuple[Factor, ...]:
    """Factors r > 0 with A_r positive definite, all others adding nothing negative: precision >= r A_r > 0."""
    if not _nonnegative_parts(table, curved):
        return ()
    return tuple(f for f in curved if table.monomial_sign(f.monomial) == signs.POSITIVE and f.definiteness == 2)


def _lifted_anchors(table: Expressions, lift: Lift) -> tuple[Factor, ...]:
    """The bound ``epsilon m^2 I`` of a lift, where one m serves all coordinates."""
    half, n = lift.halves[0], len(lift.halves)
    if any(m != half for m in lift.halves):
        return ()
    matrix = [[lift.epsilon if i == j else _ZERO for j in range(n)] for i in range(n)]
    return (Factor(table.monomial_power(half, 2), matrix, [_ZERO] * n),)


def _definite_together(table: Expressions, curved: list[Factor]) -> bool:
    """Whether the sum of the A_r with r > 0 is positive definite, none adding anything negative."""
    if not curved or not _nonnegative_parts(table, curved):
        return False
    positive = [f.matrix for f in curved if table.monomial_sign(f.monomial) == signs.POSITIVE]
    if not positive:
        return False
    total = positive[0]
    for matrix in positive[1:]:
        total = exact.add(total, matrix)
    return exact.definiteness(total) == 2


def remainder(table: Expressions, block: GaussianBlock, anchor: Factor, order: int = 0) -> Polynomial:
    r"""An upper bound of the log marginal of the rest, up to a constant, weighted by a moment of the block.

    With centre c and precision at least :math:`e^{\ell(y)} A_0` (the anchor), integrating the block out gives

    .. math:: \int p\,\|z_J - c\|^k\,dz_J \le C\, e^{h(y) - (|J| + k)\,\ell(y)/2},
        \qquad h = \sum_r r\,(\text{const}_r + \tfrac12 c^\top A_r c).

    Raises:
        Refused: The centre is not constant, or the anchor is no exponential.
    """
    if block.center is None:
        raise Refused("its centre depends on the rest")
    c = block.center
    terms: list[tuple[int | Fraction, Polynomial]] = []
    for f in block.factors:
        if f.energy_at(c):
            sign = table.monomial_sign(f.monomial)
            terms.append((f.energy_at(c), Polynomial({f.monomial: 1}, 1, sign)))
    exponent = _exponent(table, anchor.monomial)
    terms.append((-Fraction(len(c) + order, 2), exponent))
    return table.combination(terms)


def _exponent(table: Expressions, monomial: int) -> Polynomial:
    if monomial == ONE:
        return table.zero
    powers = table.monomials[monomial]
    if len(powers) == 1 and table.atoms[powers[0][0]].kind == "exp":
        return table.atoms[powers[0][0]].arguments[0]
    raise Refused("its precision is not an exponential of the rest")
