"""Gauss-Legendre quadrature."""

from __future__ import annotations

from functools import lru_cache

import numpy
import torch
from torch import Tensor


@lru_cache(maxsize=8)
def legendre_numbers(order: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Nodes and weights on [-1, 1], as arrays: a tensor that is kept would belong to the transform it was made in."""
    return numpy.polynomial.legendre.leggauss(order)


def legendre(order: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [-1, 1], ``[order]``, float64."""
    nodes, weights = legendre_numbers(order)
    return torch.from_numpy(nodes), torch.from_numpy(weights)
