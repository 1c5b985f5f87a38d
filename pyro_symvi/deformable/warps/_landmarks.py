"""Landmarks of mirrored images."""

from __future__ import annotations

import torch
from torch import Tensor

from ..symmetry import FrameSymmetry


def mirrored_landmarks(points: Tensor, order: Tensor, symmetry: FrameSymmetry, element: Tensor | int = 1) -> Tensor:
    """Landmarks of the images M_g I, under their own names.

    The left eye of I at p is seen in the mirror image at M p, and there it is the right eye: the point moves and its
    name changes, q[order[g, k]] = M_g p[k]. Without the change of names every landmark regression on mirrored images
    learns the mean of left and right.

    Args:
        points: p, ``[N, K, 2]``; nan for hidden ones.
        order: ``[order of the group, K]``: landmark k becomes landmark order[g, k] of the mirror image. Each row is a
            permutation, the first one the identity.
        symmetry: acts on the image plane.
        element: number of g, one for all or LongTensor ``[N]``.

    Returns:
        q, ``[N, K, 2]``.

    Raises:
        ValueError: for other shapes and for an order that is no permutation.
    """
    if points.ndim != 3 or points.shape[-1] != 2:
        raise ValueError(f"expected points [N, K, 2], got {list(points.shape)}")
    count = points.shape[1]
    if tuple(order.shape) != (symmetry.order, count):
        raise ValueError(
            f"expected an order [{symmetry.order}, {count}], a row for each element of the group, got "
            f"{list(order.shape)}"
        )
    if not torch.equal(order.sort(-1).values, torch.arange(count, device=order.device).expand(symmetry.order, -1)):
        raise ValueError(
            f"expected each row of the order to be a permutation of 0 ... {count - 1}, because distinct landmarks stay "
            f"distinct, got {order.tolist()}"
        )
    chosen = torch.as_tensor(element, device=points.device).expand(len(points))
    moved = symmetry.on_points(chosen, points)
    places = order.to(points.device)[chosen][..., None].expand_as(moved)
    return torch.empty_like(moved).scatter_(1, places, moved)
