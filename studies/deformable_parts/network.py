"""A frame network with much context at little cost: convolutions on four grids, from fine to coarse and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_CHANNELS = (16, 32, 64, 96)


class PyramidNet(nn.Module):
    """Images ``[B, 3, H, W]`` to frames ``[B, dim, H / 2, W / 2]``, H and W divisible by 8; 329,000 parameters.

    Convolutions on the grids of H, H / 2, H / 4 and H / 8 pixels and back up to H / 2, each grid joined with what was
    found on it on the way down (Ronneberger, Fischer and Brox 2015). A place sees the whole of an image of 48 pixels.
    """

    def __init__(self, dim: int = 3, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        fine, half, quarter, eighth = _CHANNELS
        self.down_1 = _block(3, fine, 5, generator)
        self.down_2 = nn.Sequential(_block(fine, half, 3, generator), _block(half, half, 3, generator))
        self.down_4 = nn.Sequential(_block(half, quarter, 3, generator), _block(quarter, quarter, 3, generator))
        self.down_8 = nn.Sequential(_block(quarter, eighth, 3, generator), _block(eighth, eighth, 3, generator))
        self.up_4 = _block(eighth + quarter, quarter, 3, generator)
        self.up_2 = _block(quarter + half, half, 3, generator)
        self.head = nn.Conv2d(half, dim, 1)
        nn.init.normal_(self.head.weight, std=half**-0.5, generator=generator)
        nn.init.zeros_(self.head.bias if self.head.bias is not None else torch.empty(0))

    def forward(self, images: Tensor) -> Tensor:
        half = self.down_2(functional.max_pool2d(self.down_1(images - 0.5), 2))
        quarter = self.down_4(functional.max_pool2d(half, 2))
        eighth = self.down_8(functional.max_pool2d(quarter, 2))
        quarter = self.up_4(torch.cat([_doubled(eighth), quarter], 1))
        found: Tensor = self.head(self.up_2(torch.cat([_doubled(quarter), half], 1)))
        return found


def _block(before: int, after: int, kernel: int, generator: torch.Generator | None) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, a=0.2, generator=generator)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.LeakyReLU(0.2, inplace=True))


def _doubled(grid: Tensor) -> Tensor:
    return functional.interpolate(grid, scale_factor=2, mode="bilinear", align_corners=False)
