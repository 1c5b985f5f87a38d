"""Numbers that cannot be negative, from sums that may come out so."""

from __future__ import annotations

import torch
from torch import Tensor

from ..groups._errors import sentence


def rounding(n: int) -> float:
    """Bound of the relative error of a sum of n terms and what is done with it: 64 n eps / (1 - n eps)."""
    eps = torch.finfo(torch.float64).eps
    return 64 * n * eps / (1 - n * eps)


def model_rounding(square: Tensor) -> float:
    """What rounding in a float32 model can add to a mean square: (8 eps)^2 of the largest entry, about 1e-12 of it."""
    largest = float(square.max()) if square.numel() else 0.0
    return (8 * torch.finfo(torch.float32).eps) ** 2 * largest


def settled(value: Tensor, scale: Tensor, n: int, floor: float = 0.0) -> Tensor:
    """Squares and spreads not below zero: clamped within rounding, refused beyond.

    A rule with positive weights leaves rounding alone. One with negative weights (Lebedev's of degree 13, 25, 27) can
    give a spread below zero where the response has a band that it does not resolve: that is no small error.

    Args:
        value: sums over the group, any shape.
        scale: the same sums of absolute values with the absolute weights.
        n: number of terms.
        floor: what counts as rounding besides, see :func:`model_rounding`.
    """
    if bool((value < -rounding(n) * scale - floor).any()):
        worst = float((value / scale.clamp(min=torch.finfo(scale.dtype).tiny)).min())
        raise ValueError(
            sentence(
                "a spread that is not negative",
                f"{worst:.2g} of the sum of absolute terms",
                "the rule has negative weights and the response a band beyond it",
                "a larger degree, or the group's own rule, whose weights are positive",
            )
        )
    return value.clamp(min=0)
