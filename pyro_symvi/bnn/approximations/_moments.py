"""Ascent by Adam, row by row."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-8


class Adam:
    """Kingma and Ba (2015) on ``[rows, dim]``; each row has its own moments and count."""

    def __init__(self, theta: Tensor, beta: tuple[float, float] = (0.9, 0.999)) -> None:
        self.first, self.second = torch.zeros_like(theta), torch.zeros_like(theta)
        self.count, self.beta = theta.new_zeros(len(theta), 1), beta

    def step(self, theta: Tensor, gradient: Tensor, rate: Tensor | float) -> Tensor:
        """Theta after one step uphill."""
        one, two = self.beta
        self.count += 1
        self.first.lerp_(gradient, 1 - one)
        self.second.lerp_(gradient.square(), 1 - two)
        scale = (self.second / (1 - two**self.count)).sqrt_().add_(_TINY)
        return theta + rate * (self.first / (1 - one**self.count)) / scale

    def forget(self, rows: Tensor) -> None:
        """Start anew in these rows."""
        self.first[rows], self.second[rows], self.count[rows] = 0, 0, 0

    def keep(self, rows: Tensor) -> None:
        """Only these rows from now on."""
        self.first, self.second, self.count = self.first[rows], self.second[rows], self.count[rows]
