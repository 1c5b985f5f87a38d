"""The log-likelihood of the right place."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ._pair_loss import PairLoss, distances_to_cells


@dataclass(frozen=True, eq=False, repr=False)
class LikelihoodLoss(PairLoss):
    """L = -mean_u sum_v t(v | g u) log p(v | u): the cross-entropy from a normal bump about the right place.

    t(v | x) is proportional to exp(-d(v, x)^2 / (2 bandwidth^2)) over the cells v. Unbounded where p is sure of a
    wrong place; a frame that is constant pays log(h' w'). The least value is the entropy of t, not 0.
    """

    bandwidth: float = 0.7

    def __post_init__(self) -> None:
        if not self.bandwidth > 0:
            raise ValueError(f"expected a bandwidth above 0 (cells), got {self.bandwidth}; try 0.7")

    def _pay(self, logits: Tensor, points: Tensor, height: int, width: int) -> Tensor:
        squares = distances_to_cells(points, height, width).square()
        wanted = (-squares / (2 * self.bandwidth**2)).softmax(-1)
        return -(wanted * logits.log_softmax(-1)).sum(-1)
