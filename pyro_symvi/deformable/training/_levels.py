"""What frames pay that know nothing of the images."""

from __future__ import annotations

import torch
from torch import Tensor

from .._points import grid_points
from ..losses import FrameLoss
from ..losses._pair_loss import distances_to_cells
from ..warps import Pairs

_BLURS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def blind_levels(loss: FrameLoss, pairs: Pairs, height: int, width: int) -> dict[str, float]:
    """Mean losses of the frames that are blind to the images, on a grid of ``height`` x ``width`` cells.

    ``constant``: p(v | u) uniform. ``position``: p(v | u) a normal bump about M_g u, g the known element, whose width
    is the best of a few; what a frame gets by taking each place of the picture for the same place of the object. Under
    weak warps that is little, and a loss far below ``constant`` then shows nothing.
    """
    points = pairs.points
    zeros = points.new_zeros(len(points), 1, height * width, height * width)[:, 0]
    still = grid_points(height, width, like=points).expand(len(points), -1, 2)
    if loss.symmetry is not None:
        still = loss.symmetry.on_points(pairs.element, still)
    squares = distances_to_cells(still, height, width).square()
    paid = [_mean(loss.pair._pay(-squares / (2 * blur**2), points, height, width), pairs.weight) for blur in _BLURS]
    return {
        "constant": _mean(loss.pair._pay(zeros, points, height, width), pairs.weight),
        "position": min(paid),
    }


def _mean(paid: Tensor, weight: Tensor) -> float:
    return float(((paid * weight).sum(-1) / weight.sum(-1).clamp_min(1e-9)).mean())


def mean_levels(levels: list[dict[str, float]]) -> dict[str, float]:
    """The means over batches."""
    return {name: float(torch.tensor([found[name] for found in levels]).mean()) for name in levels[0]}
