"""A smooth function at many points from its values at a few."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

_COUNT = 28
_NODES = np.cos(math.pi * (np.arange(_COUNT) + 0.5) / _COUNT)
_TO_CHEBYSHEV = (
    np.cos(np.arange(_COUNT)[:, None] * np.arccos(_NODES)) * (2 - (np.arange(_COUNT) == 0))[:, None] / _COUNT
)
_TO_POWERS = np.zeros((_COUNT, _COUNT))
for _degree in range(_COUNT):
    _TO_POWERS[: _degree + 1, _degree] = np.polynomial.chebyshev.cheb2poly([0] * _degree + [1])

_ENOUGH = 4
"""Interpolate where there are this many times more points than nodes."""


def _shared(points: Tensor, parameter: Tensor) -> list[int]:
    """The axes of the points along which the parameter is one."""
    sizes = (1,) * (points.ndim - parameter.ndim) + tuple(parameter.shape)
    return [axis for axis, size in enumerate(sizes) if size == 1]


def is_worthwhile(points: Tensor, parameter: Tensor) -> bool:
    """Whether a parameter has many points, which differ in it by broadcasting alone."""
    return points.numel() >= _ENOUGH * _COUNT * max(parameter.numel(), 1) and points.numel() > 0


def interpolated(function: Callable[[Tensor], Tensor], points: Tensor, parameter: Tensor) -> Tensor:
    """The function at ``points [*s]``, by the polynomial through its values at 28 Chebyshev nodes of their range.

    The range is taken apart for each value of ``parameter``, which broadcasts to the points; the function takes nodes
    ``[28, *p]``. It should have few Chebyshev coefficients: they are turned into powers, which cancel where there are
    many.
    """
    shared = _shared(points, parameter)
    low, high = points.amin(shared, keepdim=True), points.amax(shared, keepdim=True)
    middle, half = (low + high) / 2, (high - low) / 2
    nodes, chebyshev, powers = (torch.from_numpy(a).to(points.device) for a in (_NODES, _TO_CHEBYSHEV, _TO_POWERS))
    values = function(middle + half * nodes.view(-1, *(1,) * points.ndim))
    rows = powers @ (chebyshev @ values.reshape(_COUNT, -1))
    coefficients = rows.view(values.shape)
    x = (points - middle) / torch.where(half > 0, half, 1.0)
    total = coefficients[-1]
    for coefficient in coefficients[:-1].flip(0):
        total = torch.addcmul(coefficient, total, x)
    return total
