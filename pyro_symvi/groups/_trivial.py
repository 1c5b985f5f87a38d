"""The group with one element."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._group import Group


@dataclass(frozen=True, eq=False, repr=False)
class Trivial(Group):
    """The trivial group {e}; its element is the empty tensor ``[..., 0]``."""

    exact_elements = True

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (0,)

    @property
    def order(self) -> int:
        return 1

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.zeros(0, dtype=dtype, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def _inverse(self, a: Tensor) -> Tensor:
        return a.clone()

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        return torch.ones(a.shape[:-1], dtype=torch.bool, device=a.device)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.zeros(0, 0, dtype=dtype, device=device)

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.zeros(1, 0, dtype=dtype, device=device)
