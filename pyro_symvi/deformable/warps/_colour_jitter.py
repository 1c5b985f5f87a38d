"""Random changes of colour and light that leave all places where they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value
from .._luma import luma


@dataclass(frozen=True, eq=False, repr=False)
class ColourJitter(Value):
    """The law of I -> b l(u) t_c (m + k (I - m)), with I first mixed with its grey; cut to [0, 1]. Per image:

    k is within 1 +- contrast about the mean m of the image, colours are stretched from grey by a factor within 1 +-
    saturation (three channels only), each channel has a factor t_c within 1 +- tint, the whole b within 1 +-
    brightness, and light falls off linearly: l(u) = 1 + a <e, u> with e any direction, a up to ``light``. Normal noise
    with standard deviation ``noise`` comes last. All factors are uniform; those that are 0 change nothing.

    Raises:
        ValueError: for strengths outside [0, 1].
    """

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    tint: float = 0.05
    light: float = 0.1
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation", "tint", "light", "noise"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"expected {name} between 0 and 1, got {value}")

    @torch.no_grad()
    def __call__(self, images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Changed copies of images ``[B, C, H, W]`` in [0, 1]."""
        if images.ndim != 4 or not images.is_floating_point():
            raise ValueError(
                f"expected images [B, C, H, W] of a floating dtype, got {list(images.shape)} of {images.dtype}"
            )
        count, channels, height, width = images.shape
        draws = torch.rand(count, 5 + channels, generator=generator, dtype=images.dtype).to(images.device)
        signed = (2 * draws - 1)[..., None, None, None].unbind(1)
        found = images
        if self.saturation and channels == 3:
            found = torch.lerp(luma(images), found, 1 + self.saturation * signed[0])
        factor = 1 + self.tint * torch.cat(signed[5:], 1)
        factor = factor * (1 + self.brightness * signed[1])
        if self.light:
            x = (2 * torch.arange(width, dtype=images.dtype, device=images.device) + 1) / width - 1
            y = (2 * torch.arange(height, dtype=images.dtype, device=images.device) + 1) / height - 1
            turn = math.pi * signed[3]
            factor = factor * (1 + self.light * (1 + signed[4]) / 2 * (turn.cos() * x + turn.sin() * y[:, None]))
        mean = found.mean((1, 2, 3), keepdim=True)
        found = torch.lerp(mean.expand_as(found), found, 1 + self.contrast * signed[2]) * factor
        if self.noise:
            found = found + self.noise * torch.randn(images.shape, generator=generator, dtype=images.dtype).to(
                images.device
            )
        return found.clamp(0, 1)
