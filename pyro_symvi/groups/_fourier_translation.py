"""Exact translations of periodic images by any part of a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._action import Action
from ._torus import Torus


@dataclass(frozen=True, eq=False, repr=False)
class FourierTranslation(Action):
    """Periodic images ``[..., height, width]`` moved by angles (a, b) of Torus(2): a / 2 pi heights down, b / 2 pi
    widths right.

    The wave of frequency (u, v) gets the phase exp(-i (a u + b v)): the translation of the trigonometric interpolant,
    an action by isometries, and at whole pixels :class:`GridTranslation`. Convolutions with circular padding commute
    with it; pointwise nonlinearities, strides and pooling do not, by as much as they alias. Both sizes are odd: the
    highest frequency of an even size, cos(pi i), has no phase and cannot be moved.

    Raises:
        ValueError: for even sizes.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        positive_int(self.height, "height")
        positive_int(self.width, "width")
        if self.height % 2 == 0 or self.width % 2 == 0:
            raise ValueError(
                f"expected odd sizes, got {self.height} x {self.width}, because the highest frequency of an even size "
                "cannot be moved by a part of a pixel; try images padded or cut by one pixel, or GridTranslation"
            )

    @property
    def group(self) -> Torus:
        return Torus(2)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.height, self.width)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        down, right = self._waves(x)
        angle = g[..., 0, None, None] * down + g[..., 1, None, None] * right
        waves = torch.fft.rfft2(x) * torch.complex(angle.cos(), -angle.sin())
        return torch.fft.irfft2(waves, s=(self.height, self.width))

    def _vertical_basis(self, x: Tensor) -> Tensor:
        """Minus the derivatives of the interpolant, per radian: factors -i u and -i v."""
        waves = torch.fft.rfft2(x)
        columns = [torch.fft.irfft2(-1j * k * waves, s=(self.height, self.width)) for k in self._waves(x)]
        return torch.stack(columns, -1)

    def _waves(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Frequencies of the real transform, ``[height, 1]`` and ``[width // 2 + 1]``."""
        down = torch.fft.fftfreq(self.height, 1 / self.height, dtype=x.dtype, device=x.device)
        return down[:, None], torch.fft.rfftfreq(self.width, 1 / self.width, dtype=x.dtype, device=x.device)

    def pixels(self, g: Tensor) -> Tensor:
        """The shift of each element in pixels (down, right), ``[*batch, 2]``, in [0, height) x [0, width)."""
        g = self.group._checked(g, "g")
        return (g / (2 * math.pi)) % 1 * g.new_tensor([self.height, self.width])
