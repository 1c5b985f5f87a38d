"""A small convolutional network from images to frames."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..._value import positive_int

_LAYERS = ((20, 5, 1), (48, 5, 1), (64, 5, 2), (80, 3, 4), (256, 3, 2))
"""Channels, kernel and dilation of each convolution; a pooling by 2 after the first."""


class SmallNet(nn.Module):
    """Images ``[B, channels, H, W]`` to frames ``[B, dim, H / 2, W / 2]``, H and W even.

    Five convolutions (5x5 to 20 channels, max-pooling by 2, 5x5 to 48, 5x5 with dilation 2 to 64, 3x3 with dilation 4
    to 80, 3x3 with dilation 2 to 256), each with batch normalisation and leaky ReLU of slope 0.2, then 1x1 to ``dim``;
    334,000 parameters at ``width=1`` and dim 3. The architecture of Thewlis, Albanie, Bilen and Vedaldi (2019). What
    a place sees is a square of 54 pixels, the edge of the image included: zeros beyond it tell a place where it is.

    Args:
        channels: of the images, 3 for colour and 1 for grey.
        dim: of the frame.
        width: factor of all channel counts.
        generator: for the initial weights; None for torch's own.

    Raises:
        ValueError: unless the width is positive.
    """

    def __init__(
        self, channels: int = 3, dim: int = 3, *, width: float = 1.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        positive_int(channels, "channels")
        positive_int(dim, "dim", 2)
        if not width > 0:
            raise ValueError(f"expected a width above 0, got {width}")
        self.config: dict[str, Any] = {"channels": channels, "dim": dim, "width": width}
        layers: list[nn.Module] = []
        before = channels
        for number, (size, kernel, dilation) in enumerate(_LAYERS):
            after = max(4, round(size * width))
            layers.append(_convolution(before, after, kernel, dilation, generator))
            layers += [nn.BatchNorm2d(after), nn.LeakyReLU(0.2, inplace=True)]
            if number == 0:
                layers.append(nn.MaxPool2d(2))
            before = after
        self.body = nn.Sequential(*layers, _convolution(before, dim, 1, 1, generator))

    def forward(self, images: Tensor) -> Tensor:
        """Frames of images."""
        if images.ndim != 4 or images.shape[1] != self.config["channels"]:
            raise ValueError(
                f"expected images [B, {self.config['channels']}, H, W], got {list(images.shape)}, because the network "
                f"is one for {self.config['channels']} channels; try such images, or "
                "SmallNet(channels=...) for these"
            )
        if images.shape[-1] % 2 or images.shape[-2] % 2:
            raise ValueError(
                f"expected an even height and width, got {images.shape[-2]} x {images.shape[-1]}, because the frame "
                "has half as many cells; try images without their last row or column"
            )
        centred = (images - 0.5).contiguous(memory_format=torch.channels_last)  # a fifth less time on CPUs
        found: Tensor = self.body(centred)
        return found


def _convolution(before: int, after: int, kernel: int, dilation: int, generator: torch.Generator | None) -> nn.Conv2d:
    layer: nn.Conv2d = nn.utils.skip_init(  # torch's own initial values would be drawn from the global generator
        nn.Conv2d, before, after, kernel, dilation=dilation, padding=dilation * (kernel // 2)
    )
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    bias = layer.bias
    if bias is not None:
        nn.init.zeros_(bias)
    return layer
