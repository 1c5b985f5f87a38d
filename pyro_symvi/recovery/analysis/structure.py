"""What is symmetric in a density: blocks, reflections, centres that move with the rest, permutations, each proved.

Every part has a budget of its own, so that one that is too large does not keep the others from being found.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from .affine_centers import affine_center
from .candidates import candidate_affine, candidate_blocks
from .ellipticity import candidate_ellipses, elliptical_block, radial_moment
from .expressions import BUDGET, Expressions
from .findings import AffineCenter
from .gaussian_block import GaussianBlock
from .integrability import Moment, block_of, moment, restricted
from .invariance import proposed_center
from .permutations import find_permutations
from .polynomials import Polynomial
from .refusals import Refused
from .report import Block, Ellipse, Symmetry
from .rotations import find_rotations
from .symmetries import is_long, reflections


def find_structure(
    table: Expressions, p: Polynomial, names: tuple[str, ...], sites: tuple[tuple[int, ...], ...]
) -> dict[str, Any]:
    """The fields of `Analysis` that speak of symmetry, for a density without open obligations."""
    table.allow(BUDGET)
    everything = moments_of(table, p, tuple(range(len(names))), len(names))
    table.allow(BUDGET)
    blocks = find_blocks(table, p, names, sites, everything)
    found = find_reflections(table, p, names, sites, blocks, everything)
    ellipses = find_ellipses(table, p, names, blocks)
    for ellipse in ellipses:
        if len(ellipse.coordinates) == len(names):
            everything = {order: m if m.exists else ellipse.moments[order] for order, m in everything.items()}
    center = _center(table, p, len(names), (*blocks, *found, *ellipses))
    table.allow(BUDGET)
    permutations = find_permutations(table, p, len(names), sites, center)
    generators = permutations.generators
    flips = [r.coordinates for r in found if not any(r.center)]
    images = [g.images for g in generators if g.is_permutation]
    table.allow(BUDGET)
    settled = found if everything[0].exists else ()
    rotations = find_rotations(table, p, flips, images)
    return {
        "moments": everything,
        "blocks": blocks,
        "ellipses": ellipses,
        "reflections": found,
        "swaps": _neighbours(sites, permutations.exchangeable),
        "permutations": tuple(images),
        "rotations": rotations,
        "signed_permutations": tuple(g for g in generators if not g.is_permutation),
        "exchangeable": permutations.exchangeable,
        "exchangeable_blocks": permutations.blocks,
        "affine_centers": find_affine_centers(table, p, sites, blocks, len(names), settled),
    }


def find_blocks(
    table: Expressions,
    p: Polynomial,
    names: tuple[str, ...],
    sites: tuple[tuple[int, ...], ...] = (),
    known: dict[int, Moment] | None = None,
) -> tuple[Block, ...]:
    """The blocks of a density without open obligations, largest claims first."""
    everything = tuple(range(len(names)))
    blocks: list[Block] = []
    varying = restricted(table, p, everything)  # as the moments asked for its blocks
    for candidate in candidate_blocks(table, p, everything, sites):
        held = [b for b in blocks if set(candidate) <= set(b.coordinates)]
        if any(b.is_symmetric for b in held):
            continue
        found = block_of(table, varying, candidate)
        if found is None or not (found.is_symmetric or found.positive_definite) or (held and not found.is_symmetric):
            continue
        moments = _moments(table, p, candidate, len(names), known) if found.is_symmetric else _NO_MOMENTS
        affine = _affine_center(table, p, found, len(names))
        blocks.append(Block(candidate, tuple(names[j] for j in candidate), found, moments, affine))
    return tuple(sorted(blocks, key=lambda b: (not b.is_symmetric, not b.is_gaussian, -len(b.coordinates))))


def _affine_center(table: Expressions, p: Polynomial, block: GaussianBlock, dim: int) -> AffineCenter | None:
    if block.center is not None:
        return AffineCenter(block.coordinates, (), block.center, ((),) * len(block.coordinates))
    if not block.positive_definite:
        return None
    try:
        return affine_center(table, p, block.coordinates, dim, block.factors)
    except Refused:
        return None


def find_ellipses(
    table: Expressions, p: Polynomial, names: tuple[str, ...], blocks: tuple[Block, ...]
) -> tuple[Ellipse, ...]:
    """Elliptical blocks that are not Gaussian given the rest."""
    dim = len(names)
    held = [set(b.coordinates) for b in blocks if b.is_elliptical]
    found: list[Ellipse] = []
    for candidate in candidate_ellipses(table, p, dim):
        if any(set(candidate) <= known for known in held):
            continue
        table.allow(BUDGET)
        try:
            proved = elliptical_block(table, p, candidate, dim)
            if proved is None:
                continue
            block, line = proved
            moments = {order: radial_moment(table, line, candidate, dim, order) for order in (1, 2, 0)}
        except Refused:
            continue
        held.append(set(candidate))
        found.append(Ellipse(candidate, tuple(names[j] for j in candidate), block, moments))
    return tuple(found)


def find_affine_centers(
    table: Expressions,
    p: Polynomial,
    sites: tuple[tuple[int, ...], ...],
    blocks: tuple[Block, ...],
    dim: int,
    settled: tuple[Symmetry, ...] = (),
) -> tuple[AffineCenter, ...]:
    """Conditional reflections about a centre that moves with the rest: of blocks, sites and single coordinates.

    ``settled`` are reflections of an integrable density about constant centres. What they make up together has no other
    centre: two reflections of the same coordinates make a translation, which leaves no integrable density unchanged.
    """
    found = [b.affine_center for b in blocks if b.affine_center is not None and b.affine_center.on]
    constant = {b.coordinates for b in blocks if b.is_gaussian and b.is_symmetric}  # no other centre is possible
    for candidate in candidate_affine(dim, sites, singles=dim <= _MOST_SINGLE):
        if (
            candidate in constant
            or _is_made_up(candidate, settled)
            or len(candidate) == dim
            or any(set(candidate) <= set(c.coordinates) for c in found)
        ):
            continue
        table.allow(BUDGET)
        try:
            center = affine_center(table, p, candidate, dim)
        except Refused:
            continue
        if center is not None and center.on:
            found.append(center)
    return tuple(found)


def _is_made_up(candidate: tuple[int, ...], reflections: tuple[Symmetry, ...]) -> bool:
    """Whether the coordinates are those of disjoint reflections together."""
    left = set(candidate)
    for held in reflections:
        if set(held.coordinates) <= left:
            left -= set(held.coordinates)
    return not left


def find_reflections(
    table: Expressions,
    p: Polynomial,
    names: tuple[str, ...],
    sites: tuple[tuple[int, ...], ...],
    blocks: tuple[Block, ...],
    known: dict[int, Moment] | None = None,
) -> tuple[Symmetry, ...]:
    """Reflections beyond those of the blocks; each with a budget of its own."""
    dim = len(names)
    symmetric = tuple(b.block for b in blocks if b.is_symmetric)
    held = [set(b.coordinates) for b in symmetric]
    found: list[Symmetry] = []
    table.allow(BUDGET)
    for reflection in reflections(table, p, dim, symmetric, sites):
        where = reflection.coordinates
        if set(where) not in held:
            table.allow(BUDGET)
            moments = _moments(table, p, where, dim, known, looked=len(found) < _MOST_MOMENTS)
            found.append(Symmetry(where, tuple(names[j] for j in where), reflection.center, moments))
    return tuple(found)


def _center(
    table: Expressions, p: Polynomial, dim: int, parts: Sequence[Block | Symmetry | Ellipse]
) -> tuple[Fraction, ...]:
    """A point about which signs may change: proved centres (where not too long to substitute), guesses elsewhere."""
    center = list(proposed_center(table, p, tuple(range(dim))))
    for part in parts:
        if not is_long(p, part.center):
            for j, c in zip(part.coordinates, part.center or (), strict=False):
                center[j] = c
    return tuple(center)


def _neighbours(
    sites: tuple[tuple[int, ...], ...], exchangeable: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, int], ...]:
    """Neighbours of a site that may be swapped."""
    part = {j: number for number, members in enumerate(exchangeable) for j in members}
    return tuple((a, b) for site in sites for a, b in pairwise(site) if a in part and part[a] == part.get(b))


def _moments(
    table: Expressions,
    p: Polynomial,
    of: tuple[int, ...],
    dim: int,
    known: dict[int, Moment] | None,
    looked: bool = True,
) -> dict[int, Moment]:
    """`moments_of`, unless those of all coordinates settle it; not looked at where too many were."""
    if known is not None and (known[2].exists or not known[0].exists):
        return known  # all exist, or not even integrability was shown
    return moments_of(table, p, of, dim) if looked else _TOO_MANY


def moments_of(table: Expressions, p: Polynomial, of: tuple[int, ...], dim: int) -> dict[int, Moment]:
    """First and second moments of some coordinates; order 0 is integrability alone."""
    found = {order: moment(table, p, tuple(range(dim)), of, order) for order in (1, 2)}
    found[0] = found[1] if found[1].exists else moment(table, p, tuple(range(dim)), (), 0)
    return found


_NOT_LOOKED_AT = Moment(False, "its moments were not looked at: its centre depends on the rest")
_MOST_MOMENTS = 12
_MOST_SINGLE = 20
_LEFT_OUT = Moment(False, f"its moments were not looked at: more than {_MOST_MOMENTS} reflections were found")
_TOO_MANY = {0: _LEFT_OUT, 1: _LEFT_OUT, 2: _LEFT_OUT}
_NO_MOMENTS = {1: _NOT_LOOKED_AT, 2: _NOT_LOOKED_AT}
