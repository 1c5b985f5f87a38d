"""What a symmetry pins of a mean and of a scatter, computed from the fixed subspaces of its action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from ...groups import AffineAction, AxisFlips, EllipticalRotation, LinearAction, PointReflection

_ZERO = 1e-9
_SMALL = 8
"""Beyond this many coordinates, actions that treat all moved coordinates alike are computed on a small copy."""


def standard(action: LinearAction, dim: int) -> LinearAction:
    """The action on R^dim about the origin, where its centre was open; an open shape is the identity."""
    if isinstance(action, AffineAction) and not action.is_bound:
        moved = len(action.resolve_coordinates(dim))
        eye = torch.eye(moved, dtype=torch.float64)
        return action.bind(dim, center=torch.zeros(moved, dtype=torch.float64), shape=eye)
    if getattr(action, "is_bound", True):
        return action
    return action.bind(dim)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Pinned:
    """The fixed subspaces of an action on R^dim, and what they say of an invariant law.

    Its mean lies in c + ``mean_space`` and its scatter in ``scatter_space``; whatever is the same for all members of
    these spaces is pinned by the symmetry.

    Attributes:
        action: The action, its centre moved to the origin.
        dim: d.
    """

    action: LinearAction
    dim: int = field(default=0)

    @cached_property
    def mean_space(self) -> Tensor:
        """Basis ``[d, k]`` of the directions in which the mean stays free."""
        return self.action.fixed_subspace()

    @cached_property
    def scatter_space(self) -> Tensor:
        """Basis ``[m, d, d]`` of the scatter matrices that stay free."""
        return self.action.symmetric_square_fixed_subspace()

    @cached_property
    def mean(self) -> tuple[int, ...]:
        """Coordinates whose mean is at the centre: those with no component in `mean_space`."""
        if isinstance(self.action, AffineAction):
            return tuple(pinned_mean(self.action).nonzero()[:, 0].tolist())
        free = self.mean_space.abs().amax(-1) if self.mean_space.shape[-1] else torch.zeros(self.dim)
        return tuple((free < _ZERO).nonzero()[:, 0].tolist())

    @cached_property
    def orbits(self) -> tuple[tuple[int, ...], ...]:
        """Sets of two or more coordinates whose means are equal and free: equal rows of `mean_space`."""
        if isinstance(self.action, AffineAction):  # each coordinate is pinned, or free by itself
            return ()
        rows = self.mean_space
        left = [i for i in range(self.dim) if i not in self.mean]
        found: list[tuple[int, ...]] = []
        while left:
            first, *rest = left
            same = [j for j in rest if float((rows[first] - rows[j]).abs().max()) < _ZERO]
            if same:
                found.append((first, *same))
            left = [j for j in rest if j not in same]
        return tuple(found)

    @cached_property
    def pairs(self) -> Tensor:
        """Bool ``[d, d]``, False on the diagonal: the correlations that all members of `scatter_space` share.

        An entry is zero in all of them, or the three numbers S_ii, S_jj, S_ij are known up to one factor.
        """
        alike = isinstance(self.action, (PointReflection, AxisFlips, EllipticalRotation))
        if alike and self.dim > _SMALL:
            return self._pairs_by_copy()
        return _pairs(self.scatter_space)

    def _pairs_by_copy(self) -> Tensor:
        """The same from a copy with at most three moved and two resting coordinates: within each set all are alike."""
        kind: Any = type(self.action)
        moved = self.action.resolve_coordinates(self.dim).tolist()  # type: ignore[attr-defined]
        rest = [i for i in range(self.dim) if i not in set(moved)]
        inside, outside = min(len(moved), 3), min(len(rest), 2)
        copy = _standard(kind, tuple(range(inside)), inside + outside)
        small = _pairs(copy.symmetric_square_fixed_subspace())
        place = torch.empty(self.dim, dtype=torch.long)
        place[torch.tensor(moved)] = 0
        found = torch.zeros(self.dim, self.dim, dtype=torch.bool)
        kinds = [(moved, 0, 1, inside), (rest, inside, inside + 1, outside)]
        for members, a, b, size in kinds:
            if size > 1:
                index = torch.tensor(members)
                found[index[:, None], index] = small[a, b]
        if inside and outside:
            rows, columns = torch.tensor(moved), torch.tensor(rest)
            found[rows[:, None], columns] = small[0, inside]
            found[columns[:, None], rows] = small[0, inside]
        return found.fill_diagonal_(False)

    def regression(self, rows: Sequence[int], given: Sequence[int]) -> Tensor | None:
        """The slope B with S_xy = B S_yy for every member of `scatter_space`, ``[|x|, |y|]``; None if none is."""
        x, y = torch.tensor(list(rows)), torch.tensor(list(given))
        s = self.scatter_space
        cross, own = s[:, x[:, None], y], s[:, y[:, None], y]
        left = own.permute(0, 2, 1).reshape(-1, len(y))
        right = cross.permute(0, 2, 1).reshape(-1, len(x))
        solution = torch.linalg.lstsq(left, right).solution
        if int(torch.linalg.matrix_rank(left)) < len(y):
            return None
        return solution.mT if float((left @ solution - right).abs().max()) < 1e-8 else None


def pins(action: LinearAction, dim: int) -> Pinned:
    """What invariance under an action on R^dim pins."""
    return Pinned(standard(action, dim), dim)


def _pairs(basis: Tensor) -> Tensor:
    dim = basis.shape[-1]
    found = torch.zeros(dim, dim, dtype=torch.bool)
    if len(basis) == 0:
        return found
    unit = basis.diagonal(dim1=-2, dim2=-1).abs().amax(0).sqrt()
    basis = basis / (unit[:, None] * unit)
    variances = basis.diagonal(dim1=-2, dim2=-1)
    for i in range(dim):
        for j in range(i):
            entry = basis[:, i, j]
            pinned = float(entry.abs().max()) < _ZERO
            if not pinned:
                numbers = torch.stack([variances[:, i], variances[:, j], entry], -1)
                pinned = int((torch.linalg.svdvals(numbers) > _ZERO).sum()) == 1
            found[i, j] = found[j, i] = pinned
    return found


def pinned_mean(action: AffineAction) -> Tensor:
    """Coordinates ``[dim]`` (bool) whose mean an invariant law must have at the centre, computed from the action.

    Those with no component in the fixed subspace of the linear parts. That does not depend on centre or shape (a shape
    conjugates the linear parts within the moved coordinates), so it is computed once for each kind and set.

    Raises:
        ValueError: for an action that is not bound, whose space is unknown.
    """
    if action.dim is None:
        raise ValueError(f"expected a bound action, got {action!r}, because its space is unknown; try .bind(dim, ...)")
    return _pinned_mean(type(action), tuple(action.resolve_coordinates(action.dim).tolist()), action.dim)


def pinned_shape(action: AffineAction) -> bool:
    """Whether invariance leaves one free number in the scatter of the moved coordinates: correlations are pinned.

    Computed from the symmetric square of the action on its moved coordinates; for rotations of more than six, on six,
    since O(n) leaves one quadratic form fixed for every n.
    """
    size = len(action.coordinates) if action.coordinates is not None else action.dim or 0
    return _pinned_shape(type(action), size)


@lru_cache(maxsize=256)
def _pinned_mean(kind: type[AffineAction], coordinates: tuple[int, ...], dim: int) -> Tensor:
    basis = _standard(kind, coordinates, dim).fixed_subspace()
    return basis.abs().amax(-1) < _ZERO if basis.shape[-1] else torch.ones(dim, dtype=torch.bool)


@lru_cache(maxsize=64)
def _pinned_shape(kind: type[AffineAction], size: int) -> bool:
    size = min(size, 6) if kind is EllipticalRotation else size
    if size < 1:
        return False
    return len(_standard(kind, tuple(range(size)), size).symmetric_square_fixed_subspace()) == 1


def _standard(kind: type[AffineAction], coordinates: tuple[int, ...], dim: int) -> AffineAction:
    """The action about the origin with the identity as shape."""
    return kind(coordinates=coordinates).bind(
        dim, center=torch.zeros(dim, dtype=torch.float64), shape=torch.eye(len(coordinates), dtype=torch.float64)
    )
