"""The expected distance from the right place."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ._pair_loss import PairLoss, squares_to_cells


@dataclass(frozen=True, eq=False, repr=False)
class DistanceLoss(PairLoss):
    """L = mean_u sum_v p(v | u) d(v, g u)^power, p the softmax of the logits over v, d in cells of the frame.

    Bounded: a frame that is constant pays the mean of d^power over the grid, 0.52 of the side for power 1 on a square
    and 0.70 of its root for power 1/2 (:func:`mean_distance`). One that sends every place to the middle of the image
    pays 0.38 and 0.61: see ``levels``. Thewlis, Albanie, Bilen and Vedaldi, "Unsupervised learning of landmarks by
    descriptor vector exchange" (2019), take power 1/2.

    Raises:
        ValueError: unless the power is above 0 and at most 2.
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.power <= 2:
            raise ValueError(f"expected a power above 0 and up to 2, got {self.power}; try 0.5")

    def _pay(self, logits: Tensor, points: Tensor, height: int, width: int) -> Tensor:
        cost = _root_power(squares_to_cells(points, height, width), self.power)
        return (logits.softmax(-1) * cost).sum(-1)

    def _best_law(self, points: Tensor, height: int, width: int) -> float:
        """All mass on one cell, since the cost is linear in p."""
        return float(_root_power(squares_to_cells(points, height, width), self.power).mean((0, 1)).min())


def _root_power(squares: Tensor, power: float) -> Tensor:
    """squares^(power / 2); roots where they do, which are several times faster than powers."""
    if power == 0.5:
        return squares.sqrt().sqrt()
    return squares.sqrt() if power == 1 else squares.pow(power / 2)
