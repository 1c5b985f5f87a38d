"""What correspondences must satisfy, truth or no truth: necessary, never sufficient."""

from __future__ import annotations

import torch
from torch import Tensor

from .._points import grid_points
from ..symmetry import FrameSymmetry
from ._correspondence import CorrespondenceError, correspondence_error
from ._match import frame_map, match


def cycle_error(
    frames: Tensor,
    symmetry: FrameSymmetry,
    element: int = 1,
    matrix: Tensor | None = None,
    points: Tensor | None = None,
    *,
    width: Tensor | float | None = None,
    weight: Tensor | None = None,
    size: tuple[int, int] | None = None,
) -> CorrespondenceError:
    """|| v' - u || for v the partner of u under g, and v' that of v under the inverse of g, in one image.

    A frame can pass and know nothing of the object: one in which R_g Phi = Phi (everything on the fixed set) is its
    own partner everywhere, and one that only knows the place in the image takes every pixel to its mirror image and
    back. Read it with how far partners lie from u and from M_g u.

    Args:
        frames: ``[B, D, h, w]``.
        symmetry: acts on the frames.
        element: number of g.
        matrix: an orthogonal map in the place of R_g; its transpose leads back.
        points: u, ``[N, 2]`` or ``[B, N, 2]``; None for the centres of all cells. Those without a frame do not count.
        width: unit of per cents, in pixels of ``size``; None for its width.
        weight: what each point counts.
        size: height and width in which to measure; None for those of the frames, cells.
    """
    forth = frame_map(frames, symmetry, element, matrix)
    if points is None:
        points = grid_points(*frames.shape[-2:], like=frames)
    there = match(frames, frames, forth, points)
    back = match(frames, frames, forth.mT, there)
    size = (frames.shape[-2], frames.shape[-1]) if size is None else size
    start = torch.where(torch.isnan(there), torch.nan, points.to(back))
    return correspondence_error(back, start, width, weight, size=size)


def flip_consistency(
    frames: Tensor,
    moved: Tensor,
    symmetry: FrameSymmetry,
    element: int = 1,
    matrix: Tensor | None = None,
    points: Tensor | None = None,
    *,
    width: Tensor | float | None = None,
    weight: Tensor | None = None,
    size: tuple[int, int] | None = None,
) -> CorrespondenceError:
    """|| M_g v(u; I) - v(M_g u; M_g I) ||: partners in an image against partners in the moved image.

    v(u; I) is the partner of u under g. A network whose frames do not change when the object in an image does (they
    know the place in the image alone) is consistent too.

    Args:
        frames: ``[B, D, h, w]`` of images I.
        moved: of the images M_g I, in the same order.
        symmetry: acts on frames and images.
        element: number of g.
        matrix: a map in the place of R_g.
        points: u; None for the centres of all cells.
        width: unit of per cents, in pixels of ``size``; None for its width.
        weight: what each point u counts.
        size: height and width in which to measure (those of the moved images); None for those of ``moved``.

    Raises:
        ValueError: for a symmetry that leaves all images as they are, where there is nothing to compare.
    """
    if not symmetry.moves_images:
        raise ValueError(
            f"expected a symmetry that moves images, got {symmetry!r}, because a moved image is compared with the "
            "image; try cycle_error"
        )
    forth = frame_map(frames, symmetry, element, matrix)
    if points is None:
        points = grid_points(*frames.shape[-2:], like=frames)
    image = symmetry.image_matrices(like=frames)[element]
    expected = match(frames, frames, forth, points) @ image.mT
    found = match(moved, moved, forth, points.to(frames) @ image.mT)
    size = (moved.shape[-2], moved.shape[-1]) if size is None else size
    return correspondence_error(found, expected, width, weight, size=size)
