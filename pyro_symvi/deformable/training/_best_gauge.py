"""The coordinates of a frame that suit a group."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._value import positive_int
from ...groups import Orthogonal
from ..losses import FrameLoss
from ..warps import Pairs


@torch.no_grad()
def best_gauge(
    first: Tensor,
    second: Tensor,
    pairs: Pairs,
    loss: FrameLoss,
    *,
    trials: int = 200,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The orthogonal Q, of ``trials`` Haar draws and the identity, under which frames Q Phi have the least loss.

    A frame that was learnt by equivariance is free up to any orthogonal Q, and knows nothing of the axes of the group:
    R_h Phi then fits no pair, h = 1 is the best for nearly all, and a relaxed loss learns what an unrelaxed one does.
    In D = 3 dimensions the nearest of 200 draws is about 5 degrees from the axis on average. Without relaxation and
    without moved images the loss is the same for all Q, and the identity is returned.

    Args:
        first: frames of ``pairs.first``, ``[B, D, h, w]``.
        second: frames of ``pairs.second``.
        pairs: with motions such as the group's, else h = 1 is right for all.
        loss: with a symmetry.
        trials: draws, each of which costs a loss.
        generator: of the draws.

    Returns:
        Q, ``[D, D]``, in the dtype of the frames.

    Raises:
        ValueError: for a loss without symmetry.
    """
    if loss.symmetry is None:
        raise ValueError("expected a loss with a symmetry, got none, because all coordinates then suit it as well")
    positive_int(trials, "trials")
    drawn = Orthogonal(first.shape[1]).sample(trials, generator=generator)
    identity = torch.eye(first.shape[1], dtype=drawn.dtype)
    maps = torch.cat([drawn, identity[None]]).to(first)
    values = []
    for matrix in maps:
        one, other = (torch.einsum("ij,bjhw->bihw", matrix, frames) for frames in (first, second))
        values.append(float(loss(one, other, pairs).double().mean()))
    slack = 1e-5 * abs(values[-1])
    best = min(range(len(values)), key=values.__getitem__)
    return maps[-1] if values[best] >= values[-1] - slack else maps[best]
