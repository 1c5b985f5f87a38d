"""Where an object is its own mirror image: the fixed places of a reflection, seen in an image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._points import grid_points
from ..symmetry import FrameSymmetry
from ._match import frame_map


@dataclass(frozen=True)
class Midline:
    """Points of the midlines of B images, downwards.

    Attributes:
        points: ``[B, M, 2]``, M the most of any image; nan beyond the last of the others.
        confidence: ``[B, M]``, 1 - |c(u) - c(u')| / (||Phi(u)|| + ||Phi(u')||) for the two cells u, u' a point lies
            between: near 1 where the frame passes smoothly through the fixed places, about 1/2 in noise, near 0 where
            it jumps from one side of the object to the other (an arm before the trunk); 0 beyond the last.
    """

    points: Tensor
    confidence: Tensor


def midline(
    frames: Tensor, symmetry: FrameSymmetry, element: int | None = None, *, mask: Tensor | None = None
) -> Midline:
    """The set {u: c(u) = 0} of the odd coordinate c, by linear interpolation between neighbouring cells.

    A point u of the object is its own partner where R Phi(u) = Phi(u); for a reflection R that is one equation,
    c(u) = 0, and a curve in the image. It is exact for frames that are affine between cells.

    Args:
        frames: ``[B, D, h, w]``; cells with nan have no midline.
        symmetry: acts on the frames.
        element: number of a reflection; None for the first there is.
        mask: cells of the object, bool ``[B, h, w]`` or ``[h, w]``; None for all. Learnt frames have values on the
            background too, and zeros of c that mean nothing.

    Raises:
        ValueError: where the element is no reflection of the frame: what others fix is no curve.
    """
    odd = odd_coordinate(frames, symmetry, element)
    known = ~torch.isnan(odd)
    if mask is not None:
        if mask.shape not in (odd.shape, odd.shape[-2:]):
            raise ValueError(f"expected a mask {list(odd.shape)} or {list(odd.shape[-2:])}, got {list(mask.shape)}")
        known = known & mask.bool()
    odd, length = torch.where(known, odd, 0.0), torch.where(known, frames.norm(dim=1), 0.0)
    centres = grid_points(*odd.shape[-2:], like=frames).unflatten(0, odd.shape[-2:])
    found, sure, there = [], [], []
    for axis in (1, 2):
        one, two = (odd.narrow(axis, k, odd.shape[axis] - 1) for k in (0, 1))
        lengths = length.narrow(axis, 0, odd.shape[axis] - 1) + length.narrow(axis, 1, odd.shape[axis] - 1)
        both = known.narrow(axis, 0, odd.shape[axis] - 1) & known.narrow(axis, 1, odd.shape[axis] - 1)
        jump = two - one
        at, to = (centres.narrow(axis - 1, k, odd.shape[axis] - 1) for k in (0, 1))
        share = (-one / torch.where(jump == 0, 1.0, jump))[..., None]
        found.append((at + share * (to - at)).flatten(1, 2))
        sure.append((1 - jump.abs() / lengths.clamp_min(1e-30)).flatten(1))
        there.append((both & ((one < 0) != (two < 0))).flatten(1))
    return _packed(torch.cat(found, 1), torch.cat(sure, 1), torch.cat(there, 1))


def odd_coordinate(frames: Tensor, symmetry: FrameSymmetry, element: int | None = None) -> Tensor:
    """c(u) = <a, Phi(u)> for the unit vector a with R a = -a, its largest entry positive: ``[B, h, w]``.

    Raises:
        ValueError: where R is no reflection.
    """
    matrix = reflection(frames, symmetry, element)
    values, vectors = torch.linalg.eigh(matrix.double())
    axis = vectors[:, 0] if float(values[0]) < 0 else vectors[:, -1]
    axis = axis * axis[axis.abs().argmax()].sign()
    return torch.einsum("d,bdhw->bhw", axis.to(frames), frames)


def reflection(frames: Tensor, symmetry: FrameSymmetry, element: int | None) -> Tensor:
    """R_g of a reflection g."""
    frame_map(frames, symmetry, 0)
    matrices = symmetry.frame_matrices()
    traces = matrices.diagonal(dim1=-2, dim2=-1).sum(-1)
    own = (matrices @ matrices - torch.eye(symmetry.dim, dtype=matrices.dtype)).abs().amax((-1, -2)) < 1e-9
    reflections = own & ((traces - (symmetry.dim - 2)).abs() < 1e-9)
    if element is None:
        if not bool(reflections.any()):
            raise ValueError(
                f"expected a symmetry with a reflection, got {symmetry!r}, because only a reflection of the frame "
                "fixes a line of the object; try bilateral() or dihedral(n)"
            )
        element = int(reflections.int().argmax())
    frame_map(frames, symmetry, element)
    if not bool(reflections[element]):
        raise ValueError(
            f"expected a reflection of the frame (one eigenvalue -1, the others 1), got element {element} of "
            f"{symmetry!r}, because what others fix is no line; try an element of "
            f"{torch.nonzero(reflections)[:, 0].tolist()}"
        )
    return matrices[element]


def _packed(points: Tensor, confidence: Tensor, there: Tensor) -> Midline:
    """Points that are there first, by their y."""
    most = int(there.sum(1).max()) if len(there) else 0
    order = torch.where(there, points[..., 1], torch.inf).argsort(dim=1, stable=True)[:, :most]
    there = there.gather(1, order)
    placed = points.gather(1, order[..., None].expand(-1, -1, 2))
    return Midline(
        torch.where(there[..., None], placed, torch.nan), torch.where(there, confidence.gather(1, order), 0.0)
    )
