"""Exact symmetries of images on a grid: quarter turns and mirror images, cyclic shifts. No pixel is interpolated."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._action import Action
from ._cyclic_groups import Cyclic, Dihedral
from ._products import DirectProduct


@dataclass(frozen=True, eq=False, repr=False)
class GridRotations(Action):
    """Quarter turns and mirror images of square images ``[..., H, H]``; without mirror images if ``mirrors=False``.

    (k, s) in Dihedral(4) exchanges left and right s times, then turns by k quarters counterclockwise as displayed
    (first row on top): ``torch.rot90(x, k, (-2, -1))``. k in Cyclic(4) turns only. Channels are batch dimensions: the
    eight images of every channel. Rectangles have mirror images alone: :class:`ImageFlip`.

    Raises:
        TypeError: unless ``mirrors`` is a bool.
    """

    mirrors: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.mirrors, bool):
            raise TypeError(f"expected mirrors to be a bool, got {self.mirrors!r}")

    @property
    def group(self) -> Dihedral | Cyclic:
        return Dihedral(4) if self.mirrors else Cyclic(4)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (-1, -1)

    def _point(self, x: Tensor, name: str) -> Tensor:
        x = super()._point(x, name)
        if x.shape[-1] != x.shape[-2]:
            raise ValueError(
                f"expected square images {name} [..., H, H], got {list(x.shape)}, because a quarter turn exchanges "
                "height and width; try ImageFlip(('horizontal', 'vertical'))"
            )
        return x

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        g = g.round().long() if g.is_floating_point() else g
        code = 4 * g[..., 1] + g[..., 0] if self.mirrors else g
        source = _turned_pixels(x.shape[-1]).to(x.device)[code]
        return _gathered(x, source)


@dataclass(frozen=True, eq=False, repr=False)
class GridTranslation(Action):
    """Cyclic shifts of images ``[..., height, width]``: (a, b) moves pixel (i, j) to (i + a, j + b) modulo the sizes.

    The group is DirectProduct([Cyclic(height), Cyclic(width)]), of order height * width. What convolutions with
    circular padding commute with, and what zero padding, strides and pooling break.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        positive_int(self.height, "height")
        positive_int(self.width, "width")

    @property
    def group(self) -> DirectProduct:
        return DirectProduct((Cyclic(self.height), Cyclic(self.width)))

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.height, self.width)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        down, right = self.group.unpack(g)
        rows = (torch.arange(self.height, device=x.device) - down[..., None]) % self.height
        columns = (torch.arange(self.width, device=x.device) - right[..., None]) % self.width
        return _gathered(x, (rows[..., :, None] * self.width + columns[..., None, :]).flatten(-2))


def _gathered(x: Tensor, source: Tensor) -> Tensor:
    """Images with pixel p taken from pixel ``source[..., p]`` of x (both flattened)."""
    shape = torch.broadcast_shapes(x.shape[:-2], source.shape[:-1])
    flat = x.flatten(-2).expand(*shape, -1)
    return flat.gather(-1, source.expand(*shape, -1)).reshape(*shape, *x.shape[-2:])


@functools.lru_cache(maxsize=16)
def _turned_pixels(size: int) -> Tensor:
    """Where each pixel of the image under (k, s) comes from, LongTensor ``[8, size^2]`` at 4 s + k."""
    pixels = torch.arange(size * size).reshape(size, size)
    return torch.stack([torch.rot90(p, k, (0, 1)).flatten() for p in (pixels, pixels.flip(1)) for k in range(4)])
