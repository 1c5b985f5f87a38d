"""What frames pay that know nothing of the images."""

from __future__ import annotations

import torch
from torch import Tensor

from .._points import grid_points
from ..losses import FrameLoss
from ..losses._pair_loss import squares_to_cells
from ..warps import Pairs

_BLURS = (0.5, 1.0, 2.0, 4.0)
"""Standard deviations of the bumps, in cells."""


@torch.no_grad()
def blind_levels(loss: FrameLoss, pairs: Pairs, height: int, width: int) -> dict[str, float]:
    """Mean losses of the frames that are blind to the images, on pairs with frames of ``height`` x ``width`` cells.

    ``constant``: p(v | u) uniform. ``one_place``: the best p(v) that is the same for all u. ``position``: p(v | u) a
    normal bump about M_g u, g the known element, whose width is the best of a few; what a frame gets by taking each
    place of the picture for the same place of the object, which is symmetric, too. Under weak warps that is little, and
    a loss far below ``constant`` then shows nothing.
    """
    constant, position, places = [], [], []
    for pair in range(len(pairs.points)):
        points, weight = pairs.points[pair : pair + 1], pairs.weight[pair]
        if not bool(weight.any()):
            continue
        still = grid_points(height, width, like=points)[None]
        if loss.symmetry is not None:
            still = loss.symmetry.on_points(pairs.element[pair : pair + 1], still)
        asked = weight > 0
        places.append(points[:, asked])
        squares = squares_to_cells(still[:, asked], height, width)

        def mean(logits: Tensor, weight: Tensor = weight[asked], asked: Tensor = places[-1]) -> Tensor:
            return loss.pair._pay(logits, asked, height, width)[0] @ weight / weight.sum()

        constant.append(mean(torch.zeros_like(squares)))
        position.append(torch.stack([mean(-squares / (2 * blur**2)) for blur in _BLURS]))
    if not places:
        return {}
    return {
        "constant": float(torch.stack(constant).mean()),
        "one_place": loss.pair._best_law(torch.cat(places, 1), height, width),
        "position": float(torch.stack(position).mean(0).min()),
    }
