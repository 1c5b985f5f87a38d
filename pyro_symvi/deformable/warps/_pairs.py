"""Pairs of images with known correspondences: what the losses compare."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """B pairs of images of one object each, and where the grid of the first lies in the second.

    Attributes:
        first: images ``[B, C, H, W]``.
        second: images of the same size.
        points: where the centre of each cell of the frame's grid over ``first`` (row by row, ``grid_points(h, w)``)
            lies in ``second``, ``[B, h * w, 2]``; points outside ``[-1, 1]^2`` have left it.
        element: number of the group element that moved the second image before it was warped, LongTensor ``[B]``;
            0 where none did.
        weight: what each point counts, ``[B, h * w]``: 0 for those that have left either image (or lie on what is
            known to be background), else 1.
    """

    first: Tensor
    second: Tensor
    points: Tensor
    element: Tensor
    weight: Tensor
