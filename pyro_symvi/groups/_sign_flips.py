"""Independent sign changes, (Z/2)^n."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._group import Group


@dataclass(frozen=True, eq=False, repr=False)
class SignFlips(Group):
    """The group {+1, -1}^n under entrywise multiplication; elements are vectors of signs ``[..., n]``.

    Order 2^n, abelian, every element its own inverse. Generators: one flip a coordinate. Sampling is exact for any
    n; listing stops at 10^6 elements (n = 19).
    """

    n: int
    exact_elements = True

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.n,)

    @property
    def order(self) -> int:
        return int(2**self.n)

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.ones(self.n, dtype=dtype, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b

    def _inverse(self, a: Tensor) -> Tensor:
        return a.clone()

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        return ((a.abs() - 1).abs() <= tolerance).all(-1)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return 1 - 2 * torch.eye(self.n, dtype=dtype, device=device)

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        bits = (torch.arange(self.order, device=device)[:, None] >> torch.arange(self.n, device=device)) & 1
        return (1 - 2 * bits).to(dtype)

    def _sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        bits = torch.randint(2, (*shape, self.n), generator=generator, device=device)
        return (1 - 2 * bits).to(dtype)
