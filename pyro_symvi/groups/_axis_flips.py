"""Independent reflections of single coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._affine_action import AffineAction
from ._sign_flips import SignFlips


@dataclass(frozen=True, eq=False, repr=False)
class AxisFlips(AffineAction):
    """z_i -> 2 c_i - z_i for any subset of the coordinates J, under the group {+1, -1}^|J|.

    Pins the mean of each coordinate in J and makes it uncorrelated with every other one; variances stay free.
    The group is known once the coordinates are (given, or by ``bind``). The centre is ``[d]`` or ``[|J|]``.
    """

    # Unlike its siblings, coordinates come first: AxisFlips([0, 2]) reads as it is meant.
    def __init__(
        self,
        coordinates: Sequence[int] | None = None,
        center: Tensor | Sequence[float] | float | None = None,
        *,
        dim: int | None = None,
    ) -> None:
        super().__init__(center, coordinates, dim=dim)

    @property
    def group(self) -> SignFlips:
        if self.coordinates is None:
            raise ValueError(
                f"expected known coordinates, got {self!r}, because the group has a sign for each; try .bind(dim, ...)"
            )
        return SignFlips(len(self.coordinates))

    def _act_block(self, g: Tensor, block: Tensor, center: Tensor) -> Tensor:
        return torch.where(g > 0, block, 2 * center - block)

    def _block_matrix(self, g: Tensor) -> Tensor:
        return torch.diag_embed(g)

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        offset = self._offset(x).index_select(-1, self._bound_index(x.device))
        g = torch.where(offset < 0, -1.0, 1.0).to(x.dtype)
        return self._act(g, x), g
