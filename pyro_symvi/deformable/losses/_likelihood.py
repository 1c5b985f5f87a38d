"""The log-likelihood of the right place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._pair_loss import PairLoss, offsets_to_cells


@dataclass(frozen=True, eq=False, repr=False)
class LikelihoodLoss(PairLoss):
    """L = -mean_u sum_v t(v | g u) log p(v | u): the cross-entropy from a normal bump about the right place.

    t(v | x) is proportional to exp(-d(v, x)^2 / (2 bandwidth^2)) over the cells v. Unbounded where p is sure of a
    wrong place; a frame that is constant pays log(h' w'). The least value is the entropy of t, not 0.

    Raises:
        ValueError: unless the bandwidth is positive.
    """

    bandwidth: float = 0.7

    def __post_init__(self) -> None:
        if not self.bandwidth > 0:
            raise ValueError(f"expected a bandwidth above 0 (cells), got {self.bandwidth}; try 0.7")

    def _pay(self, logits: Tensor, points: Tensor, height: int, width: int) -> Tensor:
        return -(self._wanted(points, height, width) * logits.log_softmax(-1)).sum(-1)

    def _best_law(self, points: Tensor, height: int, width: int) -> float:
        """The mean of t over the points: the cross-entropy is then the entropy of p."""
        law = self._wanted(points, height, width).mean((0, 1))
        return -float(torch.special.xlogy(law, law).sum())

    def _wanted(self, points: Tensor, height: int, width: int) -> Tensor:
        """t(v | x), ``[B, N, height * width]``: a product of a law of the column and one of the row."""
        x, y = (
            (-offset.square() / (2 * self.bandwidth**2)).softmax(-1)
            for offset in offsets_to_cells(points, height, width)
        )
        return (y[..., :, None] * x[..., None, :]).flatten(-2)
