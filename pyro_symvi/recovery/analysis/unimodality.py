r"""Coordinatewise unimodality: z_j alone even about c_j, and log p never rising with :math:`|z_j - c_j|`.

Shown, for every value of the other coordinates, from the trend of log p in :math:`w = (z_j - c_j)^2`, or from concavity
in z_j: an even concave function does not rise away from its centre, and falls strictly if strictly concave.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from .expressions import BUDGET, Expressions
from .gradients import gradient
from .invariance import Substitution, is_invariant, proposed_center, reflected
from .log_concavity import LogConcavity, by_coordinate
from .polynomials import ONE, Polynomial
from .refusals import Refused
from .trends import Trends

_MOST = 200


@dataclass(frozen=True)
class Unimodality:
    """Coordinates in which log p is even and unimodal, whatever the others are.

    Attributes:
        coordinates: j with log p even in z_j about c_j and non-increasing in ``|z_j - c_j|``, the rest held.
        strict: Those in which it decreases strictly, for every value of the rest.
        centers: The exact c_j.
    """

    coordinates: tuple[int, ...] = ()
    strict: tuple[int, ...] = ()
    centers: dict[int, Fraction] = field(default_factory=dict)


def unimodality(
    table: Expressions,
    p: Polynomial,
    dim: int,
    known: Iterable[tuple[tuple[int, ...], tuple[Fraction, ...]]] = (),
    concavity: LogConcavity | None = None,
) -> Unimodality:
    """Unimodal coordinates of a log density without open obligations.

    Args:
        table: Where p lives.
        p: The log density.
        dim: Number of coordinates; only the first 200 are looked at.
        known: ``(coordinates, center)`` of reflections that were proved: where to look for centres (untrusted here).
        concavity: What is known of concavity.
    """
    few = tuple(range(min(dim, _MOST)))
    proposed: dict[int, dict[Fraction, None]] = {j: {} for j in few}
    for block, center in known:
        for j, c in zip(block, center, strict=True):
            if j in proposed:
                proposed[j][c] = None
    for j, c in zip(few, proposed_center(table, p, few), strict=True):
        proposed[j][c] = None
    centers: dict[int, Fraction] = {}
    strict = []
    every = by_coordinate(table, p, dim)
    for j, candidates in proposed.items():
        table.allow(BUDGET)
        own = every[j]  # all other terms are unchanged by the reflection of z_j
        try:
            candidates.update(dict.fromkeys(_middles(table, own, j)))
            for c in candidates:
                found = _at(table, own, j, c, concavity)
                if found is not None:
                    centers[j] = c
                    strict += [j] if found else []
                    break
        except Refused:
            continue
    return Unimodality(tuple(centers), tuple(strict), centers)


def _at(table: Expressions, p: Polynomial, j: int, c: Fraction, concavity: LogConcavity | None) -> bool | None:
    """None if not shown unimodal about c; else whether strictly."""
    if not is_invariant(table, p, reflected(table, (j,), (c,))):
        return None
    if concavity is not None and j in concavity.strict_given_rest:
        return True
    recording, table.recording = table.recording, False
    try:
        image = table.combination([(1, table.coordinate(j)), (c, table.one)])
        shifted = Substitution(table, {j: image})(p) if c else p
    finally:
        table.recording = recording
    trend = Trends(table, j).of(shifted)
    if trend.up == -1:
        return trend.strict
    return False if concavity is not None and j in concavity.given_rest else None


def _middles(table: Expressions, p: Polynomial, j: int) -> list[Fraction]:
    """Zeros of the affine arguments of functions of z_j alone, if few, and their mean: guesses at a centre."""
    zeros: dict[Fraction, None] = {}
    for monomial in p.terms:
        for atom, _ in table.monomials[monomial]:
            for argument in table.atoms[atom].arguments:
                slope = gradient(table, argument, (j,)) if table.depends(argument) == 1 << j else None
                if slope is not None and slope.is_rational and slope.row[0]:
                    zeros[-argument.coefficient(ONE) / slope.row[0]] = None
    found = list(zeros)
    return [*found[:3], sum(found, Fraction(0)) / len(found)] if found else []
