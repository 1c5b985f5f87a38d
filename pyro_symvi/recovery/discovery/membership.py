"""Is one symmetry implied by others? Sound: a yes is a yes; a no may only mean that it was not recognised."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...groups import (
    AxialRotation,
    EllipticalRotation,
    FiniteMatrixGroup,
    LinearAction,
    Orthogonal,
    PermutationGroup,
    SphereRotation,
)
from .actions import Conjugated, JointRotation
from .maps import AffineMap, maps_of

_TOLERANCE = 1e-6
_LARGEST = 1500
_FEW = 8


def implied(maps: Sequence[AffineMap], by: Sequence[LinearAction], dim: int) -> bool:
    """Whether each map lies in the group that the actions ``by`` generate.

    What a map does inside a block with continuous symmetry is divided out; the rest is looked up in the finite group
    of the others: as permutations of the points +-e_i about a common centre where all are monomial there, else by
    listing up to 1500 elements.
    """
    if not by:
        return all(m.is_identity for m in maps)
    turning = [a for a in by if _is_turning(a)]
    finite = [a for a in by if a not in turning and a.group.is_finite]
    generators = [m for a in finite for m in maps_of(a, dim)]
    return all(_is_member(m, turning, generators, dim) for m in maps)


def _is_turning(action: LinearAction) -> bool:
    if isinstance(action, Conjugated):
        return isinstance(action.group, Orthogonal)
    return isinstance(action, (EllipticalRotation, JointRotation, AxialRotation, SphereRotation))


def _is_member(given: AffineMap, turning: Sequence[LinearAction], generators: list[AffineMap], dim: int) -> bool:
    """Divide out continuous parts, look up the rest; failing that, do so after each short product of generators."""
    if _is_product(_divided(given, turning, dim), generators):
        return True
    if not turning:
        return False
    first = [given.then(g.inverse()) for g in generators[:_FEW]]
    second = [m.then(g.inverse()) for m in first for g in generators[:_FEW]]
    return any(_divided(m, turning, dim).is_identity for m in [*first, *second])


def _divided(given: AffineMap, turning: Sequence[LinearAction], dim: int) -> AffineMap:
    """The map without its parts in continuous groups."""
    for action in turning:
        part = _part(given, action, dim)
        if part is not None:
            given = given.then(part.inverse())
    return given


def _part(given: AffineMap, action: LinearAction, dim: int) -> AffineMap | None:
    """The restriction of a map to the coordinates of an action, if it is in its group; None if it is not."""
    if isinstance(action, EllipticalRotation):
        index = torch.tensor(list(action.coordinates or ()))
        if not _preserves(given.matrix, index, dim):
            return None
        a, b = given.matrix[index][:, index], given.offset[index]
        shape, center = torch.as_tensor(action.shape).double(), torch.as_tensor(action.center).double()
        unit = shape.diagonal().sqrt()
        same_shape = float(((a @ shape @ a.mT - shape) / torch.outer(unit, unit)).abs().max()) < _TOLERANCE
        fixed = float(((a @ center + b - center) / unit).abs().max()) < _TOLERANCE
        if not (same_shape and fixed):
            return None
    elif isinstance(action, JointRotation):
        index = torch.tensor([i for v in action.vectors for i in v])
        if not _preserves(given.matrix, index, dim):
            return None
        first = torch.tensor(list(action.vectors[0]))
        turn = given.matrix[first][:, first]
        expected = torch.block_diag(*[turn] * len(action.vectors))
        orthogonal = float((turn @ turn.mT - torch.eye(len(turn), dtype=torch.float64)).abs().max()) < _TOLERANCE
        same = float((given.matrix[index][:, index] - expected).abs().max()) < _TOLERANCE
        if not (orthogonal and same and float(given.offset[index].abs().max()) < _TOLERANCE):
            return None
        a, b = expected, torch.zeros(len(index), dtype=torch.float64)
    else:
        return given if _turns_sphere(given, action) else None
    matrix, offset = torch.eye(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
    matrix[index[:, None], index] = a
    offset[index] = b
    return AffineMap(matrix, offset)


def _turns_sphere(given: AffineMap, action: LinearAction) -> bool:
    """Whether an orthogonal map about zero leaves fixed what a group of rotations about zero does."""
    a = given.matrix
    eye = torch.eye(len(a), dtype=torch.float64)
    if float((a @ a.mT - eye).abs().max() + given.offset.abs().max()) > _TOLERANCE:
        return False
    improper = not isinstance(action, (AxialRotation, SphereRotation)) or action.improper
    if not improper and float(torch.linalg.det(a)) < 0:
        return False
    if isinstance(action, SphereRotation):
        return True
    if isinstance(action, AxialRotation):
        return float((a @ action.axis - action.axis).abs().max()) < _TOLERANCE
    if isinstance(action, Conjugated) and not bool(action.center.any()):
        rest = action.frame[:, [k for k in range(len(a)) if k not in set(action.index)]]
        return float((a @ rest - rest).abs().max()) < _TOLERANCE
    return False


def _preserves(matrix: Tensor, index: Tensor, dim: int) -> bool:
    rest = torch.tensor([i for i in range(dim) if i not in set(index.tolist())], dtype=torch.long)
    if len(rest) == 0:
        return True
    crossed = matrix[index][:, rest].abs().max() + matrix[rest][:, index].abs().max()
    return float(crossed) < 1e-9


def _is_product(given: AffineMap, generators: Sequence[AffineMap]) -> bool:
    if given.is_identity:
        return True
    if not generators:
        return False
    everything = [*generators, given]
    center = _common_center(everything)
    if center is not None:
        rows = [_signed_permutation(m.matrix) for m in everything]
        if all(row is not None for row in rows):
            return _in_permutations(rows[-1], rows[:-1])  # type: ignore[arg-type]
    homogeneous = torch.stack([_homogeneous(m) for m in everything])
    try:
        group = FiniteMatrixGroup.generated_by(homogeneous[:-1], max_order=_LARGEST)
    except ValueError:
        return False
    return bool(group._contains(homogeneous[-1], _TOLERANCE * max(1.0, float(homogeneous[-1].abs().max()))))


def _common_center(maps: Sequence[AffineMap]) -> Tensor | None:
    """A point that all maps fix, by least squares; None if there is none."""
    eye = torch.eye(len(maps[0].offset), dtype=torch.float64)
    left = torch.cat([m.matrix - eye for m in maps])
    right = -torch.cat([m.offset for m in maps])
    point = torch.linalg.lstsq(left, right[:, None], driver="gelsd").solution[:, 0]
    gap = float((left @ point - right).abs().max())
    return point if gap <= _TOLERANCE * max(1.0, float(right.abs().max())) else None


def _signed_permutation(matrix: Tensor) -> list[int] | None:
    """The permutation of (e_1, ..., e_d, -e_1, ..., -e_d) that a monomial matrix is, in one-line notation."""
    d = len(matrix)
    rounded = matrix.round()
    if float((matrix - rounded).abs().max()) > 1e-9 or not bool(((rounded != 0).sum(0) == 1).all()):
        return None
    if not bool(((rounded != 0).sum(1) == 1).all()) or float(rounded.abs().max()) != 1:
        return None
    target = rounded.abs().argmax(0)
    negative = rounded.gather(0, target[None])[0] < 0
    image = torch.where(negative, target + d, target)
    opposite = torch.where(negative, target, target + d)
    return torch.cat([image, opposite]).tolist()


def _in_permutations(row: list[int], rows: list[list[int]]) -> bool:
    return bool(PermutationGroup.generated_by(rows).contains(torch.tensor(row)))


def _homogeneous(given: AffineMap) -> Tensor:
    d = len(given.offset)
    full = torch.eye(d + 1, dtype=torch.float64)
    full[:d, :d], full[:d, d] = given.matrix, given.offset
    return full
