r"""Analysis E: is a density integrable, with which moments? By integrating Gaussian blocks out and bounding the rest.

Every step replaces the density by a larger one: a Gaussian block is integrated out with the smallest precision it was
shown to have (`gaussian_block.remainder`); independent coordinates are split; on a line, each term is bounded by its
slopes at plus and minus infinity. What is left decays exponentially or is not decided. So "integrable" and "this moment
exists" are proofs; a failure means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from . import signs
from .candidates import candidate_blocks
from .expressions import Expressions
from .gaussian_block import gaussian_block, remainder
from .polynomials import ONE, Polynomial
from .refusals import Refused

_DEEPEST = 6


@dataclass(frozen=True)
class Moment:
    """Whether the density times ``|z_j|^order`` was shown to be integrable, and how (or why not)."""

    exists: bool
    reason: str


def moment(table: Expressions, p: Polynomial, coordinates: tuple[int, ...], j: int | None, order: int) -> Moment:
    """The moment of one coordinate (of none: integrability alone) of the density with logarithm p.

    Args:
        table: Where p lives.
        p: A log density without open obligations.
        coordinates: What is integrated over; p must depend on no other.
        j: The coordinate, or None.
        order: 1 or 2.
    """
    try:
        total = _moment(table, p, coordinates, None, 0, 0)  # a weighted density may be integrable where p is not
        return Moment(True, total if j is None else _moment(table, p, coordinates, j, order, 0))
    except Refused as refusal:
        return Moment(False, refusal.reason)


def _moment(
    table: Expressions, p: Polynomial, coordinates: tuple[int, ...], j: int | None, order: int, depth: int
) -> str:
    """How it was shown; raises Refused where it was not."""
    parts = _components(table, p, coordinates)
    reasons = []
    for part in parts:
        here = j if j is not None and j in part else None
        piece = _restricted(table, p, part)
        if len(part) == 1:
            reasons.append(_line(table, piece, part[0]))
        else:
            reasons.append(_integrated_out(table, piece, part, here, order, depth))
    return "; ".join(reasons)


def _components(table: Expressions, p: Polynomial, coordinates: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Coordinates that occur together in a term (directly or through others)."""
    groups = [1 << j for j in coordinates]
    for monomial in p.terms:
        mask = table.monomial_depends(monomial)
        touched = [g for g in groups if g & mask]
        if len(touched) > 1:
            merged = 0
            for g in touched:
                merged |= g
            groups = [g for g in groups if not g & mask] + [merged]
    return sorted(tuple(j for j in coordinates if g >> j & 1) for g in groups)


def _restricted(table: Expressions, p: Polynomial, part: tuple[int, ...]) -> Polynomial:
    """The terms that depend on some coordinates."""
    mask = sum(1 << j for j in part)
    terms = {m: n for m, n in p.terms.items() if table.monomial_depends(m) & mask}
    return Polynomial(terms, p.denominator, signs.ANY)


def _integrated_out(
    table: Expressions, p: Polynomial, part: tuple[int, ...], j: int | None, order: int, depth: int
) -> str:
    """Integrate a Gaussian block out, then go on with the rest."""
    if depth >= _DEEPEST:
        raise Refused("integrability was not shown: too many blocks")
    why = "integrability was not shown: no block of it is Gaussian with a constant centre and a precision bounded below"
    for candidate in candidate_blocks(table, p, part):
        try:
            block = gaussian_block(table, p, candidate)
        except Refused:
            continue
        if block.center is None:
            continue
        rest = tuple(i for i in part if i not in candidate)
        inside = j is not None and j in candidate
        for anchor in block.anchors:
            try:
                left = remainder(table, block, anchor, order if inside else 0)
                how = _moment(table, left, rest, None if inside else j, order, depth + 1)
            except Refused as refusal:
                why = refusal.reason
                continue
            return f"a Gaussian block of {len(candidate)} integrated out" + (f"; {how}" if how else "")
    raise Refused(why)


# -- one coordinate ------------------------------------------------------------------------------------------------


def _line(table: Expressions, p: Polynomial, j: int) -> str:
    """Exponential decay in one coordinate, from the slope of an upper bound at minus and plus infinity.

    With exponential decay every moment exists, so no order is needed.
    """
    slope = {-1: Fraction(0), 1: Fraction(0)}
    sinks = {-1: False, 1: False}
    for monomial, numerator in p.terms.items():
        c = Fraction(numerator, p.denominator)
        if monomial == ONE:
            continue
        for direction in (-1, 1):
            term = _slope(table, monomial, c, j, direction)
            if term is None:
                sinks[direction] = True
            else:
                slope[direction] += term
    for direction in (-1, 1):
        if not sinks[direction] and slope[direction] >= 0:
            side = "plus" if direction > 0 else "minus"
            raise Refused(f"integrability was not shown: no decay towards {side} infinity of a coordinate")
    return "exponential decay of what is left"


def _slope(table: Expressions, monomial: int, c: Fraction, j: int, direction: int) -> Fraction | None:
    """An upper bound of a term's growth per unit of distance; None if it falls faster than any line.

    Terms are at most a constant plus the slope times the distance.
    """
    powers = table.monomials[monomial]
    if len(powers) == 1:
        (number, power) = powers[0]
        atom = table.atoms[number]
        if atom.kind == "z":
            if power == 1:
                return c * direction
            if power % 2 == 0 and power > 0 and c < 0:
                return None
        if power == 1 and atom.kind in ("exp", "softplus", "abs"):
            a = _affine_slope(table, atom.arguments[0], j)
            if a is not None and a != 0:
                towards = a * direction
                if atom.kind == "exp" and c < 0:
                    return None if towards > 0 else Fraction(0)
                if atom.kind == "softplus":
                    return c * max(towards, Fraction(0))
                if atom.kind == "abs":
                    return c * abs(a)
    sign = table.monomial_sign(monomial)
    if not (signs.negated(sign) if c < 0 else sign) & signs.POSITIVE:
        return Fraction(0)
    raise Refused("integrability was not shown: a term has no bound above")


def _affine_slope(table: Expressions, p: Polynomial, j: int) -> Fraction | None:
    """A with p = a z_j + b, b free of z_j and of every other coordinate; else None."""
    own = table.monomial(((table.coordinate_atom(j), 1),))
    for monomial in p.terms:
        if monomial != own and table.monomial_depends(monomial):
            return None
    return p.coefficient(own)
