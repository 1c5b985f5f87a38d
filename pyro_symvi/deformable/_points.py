"""Points of an image: the one convention of coordinates, and values at points.

A point is (x, y) in ``[-1, 1]^2``, x to the right and y downwards, (-1, -1) the outer corner of the first pixel: pixel
(row i, column j) of an image of height H and width W has its centre at ((2 j + 1) / W - 1, (2 i + 1) / H - 1). A frame
of half the size of its image has the same coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def grid_points(height: int, width: int, *, like: Tensor | None = None) -> Tensor:
    """Centres of the pixels row by row, ``[height * width, 2]``."""
    like = torch.zeros(()) if like is None else like
    y = (2 * torch.arange(height, dtype=like.dtype, device=like.device) + 1) / height - 1
    x = (2 * torch.arange(width, dtype=like.dtype, device=like.device) + 1) / width - 1
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flip(-1).reshape(-1, 2)


def half_sizes(height: int, width: int, *, like: Tensor) -> Tensor:
    """Pixels in a unit of x and of y: ``[width / 2, height / 2]``. Differences of points times this are in pixels."""
    return torch.tensor([width / 2, height / 2], dtype=like.dtype, device=like.device)


def values_at(images: Tensor, points: Tensor, *, mode: str = "bilinear", padding: str = "border") -> Tensor:
    """Values of images ``[B, C, H, W]`` at points ``[B, N, 2]``, interpolated: ``[B, C, N]``."""
    found = functional.grid_sample(images, points[:, :, None], mode=mode, padding_mode=padding, align_corners=False)
    return found[..., 0]


def shown_cells(mask: Tensor, height: int, width: int) -> Tensor:
    """Cells of a frame that lie in a mask ``[N, H, W]`` by more than half, bool ``[N, height, width]``."""
    return functional.interpolate(mask[:, None].float(), (height, width), mode="area")[:, 0] > 0.5


def nearest_pixels(points: Tensor, height: int, width: int) -> Tensor:
    """The number (row by row) of the pixel a point ``[..., 2]`` lies in, the nearest one for points outside."""
    size = half_sizes(height, width, like=points)
    place = ((points + 1) * size).floor().long()
    return place[..., 1].clamp(0, height - 1) * width + place[..., 0].clamp(0, width - 1)
