r"""Upper bounds of a log density that are easier to integrate; each step can only enlarge the integral.

- A concave part C that falls in every direction of its own coordinates J has :math:`|z_J|^k e^C \le c_k`: it may be
  left out, with all powers of z_J, and with the coordinates of J that occur nowhere else.
- Terms that are bounded above may be left out.
- A coordinate that occurs as :math:`z_j e^{-\ell(y)}` is measured in that unit: a change of variables, no bound at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from . import exact, signs
from .curvature import Curvature, Shape
from .expressions import Expressions
from .gradients import gradient
from .invariance import Substitution
from .polynomials import ONE, Polynomial
from .quadratic_signs import floor, homogeneous_matrix
from .recession import Decay, decay, is_bounded_above

_MOST_PARTS = 6
_CONCAVE = (Shape.CONCAVE, Shape.AFFINE)


@dataclass(frozen=True)
class Majorant:
    """``exp(p) |z_j|^k <= c_k exp(bound)`` for j in ``absorbed``; the other coordinates of the part are ``part``.

    Attributes:
        bound: The new log density, up to a constant.
        part: Coordinates it is integrated over.
        absorbed: Coordinates all of whose powers are bounded away.
        reason: In words.
    """

    bound: Polynomial
    part: tuple[int, ...]
    absorbed: tuple[int, ...]
    reason: str


def majorants(table: Expressions, p: Polynomial, part: tuple[int, ...]) -> Iterator[Majorant]:
    """Bounds worth a try, each proved."""
    curvature = Curvature(table, part)
    concave = _concave_terms(curvature, p)
    found = _without_bounded_terms(table, p, part, set(concave))
    if found is not None:
        yield found
    yield from _concave_parts(table, p, part, concave)


def _concave_terms(curvature: Curvature, p: Polynomial) -> list[int]:
    """Monomials of p whose sum is concave: linear ones, a semidefinite quadratic, concave functions."""
    table = curvature.table
    chosen, square = [], []
    for monomial, numerator in p.terms.items():
        if not table.monomial_depends(monomial):
            continue
        powers = table.monomials[monomial]
        alone = Polynomial({monomial: numerator}, p.denominator, signs.ANY)
        if all(table.atoms[a].kind == "z" for a, _ in powers) and sum(k for _, k in powers) == 2:
            square.append(monomial)
        elif table.kept(("concave", curvature.block, monomial, numerator > 0), lambda: curvature.of(alone)) in _CONCAVE:  # noqa: B023
            chosen.append(monomial)
    if curvature.of(_of_terms(p, square)) in _CONCAVE:
        chosen += square
    return chosen


def _of_terms(p: Polynomial, monomials: list[int]) -> Polynomial:
    return Polynomial({m: p.terms[m] for m in monomials}, p.denominator, signs.ANY)


def _concave_parts(
    table: Expressions, p: Polynomial, part: tuple[int, ...], monomials: list[int]
) -> Iterator[Majorant]:
    groups: list[tuple[int, list[int]]] = []
    for monomial in monomials:
        mask, members = table.monomial_depends(monomial), [monomial]
        for group in [g for g in groups if g[0] & mask]:
            groups.remove(group)
            mask, members = mask | group[0], members + group[1]
        groups.append((mask, members))
    for mask, members in sorted(groups, key=lambda g: -g[0].bit_count())[:_MOST_PARTS]:
        own = tuple(j for j in part if mask >> j & 1)
        bound = _of_terms(p, [m for m in p.terms if m not in set(members)])
        left = table.depends(bound)
        if not left:
            continue
        shown = decay(Curvature(table, own), _of_terms(p, members))
        if shown is Decay.FALLS:
            kept = tuple(j for j in part if left >> j & 1 or j not in own)
            yield Majorant(bound, kept, own, f"a log-concave part in {len(own)} coordinates bounded")
        elif shown is Decay.BOUNDED:
            yield Majorant(bound, part, (), f"a log-concave part in {len(own)} coordinates bounded")


def _without_bounded_terms(
    table: Expressions, p: Polynomial, part: tuple[int, ...], concave: set[int]
) -> Majorant | None:
    """Leave out what is bounded above and not concave."""
    dropped = set()
    for monomial, numerator in p.terms.items():
        if monomial != ONE and monomial not in concave and _is_bounded(table, monomial, numerator > 0):
            dropped.add(monomial)
    if not dropped or len(dropped) == len(p.terms):
        return None
    return Majorant(_of_terms(p, [m for m in p.terms if m not in dropped]), part, (), "terms bounded above left out")


def _is_bounded(table: Expressions, monomial: int, positive: bool) -> bool:
    """Whether +-(monomial) is bounded above: by its sign, or as -log of a quadratic that stays away from zero."""
    sign = table.monomial_sign(monomial)
    if not (sign if positive else signs.negated(sign)) & signs.POSITIVE:
        return True
    powers = table.monomials[monomial]
    if len(powers) != 1 or positive:
        return False
    number, power = powers[0]
    atom = table.atoms[number]
    if atom.kind == "log" and power == 1:
        found: bool = table.kept(("floor", number), lambda: _stays_away_from_zero(table, atom.arguments[0]))
        return found
    return is_bounded_above(signs.NEGATIVE, atom, power)


def _stays_away_from_zero(table: Expressions, p: Polynomial) -> bool:
    matrix = homogeneous_matrix(table, p)
    return matrix is not None and exact.definiteness(matrix) > 0 and floor(matrix) > 0


# -- changes of variables ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rescaling:
    """z_j = c_j + t_j exp(log_units[j]) for some coordinates, the others kept.

    Attributes:
        bound: The log density of the new variables, the Jacobian included.
        log_units: Logarithms of the units, free of the rescaled coordinates.
    """

    bound: Polynomial
    log_units: dict[int, Polynomial]


def rescaled(table: Expressions, p: Polynomial, part: tuple[int, ...]) -> Rescaling | None:
    """Measure every coordinate that occurs times an exponential of others in that unit; None where there is none."""
    units: dict[int, Polynomial] = {}
    images: dict[int, Polynomial] = {}
    for j, (_, unit, c) in sorted(_units(table, p, part).items()):
        taken = sum(1 << k for k in (*units, j))
        if table.depends(unit) & taken or any(table.depends(u) >> j & 1 for u in units.values()):
            continue
        units[j] = unit
        factor = table.function("exp", unit, sign=signs.POSITIVE)
        images[j] = table.add(table.number(c), table.multiply(table.coordinate(j), factor))
    if not units:
        return None
    recording, table.recording = table.recording, False
    try:
        moved = Substitution(table, images)(p)
    finally:
        table.recording = recording
    return Rescaling(table.total([moved, *units.values()]), units)


_Unit = tuple[int, Polynomial, Fraction]


def _units(table: Expressions, p: Polynomial, part: tuple[int, ...]) -> dict[int, _Unit]:
    """(k, -e/k, centre) of a (z_j - centre)^k exp(e), k the largest, or of |z_j - centre| exp(e), in p or within."""
    own = {table.coordinate_atom(j): j for j in part}
    found: dict[int, _Unit] = {}
    seen: set[int] = set()
    stack = [p]
    while stack:
        q = stack.pop()
        for monomial in q.terms:
            powers = table.monomials[monomial]
            exponentials = [a for a, k in powers if table.atoms[a].kind == "exp" and k == 1]
            for a, k in powers:
                if len(exponentials) == 1 and a != exponentials[0]:
                    exponent = table.atoms[exponentials[0]].arguments[0]
                    for j, power, c in _measured(table, q, exponentials[0], a, k, own):
                        if power > found.get(j, (0,))[0]:
                            found[j] = power, table.scaled(exponent, Fraction(-1, power)), c
                if a not in seen:
                    seen.add(a)
                    stack += table.atoms[a].arguments
    return found


def _measured(
    table: Expressions, q: Polynomial, exponential: int, atom: int, k: int, own: dict[int, int]
) -> list[tuple[int, int, Fraction]]:
    """(j, power, centre) where the term of q with ``atom^k exp(e)`` measures z_j in a unit; centres are guesses."""
    if atom in own and k > 0:
        a, b = (q.coefficient(table.monomial(tuple(sorted([(atom, i), (exponential, 1)])))) for i in (2, 1))
        return [(own[atom], k, -b / (2 * a) if a and k == 2 else Fraction(0))]
    if table.atoms[atom].kind != "abs":
        return []
    (inner,) = table.atoms[atom].arguments
    slope = gradient(table, inner, tuple(own.values()))
    if slope is None or not slope.is_rational or sum(x != 0 for x in slope.row) != 1:
        return []
    return [(j, k, -inner.coefficient(ONE) / x) for j, x in zip(own.values(), slope.row, strict=True) if x]
