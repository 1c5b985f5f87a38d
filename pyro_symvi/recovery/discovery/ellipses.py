"""Elliptical blocks and joint rotations of several vectors: the continuous symmetries."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction

import torch
from torch import Tensor

from ...density._laplace import inverse_root
from ...groups import EllipticalRotation
from ..analysis import exact
from .actions import JointRotation
from .flips import flip_sets
from .landscape import Landscape
from .maps import AffineMap, maps_of
from .proposals import Proposal

_LONGEST = 6
_ALL_PAIRS = 10
_MOST = 60


def ellipses(land: Landscape) -> Iterator[Proposal]:
    """Blocks proved elliptical; then all coordinates, sites and sets of sites, reflecting sets, pairs."""
    d = land.dim
    yield from _proved(land)
    headlines = {tuple(range(d)), *(tuple(range(d)[site.slice]) for site in land.density.sites)}
    for number, center in enumerate(land.centers):
        hessian = land.hessian(center)
        for chosen in _blocks(land, center):
            found = None if hessian is None else _shape(hessian, chosen)
            if found is not None:
                whole = number == 0 and chosen in headlines
                proposal = ellipse(land, chosen, center[torch.tensor(chosen)], found, headline=whole)
                if proposal is not None:
                    yield proposal


def _proved(land: Landscape) -> Iterator[Proposal]:
    """What static analysis shows to be elliptical."""
    analysis = land.prover.analysis
    shapes: list[tuple[tuple[int, ...], Sequence[Fraction], Sequence[Sequence[Fraction]], str]] = []
    for block in analysis.blocks if land.prover.reads else ():
        shape = block.block.covariance_shape if block.is_elliptical else None
        if shape is not None and block.center is not None:
            reason = (
                "log p is quadratic in the block given the rest, with an exact constant centre, and its precision is "
                "a positive multiple of one exact matrix"
            )
            shapes.append((block.coordinates, block.center, shape, reason))
    for other in analysis.ellipses if land.prover.reads else ():
        inverse = exact.inverse(other.block.shape)
        if inverse is not None:
            reason = "log p depends on the block through one exact quadratic alone, given the rest"
            shapes.append((other.coordinates, other.center, inverse, reason))
    for coordinates, center, matrix, reason in shapes:
        if len(coordinates) > 1:
            about = torch.tensor([float(c) for c in center], dtype=torch.float64)
            found = ellipse(land, tuple(coordinates), about, _rounded(matrix), headline=True)
            if found is not None:
                yield dataclasses.replace(found, proved=reason)


def ellipse(
    land: Landscape, block: tuple[int, ...], center: Tensor, shape: Tensor, headline: bool = False
) -> Proposal | None:
    """Rotations of a block in the metric of a shape, scaled to a largest variance of one; None if not definite."""
    try:
        action = EllipticalRotation(coordinates=block).bind(land.dim, center=center, shape=shape / shape.abs().max())
    except ValueError:
        return None
    return Proposal("elliptical", action, block, tuple(maps_of(action, land.dim)), headline)


def _shape(hessian: Tensor, block: tuple[int, ...]) -> Tensor | None:
    """The inverse of the Hessian's block, of either sign: the only shape that an elliptical symmetry can have."""
    index = torch.tensor(block)
    part = hessian[index][:, index]
    for precision in (-part, part):
        root = inverse_root((precision + precision.mT) / 2)
        if root is not None:
            return root @ root.mT
    return None


def _rounded(shape: Sequence[Sequence[Fraction]]) -> Tensor:
    return torch.tensor([[float(x) for x in row] for row in shape], dtype=torch.float64)


def _blocks(land: Landscape, center: Tensor) -> list[tuple[int, ...]]:
    d = land.dim
    everything = tuple(range(d))
    sites = [everything[site.slice] for site in land.density.sites]
    found = [everything] if d <= _MOST else []
    sets = flip_sets(land, center)
    found.append(tuple(sorted({j for s in sets for j in s})))
    for count in (3, 2, 1):
        if len(sites) > count and len(sites) <= 8:
            found += [tuple(sorted(itertools.chain(*some))) for some in itertools.combinations(sites, count)]
    found += sets
    if d <= _ALL_PAIRS:
        for count in range(d - 1, 1, -1):
            found += itertools.combinations(range(d), count)
    return [block for block in dict.fromkeys(found) if len(block) > 1][:200]


def rotations(land: Landscape) -> Iterator[Proposal]:
    """One orthogonal matrix turning the vectors along axes of equal length: loadings and scores of factors."""
    for chosen in land.axis_sets():
        size = len(chosen[0])
        if size > _LONGEST:
            continue
        vectors = [tuple(axis.slices[k][m] for k in range(size)) for axis in chosen for m in range(len(axis.slices[0]))]
        action = JointRotation(land.dim, vectors)
        generators = _rational_rotations(land.dim, vectors)
        where = " and ".join(a.site for a in chosen)
        moved = tuple(sorted(i for v in vectors for i in v))
        kind = f"rotation O({size}) of {where}" + (" jointly" if len(chosen) > 1 else "")
        if land.screen.holds_all(list(generators)):
            yield Proposal(kind, action, moved, generators, headline=True)


def _rational_rotations(dim: int, vectors: list[tuple[int, ...]]) -> tuple[AffineMap, ...]:
    """Rotations by (3, 4, 5)'s angle, no rational part of a turn, in neighbouring planes; and one flip.

    They generate a dense subgroup of O(k): the powers of each rotation are dense in its plane's SO(2) (Niven), and
    the rotations of neighbouring planes generate SO(k). A density unchanged by a dense subgroup is unchanged, almost
    everywhere, by all of it, since rotations act continuously on integrable functions.
    """
    size = len(vectors[0])
    turns = []
    for k in range(size - 1):
        turn = torch.eye(size, dtype=torch.float64)
        turn[k : k + 2, k : k + 2] = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
        turns.append(turn)
    flip = torch.eye(size, dtype=torch.float64)
    flip[0, 0] = -1
    action = JointRotation(dim, vectors)
    return tuple(maps_of(action, dim, torch.stack([*turns, flip])))
