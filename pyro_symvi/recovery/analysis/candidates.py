"""Blocks worth trying. Nothing here is trusted: `gaussian_block` checks each."""

from __future__ import annotations

from .expressions import Expressions
from .polynomials import Polynomial

_MOST = 40


def candidate_blocks(
    table: Expressions, p: Polynomial, coordinates: tuple[int, ...], sites: tuple[tuple[int, ...], ...] = ()
) -> list[tuple[int, ...]]:
    """Sets of coordinates in which p may be quadratic, largest first.

    Coordinates that occur in no function and in no power above two; of those, sets without a term of higher degree,
    grown from each site and from each coordinate; parts of sites; single coordinates.
    """
    usable = _quadratic_alone(table, p, coordinates)
    together = _clashes(table, p, usable)
    found: dict[tuple[int, ...], None] = {}
    seeds = [tuple(j for j in site if j in usable) for site in sites] + [(j,) for j in sorted(usable)]
    for seed in [tuple(sorted(usable)), *seeds]:
        if not seed:
            continue
        grown: list[int] = []
        for j in [*seed, *sorted(usable - set(seed))]:
            if not any(clash <= {*grown, j} for clash in together if j in clash):
                grown.append(j)
        found[tuple(sorted(grown))] = None
    ordered = sorted(found, key=lambda block: (-len(block), block))
    for part in [*(tuple(sorted(set(s))) for s in seeds if s)]:
        if part not in found:
            ordered.append(part)
            found[part] = None
    return ordered[:_MOST]


def candidate_affine(dim: int, sites: tuple[tuple[int, ...], ...], singles: bool = True) -> list[tuple[int, ...]]:
    """Blocks whose centre may move with the rest: all but one site, sites, and single coordinates; few of each."""
    outside = [tuple(sorted(set(range(dim)) - set(site))) for site in sites] if 1 < len(sites) <= _MOST else []
    single = [(j,) for j in range(dim)] if singles else []
    return list(dict.fromkeys([*outside[:_MOST], *sites[:_MOST], *single]))


def _quadratic_alone(table: Expressions, p: Polynomial, coordinates: tuple[int, ...]) -> set[int]:
    atoms = {table.coordinate_atom(j): j for j in coordinates}
    usable = set(coordinates)
    seen = 0
    for monomial in p.terms:
        seen |= table.monomial_depends(monomial)
        for atom, power in table.monomials[monomial]:
            if atom in atoms:
                if power not in (1, 2):
                    usable.discard(atoms[atom])
            else:
                depends = table.atoms[atom].depends
                usable -= {j for j in usable if depends >> j & 1}
    return {j for j in usable if seen >> j & 1}


def _clashes(table: Expressions, p: Polynomial, usable: set[int]) -> list[set[int]]:
    """Sets of coordinates with a term of degree above two in them."""
    atoms = {table.coordinate_atom(j): j for j in usable}
    found: dict[frozenset[int], None] = {}
    for monomial in p.terms:
        powers = [(atoms[a], k) for a, k in table.monomials[monomial] if a in atoms]
        if sum(k for _, k in powers) > 2:
            for size in range(1, len(powers) + 1):
                for start in range(len(powers) - size + 1):
                    chosen = powers[start : start + size]
                    if sum(k for _, k in chosen) > 2:
                        found[frozenset(j for j, _ in chosen)] = None
    return [set(s) for s in found]
