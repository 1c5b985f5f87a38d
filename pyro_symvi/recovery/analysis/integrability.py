r"""Analysis E: is a density integrable, with which moments? By integrating Gaussian blocks out and bounding the rest.

Every step replaces the density by a larger one: a Gaussian block is integrated out with the smallest precision it was
shown to have (`gaussian_block.remainder`); independent coordinates are split; on a line, each term is bounded by its
slopes at plus and minus infinity. What is left decays exponentially (or like a power), or is not decided. So
"integrable" and "this moment exists" are proofs; a failure means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from . import signs
from .candidates import candidate_blocks
from .curvature import Curvature
from .expressions import Expressions
from .gaussian_block import gaussian_block, remainder
from .polynomials import ONE, Polynomial
from .recession import falls_in_every_direction
from .refusals import Refused

_DEEPEST = 6


@dataclass(frozen=True)
class Moment:
    """Whether the density times ``|z_j|^order`` was shown to be integrable, and how (or why not)."""

    exists: bool
    reason: str


def moment(table: Expressions, p: Polynomial, coordinates: tuple[int, ...], of: tuple[int, ...], order: int) -> Moment:
    """Whether ``E |z_j|^order`` is finite for every j in ``of`` (and the density integrable), log p being p.

    Args:
        table: Where p lives.
        p: A log density without open obligations.
        coordinates: What is integrated over; p must depend on no other.
        of: Coordinates; none asks for integrability alone.
        order: 1 or 2.
    """
    try:
        total = _moment(table, p, coordinates, (), 0, 0)  # a weighted density may be integrable where p is not
        return Moment(True, _moment(table, p, coordinates, of, order, 0) if of else total)
    except Refused as refusal:
        return Moment(False, refusal.reason)


def _moment(
    table: Expressions, p: Polynomial, coordinates: tuple[int, ...], of: tuple[int, ...], order: int, depth: int
) -> str:
    """How it was shown; raises Refused where it was not."""
    reasons: dict[str, None] = {}
    for part in _components(table, p, coordinates):
        piece = _restricted(table, p, part)
        log_concave = table.kept(("decay", piece.key, part), lambda: _log_concave_decay(table, piece, part))  # noqa: B023
        if log_concave:
            reasons[log_concave] = None
        elif len(part) == 1:
            reasons[_line(table, piece, part[0], order if part[0] in of else 0)] = None
        else:
            here = tuple(j for j in of if j in part)
            reasons[_integrated_out(table, piece, part, here, order, depth)] = None
    return "; ".join(reasons)


def _log_concave_decay(table: Expressions, p: Polynomial, part: tuple[int, ...]) -> str:
    """Why all moments exist, if p is log-concave in the part and falls in every direction; else empty."""
    curvature = Curvature(table, part)
    if curvature.modulus(p) > 0:
        return "strongly log-concave, so with all moments"
    if falls_in_every_direction(curvature, p):
        return "log-concave and falling in every direction, so with exponential tails and all moments"
    return ""


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
    table: Expressions, p: Polynomial, part: tuple[int, ...], of: tuple[int, ...], order: int, depth: int
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
        outside = tuple(j for j in of if j not in candidate)
        for anchor in block.anchors:
            try:
                how = _moment(table, remainder(table, block, anchor), rest, outside, order, depth + 1)
                if len(outside) < len(of):
                    _moment(table, remainder(table, block, anchor, order), rest, (), 0, depth + 1)
            except Refused as refusal:
                why = refusal.reason
                continue
            return f"a Gaussian block of {len(candidate)} integrated out" + (f"; {how}" if how else "")
    raise Refused(why)


# -- one coordinate ------------------------------------------------------------------------------------------------


def _line(table: Expressions, p: Polynomial, j: int, order: int) -> str:
    """Decay in one coordinate, from the slope of an upper bound at minus and plus infinity.

    A negative slope is exponential decay, with which every moment exists. Where the slope is zero, logarithms of
    polynomials may still give |z|^-m; a moment of order k then needs m > k + 1.
    """
    powers = Fraction(0)
    slope = {-1: Fraction(0), 1: Fraction(0)}
    sinks = {-1: False, 1: False}
    for monomial, numerator in p.terms.items():
        c = Fraction(numerator, p.denominator)
        if monomial == ONE:
            continue
        degree = _degree_of_logarithm(table, monomial, j) if c < 0 else 0
        if degree:
            powers -= c * degree
            continue
        for direction in (-1, 1):
            term = _slope(table, monomial, c, j, direction)
            if term is None:
                sinks[direction] = True
            else:
                slope[direction] += term
    exponential = True
    for direction in (-1, 1):
        if sinks[direction] or slope[direction] < 0:
            continue
        exponential = False
        if slope[direction] > 0 or powers <= order + 1:
            side = "plus" if direction > 0 else "minus"
            raise Refused(f"integrability was not shown: not enough decay towards {side} infinity of a coordinate")
    if exponential:
        return "exponential decay of what is left"
    return f"what is left decays like |z|^-{float(powers):.4g}"


def _degree_of_logarithm(table: Expressions, monomial: int, j: int) -> int:
    """N if the monomial is log q with q a polynomial in z_j alone, of even degree n >= 2; else 0.

    q being positive (no obligation is open), -log q is bounded above on bounded sets, and -n log|z_j| + O(1) beyond.
    """
    powers = table.monomials[monomial]
    if len(powers) != 1 or powers[0][1] != 1 or table.atoms[powers[0][0]].kind != "log":
        return 0
    own, degree = table.coordinate_atom(j), 0
    for term in table.atoms[powers[0][0]].arguments[0].terms:
        factors = table.monomials[term]
        if not factors:
            continue
        if len(factors) != 1 or factors[0][0] != own or factors[0][1] < 0:
            return 0  # with irrational constants as coefficients, the leading one might vanish unseen
        degree = max(degree, factors[0][1])
    return degree if degree % 2 == 0 else 0


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
