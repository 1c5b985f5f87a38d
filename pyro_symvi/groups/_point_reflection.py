"""Point reflection z -> 2c - z: the evenness that pins a mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._affine_action import AffineAction
from ._sign_flips import SignFlips


@dataclass(frozen=True, eq=False, repr=False)
class PointReflection(AffineAction):
    """z_J -> 2 c_J - z_J under the group {+1, -1}; the other coordinates stay.

    Pins the mean of the coordinates J at c_J and nothing of their covariance (all of J at once: -1 acts trivially
    on symmetric matrices); between J and the rest it forces covariance zero.

    >>> even = PointReflection(center=[1.0, 0.0])
    >>> even.act(torch.tensor([-1.0]), torch.tensor([3.0, 5.0], dtype=torch.float64)).tolist()
    [-1.0, -5.0]
    """

    @property
    def group(self) -> SignFlips:
        return SignFlips(1)

    def _act_block(self, g: Tensor, block: Tensor, center: Tensor) -> Tensor:
        return torch.where(g > 0, block, 2 * center - block)

    def _block_matrix(self, g: Tensor) -> Tensor:
        size = len(self._bound_index(g.device))
        return g[..., None] * torch.eye(size, dtype=g.dtype, device=g.device)

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        offset = self._offset(x).index_select(-1, self._bound_index(x.device))
        leading = (offset != 0).to(torch.int8).argmax(-1, keepdim=True)
        g = torch.where(offset.gather(-1, leading) < 0, -1.0, 1.0).to(x.dtype)
        return self._act(g, x), g
