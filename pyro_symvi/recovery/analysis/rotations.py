r"""Joint rotations of frames: loadings and scores of a factor model under isotropic priors.

Flips of single factors and permutations of factors say which coordinates belong together. In each plane of two factors
the rotation by :math:`\arccos(3/5)` is put into log p, with the same rational matrix for all frames. Its angle is no
rational multiple of :math:`\pi` (Niven), so its powers are dense in the rotations of that plane; log p being continuous
(no condition on the unknowns occurs in it), it is unchanged by all of them. Planes that connect all k factors generate
SO(k), and with one flip O(k). So finitely many exact substitutions, density and continuity prove a connected group.

Reference: Niven (1956), "Irrational Numbers", corollary 3.12.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from .expressions import Expressions
from .findings import RotationGroup
from .invariance import is_invariant
from .log_concavity import full_support
from .polynomials import Polynomial

_COS, _SIN = Fraction(3, 5), Fraction(4, 5)
_MOST_PLANES = 60


def find_rotations(
    table: Expressions,
    p: Polynomial,
    flips: Sequence[tuple[int, ...]],
    permutations: Sequence[tuple[int, ...]],
) -> tuple[RotationGroup, ...]:
    """Proved groups O(k) of joint rotations.

    Args:
        table: Where p lives.
        p: A log density without open obligations.
        flips: Disjoint sets whose joint change of sign (about zero) was proved: one a factor.
        permutations: Proved permutations.
    """
    factors: list[tuple[int, ...]] = []
    for flip in flips:
        if len(flip) > 1 and not any(set(flip) & set(other) for other in factors):
            factors.append(flip)
    if len(factors) < 2 or not full_support(table, p):
        return ()
    sets = {frozenset(flip): i for i, flip in enumerate(factors)}
    columns = {i: list(factor) for i, factor in enumerate(factors)}
    leader = list(range(len(factors)))
    tried = 0
    for images in permutations:
        for i, factor in enumerate(factors):
            j = sets.get(frozenset(images[a] for a in factor))
            if j is None or i == j or leader[i] == leader[j] or tried >= _MOST_PLANES:
                continue
            tried += 1
            pairs = [(a, images[a]) for a in columns[i]]
            if not is_invariant(table, p, _rotated(table, pairs)):
                continue
            # bring the columns of j's group into the order of i's
            order = {a: place for place, a in enumerate(columns[j])}
            moved = [order[images[a]] for a in columns[i]]
            old, new = leader[j], leader[i]
            for k in range(len(factors)):
                if leader[k] == old:
                    columns[k] = [columns[k][m] for m in moved]
                    leader[k] = new
    groups = []
    for head in dict.fromkeys(leader):
        members = [k for k in range(len(factors)) if leader[k] == head]
        if len(members) > 1:
            groups.append(RotationGroup(tuple(zip(*(columns[k] for k in members), strict=True))))
    return tuple(groups)


def _rotated(table: Expressions, pairs: Sequence[tuple[int, int]]) -> dict[int, Polynomial]:
    """(z_a, z_b) -> (3/5 z_a - 4/5 z_b, 4/5 z_a + 3/5 z_b) for all pairs."""
    images = {}
    for a, b in pairs:
        x, y = table.coordinate(a), table.coordinate(b)
        images[a] = table.combination([(_COS, x), (-_SIN, y)])
        images[b] = table.combination([(_SIN, x), (_COS, y)])
    return images
