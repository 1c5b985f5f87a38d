r"""Analysis E: is a density integrable, with which moments? By integrating Gaussian blocks out and bounding the rest.

Every step replaces the density by a larger one: a Gaussian block is integrated out with the smallest precision it was
shown to have (`gaussian_block.remainder`); independent coordinates are split; on a line, each term is bounded by its
slopes at plus and minus infinity. What is left decays exponentially (or like a power), or is not decided. So
"integrable" and "this moment exists" are proofs; a failure means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

from . import signs
from .candidates import candidate_blocks
from .curvature import Curvature
from .expressions import Expressions
from .gaussian_block import GaussianBlock, gaussian_block, remainder
from .majorants import majorants, rescaled
from .polynomials import ONE, Polynomial
from .recession import falls_in_every_direction
from .refusals import Refused

_DEEPEST = 6
_MOST_STEPS = 16


@dataclass(frozen=True)
class Moment:
    """Whether the density times ``|z_j|^order`` was shown to be integrable, and how (or why not)."""

    exists: bool
    reason: str


@dataclass(frozen=True)
class _Search:
    """How far a search for a proof has gone.

    Attributes:
        table: Where expressions live.
        depth: Steps from the start.
        steps: Steps taken in all branches together.
        rescaled: Whether coordinates were measured in other units.
        failed: What was tried in vain, and why.
    """

    table: Expressions
    depth: int = 0
    steps: list[int] = field(default_factory=lambda: [0])
    rescaled: bool = False
    failed: dict[object, Refused] = field(default_factory=dict)

    def deeper(self) -> _Search:
        """One step on."""
        self.steps[0] += 1
        if self.depth >= _DEEPEST or self.steps[0] > _MOST_STEPS:
            raise Refused("integrability was not shown: too many steps")
        return replace(self, depth=self.depth + 1)


def moment(table: Expressions, p: Polynomial, coordinates: tuple[int, ...], of: tuple[int, ...], order: int) -> Moment:
    """Whether ``E |z_j|^order`` is finite for every j in ``of`` (and the density integrable), log p being p.

    Args:
        table: Where p lives.
        p: A log density without open obligations.
        coordinates: What is integrated over; p must depend on no other.
        of: Coordinates; none asks for integrability alone.
        order: 1 or 2.
    """
    search = _Search(table)
    try:
        total = _moment(table, p, coordinates, (), 0, search)  # a weighted density may be integrable where p is not
        return Moment(True, _moment(table, p, coordinates, of, order, search) if of else total)
    except Refused as refusal:
        return Moment(False, refusal.reason)


def _moment(
    table: Expressions, p: Polynomial, coordinates: tuple[int, ...], of: tuple[int, ...], order: int, search: _Search
) -> str:
    """How it was shown; raises Refused where it was not."""
    reasons: dict[str, None] = {}
    for part in _components(table, p, coordinates):
        piece = restricted(table, p, part)
        log_concave = _log_concave_decay(table, piece, part)
        if log_concave:
            reasons[log_concave] = None
        else:
            here = tuple(j for j in of if j in part)
            reasons[_by_any_step(table, piece, part, here, order, search)] = None
    return "; ".join(reasons)


def _by_any_step(
    table: Expressions, p: Polynomial, part: tuple[int, ...], of: tuple[int, ...], order: int, search: _Search
) -> str:
    """One step after another; the first that leads to the end."""
    key = (p.key, part, of, order if of else 0)
    if key in search.failed:
        raise search.failed[key]
    refusal: Refused | None = None
    steps = [_on_a_line] if len(part) == 1 else [_integrated_out]
    for step in (*steps, _bounded, _in_other_units):
        try:
            return step(table, p, part, of, order, search)
        except Refused as found:
            refusal = refusal or found
    search.failed[key] = refusal or Refused("integrability was not shown")
    raise search.failed[key]


def _on_a_line(
    table: Expressions, p: Polynomial, part: tuple[int, ...], of: tuple[int, ...], order: int, search: _Search
) -> str:
    return _line(table, p, part[0], order if part[0] in of else 0)


def _bounded(
    table: Expressions, p: Polynomial, part: tuple[int, ...], of: tuple[int, ...], order: int, search: _Search
) -> str:
    """Leave out terms that are bounded above, with the powers of coordinates that they absorb."""
    for found in majorants(table, p, part):
        left = tuple(j for j in of if j not in found.absorbed)
        try:
            how = _moment(table, found.bound, found.part, left, order, search.deeper())
        except Refused:
            continue
        return found.reason + (f"; {how}" if how else "")
    raise Refused("integrability was not shown: no bound of the density is integrable")


def _in_other_units(
    table: Expressions, p: Polynomial, part: tuple[int, ...], of: tuple[int, ...], order: int, search: _Search
) -> str:
    """Measure coordinates in units that other coordinates give: z_j = c_j + t_j exp(unit)."""
    found = None if search.rescaled else rescaled(table, p, part)
    search = replace(search, rescaled=True)
    if found is None:
        raise Refused("integrability was not shown: no coordinate has another as its unit")
    others = tuple(j for j in of if j not in found.log_units)
    how = _moment(table, found.bound, part, others, order, search.deeper())
    alike: dict[tuple[int, ...], list[int]] = {}
    for j in of:
        if j in found.log_units:
            alike.setdefault(found.log_units[j].key, []).append(j)
    for members in alike.values():  # |z_j| <= |c_j| + |t_j| exp(unit), one question for all of one unit
        weighted = table.combination([(1, found.bound), (order, found.log_units[members[0]])])
        _moment(table, weighted, part, tuple(members), order, search.deeper())
    return "scales as units" + (f"; {how}" if how else "")


def _log_concave_decay(table: Expressions, p: Polynomial, part: tuple[int, ...]) -> str:
    """Why all moments exist, if p is log-concave in the part and falls in every direction; else empty."""

    def find() -> str:
        curvature = Curvature(table, part)
        if curvature.modulus(p) > 0:
            return "strongly log-concave, so with all moments"
        if falls_in_every_direction(curvature, p):
            return "log-concave and falling in every direction, so with exponential tails and all moments"
        return ""

    found: str = table.kept(("decay", p.key, part), find)
    return found


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


def restricted(table: Expressions, p: Polynomial, part: tuple[int, ...]) -> Polynomial:
    """The terms that depend on some coordinates."""
    mask = sum(1 << j for j in part)
    terms = {m: n for m, n in p.terms.items() if table.monomial_depends(m) & mask}
    return Polynomial(terms, p.denominator, signs.ANY)


def _integrated_out(
    table: Expressions, p: Polynomial, part: tuple[int, ...], of: tuple[int, ...], order: int, search: _Search
) -> str:
    """Integrate a Gaussian block out, then go on with the rest."""
    why = "integrability was not shown: no block of it is Gaussian with a constant centre and a precision bounded below"
    for candidate in candidate_blocks(table, p, part):
        block = block_of(table, p, candidate)
        if block is None or block.center is None:
            continue
        rest = tuple(i for i in part if i not in candidate)
        outside = tuple(j for j in of if j not in candidate)
        for anchor in block.anchors:
            try:
                how = _moment(table, remainder(table, block, anchor), rest, outside, order, search.deeper())
                if len(outside) < len(of):
                    _moment(table, remainder(table, block, anchor, order), rest, (), 0, search.deeper())
            except Refused as refusal:
                why = refusal.reason
                continue
            return f"a Gaussian block of {len(candidate)} integrated out" + (f"; {how}" if how else "")
    raise Refused(why)


def block_of(table: Expressions, p: Polynomial, candidate: tuple[int, ...]) -> GaussianBlock | None:
    """What is proved of a block, None if p is not quadratic in it; kept, as several moments ask for it."""

    def find() -> GaussianBlock | None:
        try:
            return gaussian_block(table, p, candidate)
        except Refused:
            return None

    found: GaussianBlock | None = table.kept(("block", p.key, candidate), find)
    return found


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
