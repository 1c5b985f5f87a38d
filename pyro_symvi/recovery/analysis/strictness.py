r"""Strict concavity: no line on which a concave expression is affine, by the exact rank of its curved directions.

Let f be a sum of pieces, each shown concave. If f is affine on a segment of direction v, so is each piece; and a piece
tells which v that leaves: :math:`-z^\top M z` only Mv = 0; :math:`-\mathrm{softplus}(a z + b)`, :math:`-e^{a z + b}`,
:math:`\log \Phi(a z + b)` and even powers only a v = 0; :math:`-\log \sum_i e^{a_i z + b_i}` only
:math:`(a_i - a_j) v = 0`; absolute values and affine pieces any v. If the vectors a span R^n, no v != 0 is left and f
is strictly concave.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from . import signs
from .curvature import Curvature, Shape
from .exact import Vector
from .expressions import Atom
from .gradients import Span, gradient
from .polynomials import Polynomial
from .quadratic_signs import quadratic_sign

_STRICT = (signs.POSITIVE, signs.NEGATIVE)


def is_strict(curvature: Curvature, p: Polynomial) -> bool:
    """Whether p is strictly concave or strictly convex in the block, for every value of the rest.

    False means "not shown". p must have been shown concave or convex in the block.
    """
    if curvature.of(p) not in (Shape.CONCAVE, Shape.CONVEX):
        return False
    span = Span(len(curvature.block))
    for row in curved_directions(curvature, p):
        span.add(row)
        if span.is_full:
            return True
    return False


def curved_directions(curvature: Curvature, p: Polynomial) -> Iterator[Vector]:
    """Vectors a such that p, convex or concave in the block, is not affine along any v with a v != 0."""
    if curvature.of(p) not in (Shape.CONCAVE, Shape.CONVEX):
        return
    pieces = curvature.split(p)
    for factor, hessian in pieces.quadratics.items():
        if curvature.table.monomial_sign(factor) in _STRICT:
            yield from sorted((row for row in hessian if any(row)), key=lambda row: sum(map(bool, row)))  # sparse first
    for (atom, power), weight in pieces.functions.items():
        if quadratic_sign(curvature.table, curvature.weighted(weight)) in _STRICT:
            yield from _of_function(curvature, curvature.table.atoms[atom], power)


def _of_function(curvature: Curvature, atom: Atom, power: int) -> Iterator[Vector]:
    if atom.kind == "z":
        yield [Fraction(int(j == atom.number)) for j in curvature.block]
    elif atom.kind in ("exp", "softplus", "log_ndtr", "log_half_erfc"):
        yield from _strictly_monotone(curvature, atom.arguments[0])
    elif atom.kind == "log":
        yield from _of_logarithm(curvature, atom.arguments[0])
    elif atom.kind == "abs" and power >= 2:
        yield from _own(curvature, atom.arguments[0])
    elif atom.kind == "pow" and atom.number * power > 0:
        yield from _of_power(curvature, atom, atom.number * power)


def _of_power(curvature: Curvature, atom: Atom, r: Fraction) -> Iterator[Vector]:
    """u^r, r > 1: constant where affine; (square of a norm that vanishes nowhere)^r, r >= 1/2: strictly convex
    along every line on which the square is not constant."""
    p = atom.arguments[0]
    if r > 1:
        yield from curved_directions(curvature, p)
    if r >= Fraction(1, 2) and curvature.squared_norm(p) == 2:
        for hessian in curvature.split(p).quadratics.values():
            yield from (row for row in hessian if any(row))


def _own(curvature: Curvature, p: Polynomial) -> Iterator[Vector]:
    """The gradient of an affine argument, if it can't vanish for some value of the rest."""
    found = gradient(curvature.table, p, curvature.block)
    if found is not None and curvature.table.monomial_sign(found.factor) in _STRICT:
        yield found.row


def _strictly_monotone(curvature: Curvature, p: Polynomial) -> Iterator[Vector]:
    """f(p), f increasing and strictly convex or concave: affine on a segment only where p is constant."""
    yield from _own(curvature, p)
    yield from curved_directions(curvature, p)


def _of_logarithm(curvature: Curvature, p: Polynomial) -> Iterator[Vector]:
    """Log of a positive sum of exponentials: affine only where all exponents have one slope."""
    table = curvature.table
    inner = curvature.squared_hyperbolic_secant(p)
    if inner is not None:
        yield from _own(curvature, inner)
        return
    if not curvature.is_sum_of_exponentials(p):
        return
    first: Vector | None = None
    for monomial in p.terms:
        found = [a for a, _ in table.monomials[monomial] if table.atoms[a].depends & curvature.mask]
        if len(found) > 1:
            return
        exponent = table.atoms[found[0]].arguments[0] if found else table.zero
        slope = gradient(table, exponent, curvature.block)
        if slope is None or not slope.is_rational:
            if found:
                yield from curved_directions(curvature, exponent)
            continue
        if first is None:
            first = slope.row
        else:
            yield [x - y for x, y in zip(slope.row, first, strict=True)]
