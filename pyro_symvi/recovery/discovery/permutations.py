"""Permutations: of coordinates (as they are, or in units of their own), of plate and label indices, of whole sites."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ...groups import (
    CoordinatePermutation,
    Cyclic,
    Dihedral,
    FiniteMatrixGroup,
    LinearAction,
    NaturalAction,
    PermutationGroup,
    Symmetric,
)
from .actions import Conjugated
from .landscape import Axis, Landscape
from .maps import AffineMap, maps_of
from .proposals import Proposal

_ALL_PAIRS = 40
_MOST_SITES = 8
_MOST_INDICES = 40
_MOST_LABEL_FLIPS = 4

Blocks = tuple[tuple[int, ...], ...]


def exchanges(land: Landscape) -> Iterator[Proposal]:
    """Exchangeable indices of several sites together, sites, then coordinates; shifts where no exchange holds."""
    yield from _indices(land)
    yield from _sites(land)
    yield from _coordinates(land)


def exchange(dim: int, blocks: Sequence[Sequence[int]], kind: str, headline: bool = False) -> Proposal:
    """All permutations of equally long blocks of coordinates."""
    action = CoordinatePermutation(dim, blocks)
    moved = tuple(sorted(i for block in blocks for i in block))
    return Proposal(kind, action, moved, tuple(maps_of(action, dim)), headline)


def swap_map(dim: int, blocks: Sequence[Sequence[int]], i: int, j: int) -> AffineMap:
    """Blocks i and j change places."""
    source = list(range(dim))
    for a, b in zip(blocks[i], blocks[j], strict=True):
        source[a], source[b] = b, a
    return AffineMap(torch.eye(dim, dtype=torch.float64)[source], torch.zeros(dim, dtype=torch.float64))


def classes(land: Landscape, blocks: Blocks) -> list[list[int]]:
    """Blocks that may be swapped pair by pair, as screened, in classes of two or more."""
    count = len(blocks)
    near = count > _MOST_INDICES
    pairs = list(itertools.pairwise(range(count))) if near else list(itertools.combinations(range(count), 2))
    maps = [swap_map(land.dim, blocks, i, j) for i, j in pairs]
    held = land.screen.holds(torch.stack([m.matrix for m in maps]), torch.stack([m.offset for m in maps]))
    label = list(range(count))
    for (i, j), holds in zip(pairs, held.tolist(), strict=True):
        if holds and label[i] != label[j]:
            old, new = label[j], label[i]
            label = [new if value == old else value for value in label]
    found: dict[int, list[int]] = {}
    for k, value in enumerate(label):
        found.setdefault(value, []).append(k)
    return [members for members in found.values() if len(members) > 1]


def proved_permutations(land: Landscape) -> Iterator[Proposal]:
    """Permutations that static analysis proves, whatever their pattern, one by one."""
    for sigma in land.prover.analysis.permutations:
        group = PermutationGroup.generated_by([torch.tensor(sigma).argsort().tolist()])
        action = CoordinatePermutation(land.dim, permutations=group)
        moved = tuple(j for j, k in enumerate(sigma) if j != k)
        if moved:
            yield Proposal("permutation of coordinates", action, moved, tuple(maps_of(action, land.dim)))


def _indices(land: Landscape) -> Iterator[Proposal]:
    shifts: list[Proposal] = []
    for chosen in land.axis_sets():
        size = len(chosen[0])
        blocks = tuple(tuple(i for axis in chosen for i in axis.slices[k]) for k in range(size))
        where = " and ".join(f"{a.site}" for a in chosen)
        single = len(blocks[0]) == 1
        kind = "exchangeable coordinates" if single else f"permutation of the {size} indices of {where}"
        found = classes(land, blocks)
        for members in found:
            yield exchange(land.dim, [blocks[k] for k in members], kind, headline=len(members) == size)
        if not found:
            shifts += list(_shifts(land, blocks, where))
            if size == 2:
                yield from _flipped_labels(land, blocks, chosen)
    yield from shifts


def _shifts(land: Landscape, blocks: Blocks, where: str) -> Iterator[Proposal]:
    """Cyclic shifts, with or without reversal; or the reversal alone."""
    size, moved = len(blocks), tuple(sorted(i for block in blocks for i in block))
    if size < 3:
        return
    for group, words in ((Dihedral(size), "shifts and reversal"), (Cyclic(size), "cyclic shifts")):
        action = CoordinatePermutation(land.dim, blocks, group)
        generators = maps_of(action, land.dim)
        if land.screen.holds_all(generators):
            yield Proposal(f"{words} of the indices of {where}", action, moved, tuple(generators))
            return


def _flipped_labels(land: Landscape, blocks: Blocks, chosen: tuple[Axis, ...]) -> Iterator[Proposal]:
    """Two labels that change places while some scalar sites (a log odds of their weights) change sign."""
    used = {i for block in blocks for i in block}
    scalars = [i for i in range(land.dim) if i not in used and _is_alone(land, i)]
    for count in range(1, min(len(scalars), _MOST_LABEL_FLIPS) + 1):
        for flipped in itertools.combinations(scalars, count):
            matrix = swap_map(land.dim, blocks, 0, 1).matrix.clone()
            matrix[list(flipped), list(flipped)] = -1
            if land.screen.holds_all([AffineMap(matrix, torch.zeros(land.dim, dtype=torch.float64))]):
                where = " and ".join(a.site for a in chosen)
                kind = f"exchange of two labels of {where}, {land.names(flipped)} changing sign"
                yield involution(land, matrix, torch.zeros(land.dim, dtype=torch.float64), kind)


def involution(land: Landscape, matrix: Tensor, center: Tensor, kind: str) -> Proposal:
    """A map of order two about a centre, on the coordinates that it moves."""
    identity = torch.eye(land.dim, dtype=torch.float64)
    moved = tuple(((matrix - identity).abs().amax(-1) > 1e-12).nonzero()[:, 0].tolist())
    index = torch.tensor(moved)
    group = FiniteMatrixGroup.generated_by(matrix[index][:, index][None], max_order=2)
    action = Conjugated(NaturalAction(group), identity, center, moved, kind)
    return Proposal(kind, action, moved, tuple(maps_of(action, land.dim)))


def _is_alone(land: Landscape, coordinate: int) -> bool:
    return any(s.slice == slice(coordinate, coordinate + 1) for s in land.density.sites)


def _sites(land: Landscape) -> Iterator[Proposal]:
    """Sites of one shape, alone or two or three pairs of them together."""
    sites = land.density.sites
    places = [tuple(range(land.dim)[site.slice]) for site in sites]
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for k, site in enumerate(sites):
        by_shape.setdefault(tuple(site.unconstrained_shape), []).append(k)
    for alike in by_shape.values():
        if len(alike) < 2:
            continue
        blocks = tuple(places[k] for k in alike)
        for members in classes(land, blocks):
            names = ", ".join(sites[alike[k]].name for k in members)
            yield exchange(land.dim, [blocks[k] for k in members], f"permutation of the sites {names}", headline=True)
    if len(sites) > _MOST_SITES:
        return
    pairs = [(a, b) for alike in by_shape.values() for a, b in itertools.combinations(alike, 2)]
    for count in (2, 3):
        for chosen in itertools.combinations(pairs, count):
            if len({k for pair in chosen for k in pair}) < 2 * count:
                continue
            for turned in itertools.product((False, True), repeat=count - 1):
                ordered = [chosen[0]] + [(b, a) if t else (a, b) for (a, b), t in zip(chosen[1:], turned, strict=True)]
                first = tuple(i for a, _ in ordered for i in places[a])
                second = tuple(i for _, b in ordered for i in places[b])
                if land.screen.holds_all([swap_map(land.dim, (first, second), 0, 1)]):
                    one = ", ".join(sites[a].name for a, _ in ordered)
                    other = ", ".join(sites[b].name for _, b in ordered)
                    yield exchange(land.dim, [first, second], f"exchange of the sites ({one}) and ({other})")


def _coordinates(land: Landscape) -> Iterator[Proposal]:
    """Single coordinates: as they are, then about each centre in units of their curvature, and with signs."""
    d = land.dim
    if not 2 <= d <= _ALL_PAIRS:
        return
    blocks = tuple((i,) for i in range(d))
    for members in classes(land, blocks):
        yield exchange(d, [blocks[k] for k in members], "exchangeable coordinates")
    for center in land.centers:
        hessian = land.hessian(center)
        if hessian is None or bool((hessian.diagonal() == 0).any()):
            continue
        unit = hessian.diagonal().abs().rsqrt()
        yield from _scaled(land, center, unit)


def _scaled(land: Landscape, center: Tensor, unit: Tensor) -> Iterator[Proposal]:
    """Classes under z_i - c_i <-> +-(u_i / u_j) (z_j - c_j), the sign of each coordinate relative to the first."""
    d = land.dim
    pairs = list(itertools.combinations(range(d), 2))
    both = [(i, j, sign) for i, j in pairs for sign in (1.0, -1.0)]
    matrices = torch.eye(d, dtype=torch.float64).repeat(len(both), 1, 1)
    for m, (i, j, sign) in zip(matrices, both, strict=True):
        m[i, i] = m[j, j] = 0.0
        m[i, j], m[j, i] = sign * unit[i] / unit[j], sign * unit[j] / unit[i]
    held = land.screen.holds(matrices, center - matrices @ center)
    signed: dict[int, dict[int, float]] = {}
    for (i, j, sign), holds in zip(both, held.tolist(), strict=True):
        if holds:
            root = next((r for r, members in signed.items() if i in members), i)
            members = signed.setdefault(root, {i: 1.0})
            members.setdefault(j, sign * members[i])
    for members in signed.values():
        index = tuple(sorted(members))
        scales = torch.stack([members[i] * unit[i] for i in index])
        scales = scales / scales.abs().max()
        scales = torch.where((scales.abs() - 1).abs() < 1e-9, scales.sign(), scales)
        frame = torch.eye(d, dtype=torch.float64)
        frame[list(index), list(index)] = scales
        equal = bool((scales.abs() == 1).all())
        words = "permutation of coordinates, with signs" if equal else "permutation of coordinates, in units of each"
        inner: LinearAction = CoordinatePermutation(len(index), permutations=Symmetric(len(index)))
        action = Conjugated(inner, frame, center, index, words)
        yield Proposal(words, action, index, tuple(maps_of(action, d)))
