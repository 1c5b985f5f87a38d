"""The expected distance from the right place."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ._pair_loss import PairLoss, distances_to_cells


@dataclass(frozen=True, eq=False, repr=False)
class DistanceLoss(PairLoss):
    """L = mean_u sum_v p(v | u) d(v, g u)^power, p the softmax of the logits over v, d in cells of the frame.

    Bounded: a frame that is constant pays the mean of d^power over the grid, about ``collapsed`` of the theory: 0.52
    of the side for power 1 on a square, 0.70 of its root for power 1/2. Thewlis, Albanie, Bilen and Vedaldi,
    "Unsupervised learning of landmarks by descriptor vector exchange" (2019), take power 1/2.
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.power <= 2:
            raise ValueError(f"expected a power above 0 and up to 2, got {self.power}; try 0.5")

    def _pay(self, logits: Tensor, points: Tensor, height: int, width: int) -> Tensor:
        cost = distances_to_cells(points, height, width).pow(self.power)
        return (logits.softmax(-1) * cost).sum(-1)
