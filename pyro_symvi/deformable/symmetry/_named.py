"""The symmetries objects usually have."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..._value import positive_int
from ...groups import Cyclic, Dihedral, MatrixRepresentation, SignFlips
from ._frame_symmetry import FrameSymmetry


def bilateral(dim: int = 3) -> FrameSymmetry:
    """Left and right: R = diag(-1, 1, ..., 1) on the frame, x -> -x on the image.

    Args:
        dim: dimension of the frame, 2 or more.
    """
    frame = _flips(positive_int(dim, "dim", 2), 1)
    return FrameSymmetry(MatrixRepresentation(SignFlips(1), frame), _mirror())


def half_turn(dim: int = 3) -> FrameSymmetry:
    """The other orthogonal involution in space, R = diag(-1, -1, 1, ...), with x -> -x on the image.

    For comparison: a reflection keeps a plane of the frame, a half turn only an axis, so that an object's midline has
    nowhere to go.
    """
    frame = _flips(positive_int(dim, "dim", 3), 2)
    return FrameSymmetry(MatrixRepresentation(SignFlips(1), frame), _mirror())


def rotational(n: int, dim: int = 3) -> FrameSymmetry:
    """Equal parts about the last axis, n of them: R_k turns the first two coordinates by 2 pi k / n; images stay.

    Positive turns go from the first to the second coordinate. An object seen from above with its frame's first two
    coordinates along x and y (downwards) turns clockwise on the screen.
    """
    group = Cyclic(positive_int(n, "n", 2))
    return FrameSymmetry(MatrixRepresentation(group, _turns(n, positive_int(dim, "dim", 2))))


def dihedral(n: int, dim: int = 3) -> FrameSymmetry:
    """Equal parts that are their own mirror images, n of them.

    Turns as in :func:`rotational`, and the reflection diag(-1, 1, ..., 1). Turns leave images as they are, reflections
    exchange left and right. (That is a representation: a turn has determinant 1 on the frame.)
    """
    group = Dihedral(positive_int(n, "n", 2))
    turns, mirror = _turns(n, positive_int(dim, "dim", 2)), _flips(dim, 1)[1]
    frame = torch.cat([turns, turns @ mirror])
    image = torch.cat([torch.eye(2, dtype=torch.float64).expand(n, 2, 2), _flips(2, 1)[1].expand(n, 2, 2)])
    return FrameSymmetry(MatrixRepresentation(group, frame), MatrixRepresentation(group, image))


def _mirror() -> MatrixRepresentation:
    return MatrixRepresentation(SignFlips(1), _flips(2, 1))


def _flips(dim: int, count: int) -> Tensor:
    """The identity, and the map that changes the sign of the first ``count`` coordinates."""
    signs = torch.ones(dim, dtype=torch.float64)
    signs[:count] = -1
    return torch.stack([torch.eye(dim, dtype=torch.float64), torch.diag(signs)])


def _turns(n: int, dim: int) -> Tensor:
    angle = 2 * math.pi / n * torch.arange(n, dtype=torch.float64)
    turns = torch.eye(dim, dtype=torch.float64).repeat(n, 1, 1)
    turns[:, 0, 0], turns[:, 1, 1] = angle.cos(), angle.cos()
    turns[:, 0, 1], turns[:, 1, 0] = -angle.sin(), angle.sin()
    return turns
