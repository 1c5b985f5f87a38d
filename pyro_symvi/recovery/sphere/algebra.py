r"""What exact algebra proves of a density on the sphere, read from its graph as a function on all of R^n.

An identity of that function on R^n holds on the sphere. Matrices are rational: for a rational vector a, the half-turn
:math:`R_a x = 2 (a\cdot x) a / |a|^2 - x` (it fixes a and turns its complement) is orthogonal without rounding, and so
is :math:`P_a x = (a\cdot x) a/|a|^2` a projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import comb

import torch

from ..analysis.driver import read
from ..analysis.expressions import BUDGET, Expressions
from ..analysis.invariance import Substitution, is_invariant
from ..analysis.polynomials import Polynomial
from ..analysis.refusals import Refused
from .density import SphereDensity, random_directions

Vector = tuple[Fraction, ...]

_MOST_AXES = 24
_PIECES = 8
_WITHOUT_POLES = (
    *("z", "exp", "cos", "sin", "tanh", "erf", "atan", "sigmoid", "softplus", "abs"),
    *("where", "gt0", "ge0", "eq0"),
)


class SphereAlgebra:
    """The expression of one density, reduced by :math:`|x|^2 = 1`, and proofs about it.

    Attributes:
        refusal: Why there are none; empty if the expression could be read.
        fingerprint: Hash of the graph and its constants.
    """

    def __init__(self, density: SphereDensity) -> None:
        self.dim, self.refusal, self.fingerprint = density.dim, "", ""
        self._table: Expressions | None = None
        try:
            _compare_readings(density)
            table, p, _, self.fingerprint = read(density._reading.plain, density.dim)
            if table.idealisations:
                raise Refused(f"it was read with an idealisation ({next(iter(table.idealisations))})")
            self._table, self._p = table, _reduced(table, p, density.dim)
        except (Refused, RecursionError) as refusal:
            text = getattr(refusal, "reason", "the expression is nested too deeply")
            self.refusal = "it is constant" if "does not depend on any unknown" in text else text

    @property
    def is_read(self) -> bool:
        """Whether there is an expression."""
        return self._table is not None

    # -- proofs ------------------------------------------------------------------------------------------------

    def natural_parameter(self) -> Vector | None:
        r"""b, if :math:`\log p = b\cdot x` + const on the sphere: a von Mises-Fisher law, exactly; else None."""
        if self._table is None:
            return tuple(Fraction(0) for _ in range(self.dim)) if self.refusal == "it is constant" else None
        linear = _linear_part(self._table, self._p, self.dim)
        known = len([b for b in linear if b]) + (0 in self._p.terms)
        return linear if known == len(self._p.terms) else None

    def is_even(self) -> bool:
        """Whether p(-x) = p(x): the mean is zero."""
        return self.invariant_under([[-Fraction(int(i == j)) for j in range(self.dim)] for i in range(self.dim)])

    def has_half_turn(self, a: Sequence[Fraction]) -> bool:
        """Whether p is unchanged by the half-turn about a."""
        square = sum(x * x for x in a)
        n = range(self.dim)
        return self.invariant_under([[2 * a[i] * a[j] / square - int(i == j) for j in n] for i in n])

    def is_zonal(self, a: Sequence[Fraction]) -> bool:
        """Whether log p depends on a.x alone: as a function on R^n, unchanged when x becomes its projection on a.

        All rotations (and reflections) about a then leave p unchanged.
        """
        if self._table is None:
            return self.refusal == "it is constant"
        return self._unchanged(self._without_square(a), self._projection(a))

    def invariant_under(self, matrix: Sequence[Sequence[Fraction]]) -> bool:
        """Whether p(Ax) = p(x) for a rational orthogonal matrix A; False proves nothing."""
        n = range(self.dim)
        if any(sum(matrix[k][i] * matrix[k][j] for k in n) != int(i == j) for i in n for j in n):
            return False
        if self._table is None:
            return self.refusal == "it is constant"
        return self._unchanged(self._p, self._images(matrix))

    def increases_along(self, a: Sequence[Fraction]) -> bool:
        r"""Whether log p is a polynomial w(a.x), proved non-decreasing on the sphere and not constant.

        The derivative in u = a.x has Bernstein coefficients >= 0, not all zero, on pieces of [-r, r] with r >= \|a\|.
        """
        if self._table is None or not self.is_zonal(a):
            return False
        square = sum(x * x for x in a)
        first = [[a[i] / square if j == 0 else Fraction(0) for j in range(self.dim)] for i in range(self.dim)]
        profile = self._substituted(self._without_square(a), self._images(first))
        if profile is None:
            return False
        coefficients = _univariate(self._table, profile)
        if coefficients is None or len(coefficients) < 2:
            return False
        slope = [k * c for k, c in enumerate(coefficients)][1:]
        radius = Fraction(float(square) ** 0.5).limit_denominator(10**6) + Fraction(1, 10**5)
        edges = [radius * Fraction(k, _PIECES // 2) for k in range(-_PIECES // 2, _PIECES // 2 + 1)]
        found = [b for low, high in pairwise(edges) for b in _bernstein(slope, low, high)]
        return all(b >= 0 for b in found) and any(b > 0 for b in found)

    def is_bounded(self) -> bool:
        """Whether log p is proved bounded on the sphere: built of polynomials and functions without poles."""
        if self._table is None:
            return self.refusal == "it is constant"
        table, stack, seen = self._table, [self._p], set[int]()
        while stack:
            for monomial in stack.pop().terms:
                for number, _ in table.monomials[monomial]:
                    if number not in seen:
                        seen.add(number)
                        if table.atoms[number].kind not in _WITHOUT_POLES:
                            return False
                        stack += table.atoms[number].arguments
        return True

    # -- axes worth trying (untrusted: the proofs decide) ------------------------------------------------------

    def linear_forms(self) -> list[Vector]:
        """Directions of the linear forms that occur in the expression, at most `_MOST_AXES`."""
        found: dict[Vector, Vector] = {}
        if self._table is not None:
            for form in _linear_forms(self._table, self._p, self.dim):
                _add(found, form)
        return list(found.values())[:_MOST_AXES]

    def proposed_axes(self, near: Sequence[torch.Tensor] = ()) -> list[Vector]:
        """Rational vectors: linear forms that occur in the expression, columns of its quadratic form, coordinate axes,
        and small rationals near given directions."""
        found: dict[Vector, Vector] = {}
        if self._table is not None:
            for form in self.linear_forms():
                _add(found, form)
            quadratic = _quadratic_part(self._table, self._p, self.dim)
            for j in range(self.dim):
                _add(found, tuple(q - (quadratic[(j + 1) % self.dim][(j + 1) % self.dim] if k == j else 0)
                                  for k, q in enumerate(quadratic[j])))  # fmt: skip
        for a in near:
            ratio = a / a.abs().max()
            _add(found, tuple(Fraction(float(x)).limit_denominator(64) for x in ratio))
        for j in range(self.dim):
            _add(found, tuple(Fraction(int(i == j)) for i in range(self.dim)))
        return list(found.values())[:_MOST_AXES]

    # -- helpers -----------------------------------------------------------------------------------------------

    def _images(self, matrix: Sequence[Sequence[Fraction]]) -> dict[int, Polynomial]:
        table = self._known()
        coordinates = [table.coordinate(j) for j in range(self.dim)]
        return {
            i: table.combination([(m, z) for m, z in zip(row, coordinates, strict=True) if m] or [(0, table.one)])
            for i, row in enumerate(matrix)
        }

    def _projection(self, a: Sequence[Fraction]) -> dict[int, Polynomial]:
        square = sum(x * x for x in a)
        return self._images([[x * y / square for y in a] for x in a])

    def _without_square(self, a: Sequence[Fraction]) -> Polynomial:
        """The expression less s (|x|^2 - 1), with s its quadratic form along a vector across a."""
        table = self._known()
        quadratic = _quadratic_part(table, self._p, self.dim)
        i = max(range(self.dim), key=lambda k: abs(a[k]))
        j = next(k for k in range(self.dim) if k != i)
        v = [Fraction(0)] * self.dim
        v[i], v[j] = -a[j], a[i]
        value = sum(v[r] * quadratic[r][c] * v[c] for r in (i, j) for c in (i, j))
        return _less_square(table, self._p, value / (a[i] ** 2 + a[j] ** 2), self.dim)

    def _unchanged(self, p: Polynomial, images: dict[int, Polynomial]) -> bool:
        table = self._known()
        table.allow(BUDGET)
        return is_invariant(table, p, images)

    def _substituted(self, p: Polynomial, images: dict[int, Polynomial]) -> Polynomial | None:
        table = self._known()
        recording, table.recording = table.recording, False
        try:
            table.allow(BUDGET)
            return Substitution(table, images)(p)
        except Refused:
            return None
        finally:
            table.recording = recording

    def _known(self) -> Expressions:
        if self._table is None:
            raise Refused(self.refusal)
        return self._table


def _compare_readings(density: SphereDensity) -> None:
    """The form that is read differs from the density by a constant: tried at random directions, no argument."""
    x = random_directions(12, density.dim, torch.Generator().manual_seed(3))
    with torch.no_grad():
        values = density(x)
        gap = torch.stack([density._reading.plain(row).detach().double() for row in x]) - values
    finite = torch.isfinite(gap)
    if int(finite.sum()) < 6:
        raise Refused("its values at random directions are not finite, so the reading could not be checked")
    gap = gap[finite]
    if float(gap.max() - gap.min()) > 1e-9 * (1 + float(values[finite].abs().max() + gap.abs().max())):
        raise Refused("the form that is read is not the density: its von Mises-Fisher terms are not what they seem")


# -- polynomials ---------------------------------------------------------------------------------------------------


def _monomial(table: Expressions, *coordinates: int) -> int:
    powers: dict[int, int] = {}
    for j in coordinates:
        atom = table.coordinate_atom(j)
        powers[atom] = powers.get(atom, 0) + 1
    return table.monomial(tuple(sorted(powers.items())))


def _linear_part(table: Expressions, p: Polynomial, dim: int) -> Vector:
    return tuple(p.coefficient(_monomial(table, j)) for j in range(dim))


def _quadratic_part(table: Expressions, p: Polynomial, dim: int) -> list[list[Fraction]]:
    n = range(dim)
    return [[p.coefficient(_monomial(table, i, j)) / (1 if i == j else 2) for j in n] for i in n]


def _less_square(table: Expressions, p: Polynomial, s: Fraction, dim: int) -> Polynomial:
    if not s:
        return p
    squares = [(-s, table.multiply(table.coordinate(j), table.coordinate(j))) for j in range(dim)]
    return table.combination([(1, p), (s, table.one), *squares])


def _reduced(table: Expressions, p: Polynomial, dim: int) -> Polynomial:
    """Less s (|x|^2 - 1), if the quadratic form is s times the identity."""
    q = _quadratic_part(table, p, dim)
    s = q[0][0]
    multiple = all(q[i][j] == (s if i == j else 0) for i in range(dim) for j in range(dim))
    return _less_square(table, p, s, dim) if multiple else p


def _linear_forms(table: Expressions, p: Polynomial, dim: int) -> list[Vector]:
    """Linear parts of the expression and of everything inside its functions."""
    forms, stack, seen = [_linear_part(table, p, dim)], [p], set[int]()
    while stack:
        q = stack.pop()
        for monomial in q.terms:
            for number, _ in table.monomials[monomial]:
                if number not in seen:
                    seen.add(number)
                    for argument in table.atoms[number].arguments:
                        forms.append(_linear_part(table, argument, dim))
                        stack.append(argument)
    return forms


def _univariate(table: Expressions, p: Polynomial) -> list[Fraction] | None:
    """Coefficients by power of z_0, if p is a polynomial in it alone."""
    atom, found = table.coordinate_atom(0), dict[int, Fraction]()
    for monomial in p.terms:
        powers = table.monomials[monomial]
        if any(number != atom for number, _ in powers):
            return None
        found[sum(k for _, k in powers)] = p.coefficient(monomial)
    return [found.get(k, Fraction(0)) for k in range(max(found, default=0) + 1)]


def _bernstein(c: Sequence[Fraction], low: Fraction, high: Fraction) -> list[Fraction]:
    """Bernstein coefficients on [low, high] of the polynomial with coefficients c: its values lie in their hull."""
    n = len(c) - 1
    shifted = [Fraction(0)] * (n + 1)  # in s, u = low + (high - low) s
    for k, ck in enumerate(c):
        for i in range(k + 1):
            shifted[i] += ck * comb(k, i) * low ** (k - i) * (high - low) ** i
    return [
        sum((Fraction(comb(i, k), comb(n, k)) * shifted[k] for k in range(i + 1)), Fraction(0)) for i in range(n + 1)
    ]


def _add(found: dict[Vector, Vector], a: Vector) -> None:
    """Keep a vector once, whatever its length and sign."""
    lead = next((x for x in a if x), None)
    if lead is not None:
        found.setdefault(tuple(x / lead for x in a), a)
