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
from .setting import Symmetry

_LARGEST = 1024
_MOST_UNEQUAL = 4


def expanded(symmetries: tuple[Symmetry, ...], dim: int) -> tuple[Symmetry, ...]:
    """The symmetries and the subgroups worth a look: reflections inside flips and rotations, flips inside B_d."""
    found: list[Symmetry] = []
    for symmetry in symmetries:
        found.append(symmetry)
        for action in _inside(symmetry.action, dim):
            found.append(replace(symmetry, action=action, fact=_said(symmetry)))
    return tuple(found)


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
