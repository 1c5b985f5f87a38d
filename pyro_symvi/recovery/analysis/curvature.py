r"""Analysis C: concavity in a block of coordinates, the rest held, by the rules of disciplined convex programming.

A polynomial over atoms is split into (a) terms quadratic in the block, grouped by their factor r(rest), whose matrices
must be semidefinite where the sign of r is known; (b) terms c r(rest) f(u)^k with one function f of the block, whose
curvature follows from that of u; (c) anything else, of which nothing is known. A sum is concave if no piece is anything
but concave or affine. With log p = -1/2 z^T M z + (concave), the modulus of strong concavity is any m with M - m I
positive semidefinite, checked exactly.

Reference: Grant, Boyd & Ye (2006), "Disciplined convex programming", for the composition rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import numpy as np

from . import exact, signs
from .exact import Matrix
from .expressions import Atom, Expressions
from .polynomials import ONE, Polynomial
from .quadratic_signs import quadratic_sign

_ZERO = Fraction(0)


class Shape(Enum):
    """The curvature of an expression in a block, for every value of the rest."""

    AFFINE = "affine"
    CONVEX = "convex"
    CONCAVE = "concave"
    UNKNOWN = "unknown"


_TURNED = {Shape.CONVEX: Shape.CONCAVE, Shape.CONCAVE: Shape.CONVEX}


def turned(shape: Shape) -> Shape:
    """The curvature of -f."""
    return _TURNED.get(shape, shape)


def joined(a: Shape, b: Shape) -> Shape:
    """The curvature of a sum."""
    if a is Shape.AFFINE:
        return b
    return a if b in (Shape.AFFINE, a) else Shape.UNKNOWN


@dataclass
class Pieces:
    """A polynomial split by how its terms depend on a block."""

    quadratics: dict[int, Matrix]
    """Factor r(rest) to the Hessian of what it multiplies."""
    functions: dict[tuple[int, int], dict[int, Fraction]]
    """(atom, power) of a function of the block to what multiplies it: coefficients by factor r(rest)."""
    unknown: int | None
    """A monomial that is neither."""


class Curvature:
    """Curvatures in one block of coordinates; results are kept.

    Args:
        table: Where the expressions live.
        block: The coordinates; all others are held.
    """

    def __init__(self, table: Expressions, block: tuple[int, ...]) -> None:
        self.table, self.block = table, block
        self.mask = sum(1 << j for j in block)
        self._place = {table.coordinate_atom(j): i for i, j in enumerate(block)}
        self._known: dict[tuple[int, ...], Shape] = {}
        self.culprit = ""
        """The first term of unknown curvature, in words."""

    def of(self, p: Polynomial) -> Shape:
        """The curvature of a polynomial in the block, for every value of the rest."""
        if all(self.is_linear(m) for m in p.terms):
            return Shape.AFFINE
        found = self._known.get(p.key)
        if found is None:
            found = self._known[p.key] = self._of(p)
        return found

    def modulus(self, p: Polynomial) -> Fraction:
        """M >= 0 with p + m/2 |z_J|^2 proved concave in the block; 0 where no positive one was found."""
        if self.table.depends(p) & ~self.mask:
            return _ZERO
        pieces = self.split(p)
        matrix = pieces.quadratics.pop(0, None)
        if pieces.unknown is not None or matrix is None or pieces.quadratics:
            return _ZERO
        if any(self._term(*f) not in (Shape.CONCAVE, Shape.AFFINE) for f in pieces.functions.items()):
            return _ZERO
        precision = [[-x for x in row] for row in matrix]
        return exact.proved_minimum_eigenvalue(precision, _smallest_eigenvalue(precision))

    def _of(self, p: Polynomial) -> Shape:
        pieces = self.split(p)
        if pieces.unknown is not None:
            return self._unknown(Polynomial({pieces.unknown: p.terms[pieces.unknown]}, p.denominator, signs.ANY))
        shape = Shape.AFFINE
        for factor, hessian in pieces.quadratics.items():
            shape = joined(shape, self._quadratic(factor, hessian))
            if shape is Shape.UNKNOWN:
                return self._unknown(Polynomial({factor: 1}, 1, signs.ANY), "a quadratic of no definite sign, times ")
        for (atom, power), weight in pieces.functions.items():
            shape = joined(shape, self._term((atom, power), weight))
            if shape is Shape.UNKNOWN:
                factor = next(iter(weight))
                monomial = self.table.times(factor, self.table.monomial(((atom, power),)))
                return self._unknown(self.weighted({monomial: weight[factor]}))
        return shape

    def weighted(self, weight: dict[int, Fraction]) -> Polynomial:
        terms = [(c, Polynomial({m: 1}, 1, self.table.monomial_sign(m))) for m, c in weight.items()]
        return self.table.combination(terms)

    def _unknown(self, p: Polynomial, prefix: str = "") -> Shape:
        self.culprit = self.culprit or prefix + self.table.text(p)
        return Shape.UNKNOWN

    def is_linear(self, monomial: int) -> bool:
        """Free of the block, or one coordinate of it times what is free of it."""
        if not self.table.monomial_depends(monomial) & self.mask:
            return True
        degree = 0
        for atom, power in self.table.monomials[monomial]:
            if atom in self._place:
                degree += power if power > 0 else 2
            elif self.table.atoms[atom].depends & self.mask:
                return False
        return degree <= 1

    def split(self, p: Polynomial) -> Pieces:
        """P without what is linear in the block, by how its terms depend on it."""
        pieces = Pieces({}, {}, None)
        n = len(self.block)
        for monomial, numerator in p.terms.items():
            if self.is_linear(monomial):
                continue
            c = Fraction(numerator, p.denominator)
            inside: list[int] = []
            functions, rest = [], []
            for atom, power in self.table.monomials[monomial]:
                if atom in self._place and 0 < power <= 2:
                    inside += [self._place[atom]] * power
                elif self.table.atoms[atom].depends & self.mask:
                    functions.append((atom, power))
                else:
                    rest.append((atom, power))
            factor = self.table.monomial(tuple(rest))
            if not functions and len(inside) == 2:
                hessian = pieces.quadratics.setdefault(factor, [[_ZERO] * n for _ in range(n)])
                i, j = inside
                hessian[i][j] += c
                hessian[j][i] += c
            elif len(functions) == 1 and not inside:
                weight = pieces.functions.setdefault(functions[0], {})
                weight[factor] = weight.get(factor, _ZERO) + c
            elif pieces.unknown is None:
                pieces.unknown = monomial
        return pieces

    def _quadratic(self, factor: int, hessian: Matrix) -> Shape:
        if not any(x for row in hessian for x in row):
            return Shape.AFFINE
        sign = self.table.monomial_sign(factor)
        if sign & signs.NEGATIVE and sign & signs.POSITIVE:
            return Shape.UNKNOWN
        if exact.definiteness(hessian):
            shape = Shape.CONVEX
        elif exact.definiteness([[-x for x in row] for row in hessian]):
            shape = Shape.CONCAVE
        else:
            return Shape.UNKNOWN
        return turned(shape) if sign & signs.NEGATIVE else shape

    def _term(self, function: tuple[int, int], weight: dict[int, Fraction]) -> Shape:
        """The curvature of weight(rest) times one function of the block; the weight must have a sign."""
        sign = quadratic_sign(self.table, self.weighted(weight))
        if sign & signs.NEGATIVE and sign & signs.POSITIVE:
            return Shape.UNKNOWN
        shape = self._function(self.table.atoms[function[0]], function[1])
        return turned(shape) if sign & signs.NEGATIVE else shape

    def _function(self, atom: Atom, power: int) -> Shape:
        """The curvature of ``atom^power``; obligations (a positive argument of log, ...) hold where this is asked."""
        if atom.kind == "z":
            return Shape.CONVEX if power > 0 and power % 2 == 0 else Shape.UNKNOWN
        if atom.kind not in _RULES or power < 1:
            return Shape.UNKNOWN
        return _RULES[atom.kind](self, atom, power)

    def _inner(self, atom: Atom) -> Shape:
        return self.of(atom.arguments[0])

    # -- one rule an atom --------------------------------------------------------------------------------------

    def _exponential(self, atom: Atom, power: int) -> Shape:
        """Exp and softplus: convex and increasing."""
        increasing = self._inner(atom) in (Shape.AFFINE, Shape.CONVEX)
        return Shape.CONVEX if increasing and power == 1 else Shape.UNKNOWN

    def _logarithm(self, atom: Atom, power: int) -> Shape:
        """Log u: concave if u is; convex if u is a positive sum of exponentials of convex expressions."""
        if power != 1:
            return Shape.UNKNOWN
        if self._inner(atom) in (Shape.AFFINE, Shape.CONCAVE):
            return Shape.CONCAVE
        if self.squared_hyperbolic_secant(atom.arguments[0]) is not None:
            return Shape.CONCAVE
        return Shape.CONVEX if self.is_sum_of_exponentials(atom.arguments[0]) else Shape.UNKNOWN

    def squared_hyperbolic_secant(self, p: Polynomial) -> Polynomial | None:
        """U if p = c (1 - tanh(u)^2), c > 0, u affine: log p = log c - 2 log cosh u, concave."""
        if len(p.terms) != 2 or ONE not in p.terms:
            return None
        (other,) = (m for m in p.terms if m != ONE)
        powers, c = self.table.monomials[other], p.coefficient(ONE)
        if len(powers) != 1 or powers[0][1] != 2 or c <= 0 or p.coefficient(other) != -c:
            return None
        atom = self.table.atoms[powers[0][0]]
        return atom.arguments[0] if atom.kind == "tanh" and self._inner(atom) is Shape.AFFINE else None

    def _log_cdf(self, atom: Atom, power: int) -> Shape:
        """Log Phi: concave and increasing."""
        fine = power == 1 and self._inner(atom) in (Shape.AFFINE, Shape.CONCAVE)
        return Shape.CONCAVE if fine else Shape.UNKNOWN

    def is_sum_of_exponentials(self, p: Polynomial) -> bool:
        """Whether p is a sum of positive multiples of exponentials of affine or convex expressions."""
        for monomial, numerator in p.terms.items():
            if numerator < 0:
                return False
            rest = []
            for atom, power in self.table.monomials[monomial]:
                found = self.table.atoms[atom]
                if not found.depends & self.mask:
                    rest.append((atom, power))
                elif found.kind != "exp" or self._inner(found) not in (Shape.AFFINE, Shape.CONVEX):
                    return False
            if self.table.monomial_sign(self.table.monomial(tuple(rest))) != signs.POSITIVE:
                return False
        return True

    def _absolute(self, atom: Atom, power: int) -> Shape:
        return Shape.CONVEX if self._inner(atom) is Shape.AFFINE else Shape.UNKNOWN

    def _reciprocal(self, atom: Atom, power: int) -> Shape:
        """u^-k: convex and decreasing for u > 0."""
        fine = atom.sign == signs.POSITIVE and self._inner(atom) in (Shape.AFFINE, Shape.CONCAVE)
        return Shape.CONVEX if fine else Shape.UNKNOWN

    def _real_power(self, atom: Atom, power: int) -> Shape:
        """u^r with a non-integer r, u >= 0: concave for 0 < r < 1 and u concave; convex for r < 0 and u concave, for
        r > 1 and u convex, and for r >= 1/2 if u is the square of a norm of an affine map."""
        inner, r = self._inner(atom), atom.number * power
        if 0 < r < 1 and inner in (Shape.AFFINE, Shape.CONCAVE):
            return Shape.CONCAVE
        if r < 0 and inner in (Shape.AFFINE, Shape.CONCAVE):
            return Shape.CONVEX
        if r > 1 and inner in (Shape.AFFINE, Shape.CONVEX):
            return Shape.CONVEX
        return Shape.CONVEX if r >= Fraction(1, 2) and self.squared_norm(atom.arguments[0]) else Shape.UNKNOWN

    def squared_norm(self, p: Polynomial) -> int:
        """1 if p = ||B z + b||^2 with coordinates alone in z, 2 if moreover it vanishes nowhere; else 0."""
        powers = [self.table.monomials[m] for m in p.terms]
        if any(self.table.atoms[a].kind != "z" or k < 0 for m in powers for a, k in m):
            return 0
        if any(sum(k for _, k in m) > 2 for m in powers):
            return 0
        if quadratic_sign(self.table, Polynomial(p.terms, p.denominator, signs.ANY)) & signs.NEGATIVE:
            return 0
        return 2 if quadratic_sign(self.table, p) == signs.POSITIVE else 1

    def _log_gamma(self, atom: Atom, power: int) -> Shape:
        return Shape.CONVEX if power == 1 and self._inner(atom) is Shape.AFFINE else Shape.UNKNOWN


_RULES = {
    "exp": Curvature._exponential,
    "softplus": Curvature._exponential,
    "log": Curvature._logarithm,
    "abs": Curvature._absolute,
    "inv": Curvature._reciprocal,
    "pow": Curvature._real_power,
    "lgamma": Curvature._log_gamma,
    "log_ndtr": Curvature._log_cdf,
    "log_half_erfc": Curvature._log_cdf,
}


def _smallest_eigenvalue(matrix: Matrix) -> float:
    """A guess, in floating point; the exact check comes after."""
    return float(np.linalg.eigvalsh(np.array([[float(x) for x in row] for row in matrix]))[0])
