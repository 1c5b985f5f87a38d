"""A Gauss rule for densities that fall at least as fast as a normal one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

_COUNT = 24
_NODES, _WEIGHTS = (array / 2 for array in np.polynomial.legendre.leggauss(_COUNT))
_NODES = _NODES + 0.5

_FALL = 32.0
"""The logarithm of a density falls by this much over the range of integration."""

_CELLS = 2**15
"""At most about this many integrand values are held at once: they stay in the cache."""


def drop_length(steepness: Tensor, bend: Tensor) -> Tensor:
    """The x with steepness x + bend x^2 / 2 = `_FALL`, infinite where there is none."""
    root = (steepness * steepness + (2 * _FALL) * bend).clamp(min=0).sqrt()
    return 2 * _FALL / (steepness + root).clamp(min=0)


def integrated(function: Callable[[Tensor], Tensor], start: Tensor, length: Tensor) -> Tensor:
    """The mean of a function over the interval from ``start`` of the given ``length [*s]``, by 24 Gauss nodes.

    The function takes points ``[n, *s]`` to values ``[n, *s]``.
    """
    group = max(1, min(_COUNT, _CELLS // max(start.numel(), 1)))
    total: Tensor | None = None
    for first in range(0, _COUNT, group):
        shape = (-1,) + (1,) * start.ndim
        node = torch.from_numpy(_NODES[first : first + group]).to(start.device).view(shape)
        weight = torch.from_numpy(_WEIGHTS[first : first + group]).to(start.device).view(shape)
        part = (weight * function(start + length * node)).sum(0)
        total = part if total is None else total + part
    return torch.zeros_like(start) if total is None else total
