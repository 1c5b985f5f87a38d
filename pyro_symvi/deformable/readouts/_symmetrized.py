"""Images made by way of the frame: one object's appearance, its symmetric part, another pose."""

from __future__ import annotations

import torch
from torch import Tensor

from .._points import grid_points, half_sizes, values_at
from ..symmetry import FrameSymmetry
from ._match import frame_map, match


def symmetrized_image(
    images: Tensor,
    frames: Tensor,
    symmetry: FrameSymmetry,
    *,
    tolerance: float | None = 2.0,
    mask: Tensor | None = None,
) -> Tensor:
    """S(u) = mean over h of I(s_h u), s_h u the partner of u under h in the same image: ``[B, C, H, W]``.

    The average over the group in the space of deformations: the pose stays as it is, the appearance becomes
    symmetric, S(s_h u) = S(u). (The average of an image with its flip makes the pose symmetric, and two half objects
    where it is not.)

    Args:
        images: ``[B, C, H, W]``.
        frames: their frames ``[B, D, h, w]``; nan on the background.
        symmetry: acts on the frames.
        tolerance: in pixels: a partner that does not lead back to within this (a hidden one) is left out of the mean;
            None to take all.
        mask: pixels of the object, bool ``[B, H, W]``; others keep their values. None for all that the frame knows.

    Raises:
        ValueError: for shapes that do not belong together.
    """
    shown = _shown(images, frames, mask)
    height, width = images.shape[-2:]
    pixels = grid_points(height, width, like=frames)
    unit = half_sizes(height, width, like=frames)
    total, count = torch.zeros_like(images).flatten(2), images.new_zeros(len(images), 1, height * width)
    for element in range(symmetry.order):
        matrix = frame_map(frames, symmetry, element)
        if element == 0:
            there, sure = pixels.expand(len(images), -1, 2), shown.flatten(1)
        else:
            there = match(frames, frames, matrix, pixels)
            sure = shown.flatten(1) & ~torch.isnan(there).any(-1)
            if tolerance is not None:
                back = match(frames, frames, matrix.mT, there)
                sure = sure & (((back - pixels) * unit).norm(dim=-1) <= tolerance)
        weight = sure[:, None].to(images)
        total = total + weight * values_at(images, there.nan_to_num(0.0).to(images))
        count = count + weight
    found = torch.where(count > 0, total / count.clamp_min(1), images.flatten(2))
    return found.unflatten(-1, (height, width))


def reposed_image(
    images: Tensor,
    frames: Tensor,
    pose: Tensor,
    symmetry: FrameSymmetry | None = None,
    element: int = 0,
    *,
    size: tuple[int, int] | None = None,
    mask: Tensor | None = None,
    background: Tensor | float = 0.5,
) -> Tensor:
    """J(v) = I(u), u = argmax_u <R_g Phi'(v), Phi(u)>: the objects of images I in the pose of other frames Phi'.

    Args:
        images: ``[B, C, H, W]``: the appearance.
        frames: their frames ``[B, D, h, w]``.
        pose: frames ``[B, D, h', w']`` of the images whose pose is wanted; nan on the background.
        symmetry: with ``element``, for the partner's appearance in each place; None for the place's own.
        element: number of g: a reflection exchanges left and right on the object, its pose left as it is.
        size: height and width of the result; None for those of the images.
        mask: pixels of the object in the result, bool ``[B, H', W']``; None for all that ``pose`` knows.
        background: what the other pixels show: a number, or images that broadcast to the result.

    Raises:
        ValueError: for shapes that do not belong together.
    """
    height, width = (images.shape[-2], images.shape[-1]) if size is None else size
    like = images[:, :1, :1, :1].expand(-1, -1, height, width)
    shown = _shown(like, pose, mask)
    matrix = None if symmetry is None else frame_map(pose, symmetry, element)
    there = match(pose, frames, matrix, grid_points(height, width, like=pose))
    shown = shown & ~torch.isnan(there).any(-1).unflatten(-1, (height, width))
    found = values_at(images, there.nan_to_num(0.0).to(images)).unflatten(-1, (height, width))
    return torch.where(shown[:, None], found, torch.as_tensor(background).to(images))


def _shown(images: Tensor, frames: Tensor, mask: Tensor | None) -> Tensor:
    """Pixels of the object, bool ``[B, H, W]``."""
    if images.ndim != 4 or frames.ndim != 4 or len(images) != len(frames):
        raise ValueError(
            f"expected images [B, C, H, W] and frames [B, D, h, w], got {list(images.shape)} and {list(frames.shape)}"
        )
    batch, _, height, width = images.shape
    if mask is not None:
        if tuple(mask.shape) != (batch, height, width):
            raise ValueError(f"expected a mask [{batch}, {height}, {width}], got {list(mask.shape)}")
        return mask.bool()
    known = (~torch.isnan(frames).any(1, keepdim=True)).to(images)
    pixels = grid_points(height, width, like=images).expand(batch, -1, 2)
    return (values_at(known, pixels, mode="nearest") > 0.5).view(batch, height, width)
