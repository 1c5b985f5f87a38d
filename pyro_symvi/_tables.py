"""Tables of numbers that are kept between calls, never as tensors.

A tensor that is made inside a transform of ``torch.func`` belongs to that transform: taken from a cache later, it would
be an error.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable

import torch
from torch import Tensor


class NumberTable:
    """Real numbers in a shape, as a buffer; a tensor of them is made for each use, without a copy.

    >>> NumberTable([1.0, 2.0, 3.0, 4.0], 2, 2).tensor(torch.zeros(1))
    tensor([[1., 2.],
            [3., 4.]])
    """

    def __init__(self, values: Iterable[float], *shape: int) -> None:
        self._numbers, self._shape = array("d", values), shape
        if len(self._numbers) != math.prod(shape):
            raise ValueError(f"expected {math.prod(shape)} numbers for the shape {shape}, got {len(self._numbers)}")

    def tensor(self, like: Tensor) -> Tensor:
        """In the precision and on the device of ``like``. In float64 on the CPU it shares memory: do not write."""
        if not self._numbers:
            return like.new_zeros(self._shape)
        return torch.frombuffer(self._numbers, dtype=torch.float64).reshape(self._shape).to(like)
