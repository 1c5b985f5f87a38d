"""Images of any size onto one grid of pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FITS = ("crop", "pad", "stretch", "error")


def fitted(image: Tensor, there: Tensor, size: tuple[int, int], fit: str) -> tuple[Tensor, Tensor]:
    """An image ``[C, H, W]`` and its opacity ``[H, W]`` at ``size`` (height, width).

    "crop" cuts the middle part of the wanted shape out, "pad" adds bands of the mean colour of opacity 0, and
    "stretch" changes the shape; then pixels are interpolated (bicubic, smoothed when the image shrinks). "error" is
    "crop" for folders whose images were found to be equal in size.
    """
    height, width = image.shape[-2:]
    if fit in ("crop", "error"):
        image, there = _cropped(image, size), _cropped(there, size)
    elif fit == "pad":
        scale = min(size[0] / height, size[1] / width)
        inner = (max(1, round(height * scale)), max(1, round(width * scale)))
        image, there = _resized(image, inner), _resized(there[None], inner)[0]
        right, below = size[1] - inner[1], size[0] - inner[0]
        margins = [right // 2, right - right // 2, below // 2, below - below // 2]
        mean = image.mean((1, 2))[:, None, None]
        image = functional.pad(image - mean, margins) + mean
        return image, functional.pad(there, margins)
    image, there = _resized(image, size), _resized(there[None], size)[0]
    return image, there


def _cropped(values: Tensor, size: tuple[int, int]) -> Tensor:
    """The largest middle part ``[..., h, w]`` with the shape of ``size``."""
    height, width = values.shape[-2:]
    scale = min(height / size[0], width / size[1])
    h, w = min(height, max(1, round(size[0] * scale))), min(width, max(1, round(size[1] * scale)))
    top, left = (height - h) // 2, (width - w) // 2
    return values[..., top : top + h, left : left + w]


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Values ``[C, H, W]`` in [0, 1] at another size."""
    if tuple(values.shape[-2:]) == size:
        return values
    found = functional.interpolate(values[None], size, mode="bicubic", antialias=True, align_corners=False)[0]
    return torch.clamp(found, 0, 1)
