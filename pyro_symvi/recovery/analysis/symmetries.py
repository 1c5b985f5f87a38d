"""Reflections and swaps that leave log p unchanged: candidates from every finder, each proved by substitution."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from .centers import common_center
from .expressions import Expressions
from .gaussian_block import GaussianBlock
from .invariance import Substitution, is_invariant, permuted, proposed_center, reflected
from .polynomials import Polynomial
from .refinement import balanced
from .refusals import Refused
from .sign_flips import flip_group

_MOST_FLIPS = 400
_MOST_SWAPS = 400
_MOST_BITS = 10_000_000


@dataclass(frozen=True)
class Reflection:
    """log p is unchanged by z_J -> 2c - z_J, the other coordinates staying.

    Attributes:
        coordinates: J.
        center: c, exact rationals.
    """

    coordinates: tuple[int, ...]
    center: tuple[Fraction, ...]


def reflections(
    table: Expressions,
    p: Polynomial,
    dim: int,
    blocks: tuple[GaussianBlock, ...] = (),
    sites: tuple[tuple[int, ...], ...] = (),
) -> tuple[Reflection, ...]:
    """Proved reflections of single coordinates, sites, all, and of what parity proposes.

    Larger ones implied by smaller ones that are disjoint are left out. So are those that move part of a symmetric block
    whose centre is too long to substitute (`is_long`); reflections that move all of it follow from those of the rest.
    """
    held = {j for block in blocks if is_long(p, block.center) for j in block.coordinates}
    everything = tuple(j for j in range(dim) if j not in held)
    proposed = list(proposed_center(table, p, tuple(range(dim))))
    for block in blocks:
        for j, c in zip(block.coordinates, block.center or (), strict=False):
            proposed[j] = Fraction(0) if j in held else c
    centers = {tuple(proposed): None}
    common = common_center(table, p, dim)
    if common is not None:
        centers[common] = None
    proved: list[Reflection] = []
    for center in centers:
        candidates = dict.fromkeys(_flips(table, p, dim, center))
        candidates.update(dict.fromkeys([everything, *sites]))
        for candidate in sorted(candidates, key=lambda c: (len(c), c)):
            at = tuple(center[j] for j in candidate)
            if (
                not candidate
                or held & set(candidate)
                or Reflection(candidate, at) in proved
                or _implied(candidate, proved)
            ):
                continue
            if is_invariant(table, p, reflected(table, candidate, at)):
                proved.append(Reflection(candidate, at))
    return tuple(sorted(proved, key=lambda r: (len(r.coordinates), r.coordinates)))


def is_long(p: Polynomial, center: tuple[Fraction, ...] | None) -> bool:
    """Whether a centre's numbers are too long to be put into every term of p: over ten million bits in all."""
    return len(p.terms) * sum(c.denominator.bit_length() for c in center or ()) > _MOST_BITS


def _flips(table: Expressions, p: Polynomial, dim: int, center: tuple[Fraction, ...]) -> list[tuple[int, ...]]:
    """Flips about the centre, found on the expression shifted there."""
    images = {j: table.combination([(1, table.coordinate(j)), (c, table.one)]) for j, c in enumerate(center) if c}
    recording, table.recording = table.recording, False
    try:
        shifted = Substitution(table, images)(p) if images else p
        found = flip_group(table, balanced(table, shifted, dim), dim)
    except Refused:
        return []
    finally:
        table.recording = recording
    return found[:_MOST_FLIPS]


def _implied(candidate: tuple[int, ...], proved: list[Reflection]) -> bool:
    """Whether it is a union of disjoint proved ones."""
    left = set(candidate)
    for held in proved:
        if set(held.coordinates) <= left:
            left -= set(held.coordinates)
    return not left


def swaps(table: Expressions, p: Polynomial, sites: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, int], ...]:
    """Pairs of neighbouring coordinates of a site that may be swapped: proved, by substitution.

    If all neighbours may, the site's coordinates are exchangeable (adjacent swaps generate the symmetric group).
    """
    found = []
    tried = 0
    for site in sites:
        for a, b in pairwise(site):
            tried += 1
            if tried <= _MOST_SWAPS and is_invariant(table, p, permuted(table, {a: b, b: a})):
                found.append((a, b))
    return tuple(found)
