"""Mirror images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._action import Action
from ._sign_flips import SignFlips


@dataclass(frozen=True, eq=False, repr=False)
class ImageFlip(Action):
    """Left-right and up-down mirror images of ``[..., height, width]``, one sign an axis.

    ``axes`` is a sequence from "horizontal" (left-right) and "vertical" (up-down).

    Raises:
        ValueError: for axes other than horizontal and vertical, each once.
    """

    axes: Sequence[str] = ("horizontal",)

    def __post_init__(self) -> None:
        axes = (self.axes,) if isinstance(self.axes, str) else tuple(self.axes)
        if not axes or len(set(axes)) != len(axes) or not set(axes) <= {"horizontal", "vertical"}:
            raise ValueError(f"expected axes from 'horizontal' and 'vertical', each once, got {self.axes!r}")
        object.__setattr__(self, "axes", axes)

    @property
    def group(self) -> SignFlips:
        return SignFlips(len(self.axes))

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (-1, -1)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        for k, axis in enumerate(self.axes):
            flipped = x.flip(-1 if axis == "horizontal" else -2)
            x = torch.where(g[..., k, None, None] > 0, x, flipped)
        return x
