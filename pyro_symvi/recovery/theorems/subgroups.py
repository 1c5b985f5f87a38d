"""Symmetries that a symmetry contains, and under which a guide may be closed although it is not under the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from ...groups import (
    AxisFlips,
    EllipticalRotation,
    FiniteMatrixGroup,
    LinearAction,
    NaturalAction,
    PointReflection,
    SignedCoordinatePermutation,
)
from .facts import Fact, proved
from .pins import standard
from .target import Symmetry, Target

_LARGEST = 1024
_MOST_UNEQUAL = 4


def subgroups(target: Target) -> tuple[Symmetry, ...]:
    """The symmetries of a target with their subgroups, worked out once for each target."""
    kept: tuple[Symmetry, ...] | None = target.__dict__.get("_subgroups")
    if kept is None:
        kept = target.__dict__["_subgroups"] = expanded(target.symmetries, target.dim)
    return kept


def expanded(symmetries: tuple[Symmetry, ...], dim: int) -> tuple[Symmetry, ...]:
    """The symmetries and the subgroups worth a look: reflections inside flips and rotations, flips inside B_d."""
    found = list(symmetries)
    proved_reflections = {_reflected(s.action, dim) for s in symmetries if s.fact.is_proved}
    for symmetry in symmetries:
        for action in _inside(symmetry.action, dim):
            reflected = _reflected(action, dim)
            if reflected is not None and symmetry.fact.is_proved:
                if reflected in proved_reflections:
                    continue
                proved_reflections.add(reflected)
            found.append(replace(symmetry, action=action, fact=_said(symmetry)))
    return tuple(found)


def _reflected(action: LinearAction, dim: int) -> frozenset[int] | None:
    """The coordinates of a point reflection; None for other actions."""
    if not isinstance(action, PointReflection):
        return None
    return frozenset(action.resolve_coordinates(dim).tolist())


def _inside(action: LinearAction, dim: int) -> Iterator[LinearAction]:
    if isinstance(action, AxisFlips):
        moved = action.resolve_coordinates(dim).tolist()
        if len(moved) > 1:
            yield PointReflection(coordinates=moved)
        for i in moved:
            yield PointReflection(coordinates=[i])
    elif isinstance(action, EllipticalRotation):
        moved = action.resolve_coordinates(dim).tolist()
        yield PointReflection(coordinates=moved)
        shape = action.shape
        if shape is not None and not bool(torch.as_tensor(shape).clone().fill_diagonal_(0.0).any()):
            yield AxisFlips(coordinates=moved)
            for i in moved if len(moved) > 1 else ():
                yield PointReflection(coordinates=[i])
            if len(moved) == dim > 1:
                yield from _signed_permutations(torch.as_tensor(shape).diagonal())
    elif isinstance(action, SignedCoordinatePermutation):
        yield PointReflection()
        yield AxisFlips(coordinates=range(dim))
        for i in range(dim):
            yield PointReflection(coordinates=[i])
    elif action.group.is_finite and not isinstance(action, PointReflection) and action.group.order <= _LARGEST:
        bound = standard(action, dim)
        matrices = bound.matrix(bound.group.elements(dtype=torch.float64))
        minus = -torch.eye(dim, dtype=matrices.dtype)
        if bool(((matrices - minus).abs().amax((-2, -1)) < 1e-12).any()):
            yield PointReflection()


def _signed_permutations(variances: torch.Tensor) -> Iterator[LinearAction]:
    """Signed permutations conjugated by the square root of a diagonal shape; none where that group is large."""
    dim = len(variances)
    if bool((variances == variances[0]).all()):
        yield SignedCoordinatePermutation(dim)
    elif dim <= _MOST_UNEQUAL:
        root = variances.double().sqrt()
        signed = SignedCoordinatePermutation(dim).generator_matrices()
        yield NaturalAction(FiniteMatrixGroup.generated_by(list(root[:, None] * signed / root)))


def _said(symmetry: Symmetry) -> Fact:
    if symmetry.fact.is_proved:
        return proved(f"contained in: {symmetry.fact.words}")
    return symmetry.fact
