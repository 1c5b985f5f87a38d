"""Levels of quantiles and of regions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def checked_levels(levels: Any) -> Tensor:
    """Levels as a float64 vector.

    Raises:
        TypeError: Not numbers.
        ValueError: A level outside (0, 1).
    """
    try:
        u = torch.as_tensor(levels, dtype=torch.float64).detach().reshape(-1)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"expected levels as numbers, got {levels!r}, because a level is a probability; try [0.05, 0.95]"
        ) from error
    if not bool(((u > 0) & (u < 1)).all()):
        raise ValueError(
            f"expected levels in (0, 1), got {u.tolist()}, because a level is the probability inside; try [0.05, 0.95]"
        )
    return u
