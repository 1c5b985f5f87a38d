"""Interpolated rotations in the form of actions, for sweeps: they obey the law of an action up to interpolation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...groups import Action, SpecialOrthogonal
from ._rotated import Mode, Padding, rotated_images


@dataclass(frozen=True, eq=False, repr=False)
class Interpolated(Action):
    """Images ``[..., H, W]`` turned by rotations ``[..., 2, 2]``. ``T_a T_b = T_ab`` for quarter turns only."""

    mode: Mode
    padding: Padding

    @property
    def group(self) -> SpecialOrthogonal:
        return SpecialOrthogonal(2)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (-1, -1)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        return rotated_images(x, torch.atan2(g[..., 1, 0], g[..., 0, 0]), self.mode, self.padding)


@dataclass(frozen=True, eq=False, repr=False)
class ThereAndBack(Interpolated):
    """Images turned by g and back by its inverse: what interpolation alone does to them."""

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        return super()._act(g.mT, super()._act(g, x))
