"""Cyclic and dihedral groups."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._permutation_groups import PermutationLike


@dataclass(frozen=True, eq=False, repr=False)
class Cyclic(PermutationLike):
    """C_n, the integers modulo n under addition: elements are LongTensors ``[...]``; k shifts n points by k."""

    n: int

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def element_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def degree(self) -> int:
        return self.n

    @property
    def order(self) -> int:
        return self.n

    def as_permutation(self, g: Tensor) -> Tensor:
        return (torch.arange(self.n, device=g.device) + g.long()[..., None]) % self.n

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.zeros((), dtype=torch.long, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return (a + b) % self.n

    def _inverse(self, a: Tensor) -> Tensor:
        return (-a) % self.n

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        return (
            ((a - a.round()).abs() <= tolerance) & (a >= 0) & (a < self.n)
            if a.is_floating_point()
            else ((a >= 0) & (a < self.n))
        )

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.ones(1 if self.n > 1 else 0, dtype=torch.long, device=device)

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.arange(self.n, device=device)


@dataclass(frozen=True, eq=False, repr=False)
class Dihedral(PermutationLike):
    """D_n of order 2n, the symmetries of a regular n-gon: (k, s) = r^k f^s, LongTensor ``[..., 2]``.

    r is the rotation i -> i + 1, f the reflection i -> -i of the corners: r^k f^s r^l f^t = r^(k + (-1)^s l) f^(s+t).
    """

    n: int

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def degree(self) -> int:
        return self.n

    @property
    def order(self) -> int:
        return 2 * self.n

    def as_permutation(self, g: Tensor) -> Tensor:
        k, s = g.long().unbind(-1)
        corners = torch.arange(self.n, device=g.device)
        return (k[..., None] + (1 - 2 * s[..., None]) * corners) % self.n

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.zeros(2, dtype=torch.long, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = torch.broadcast_tensors(a, b)
        turn = (a[..., 0] + (1 - 2 * a[..., 1]) * b[..., 0]) % self.n
        return torch.stack([turn, (a[..., 1] + b[..., 1]) % 2], -1)

    def _inverse(self, a: Tensor) -> Tensor:
        turn = torch.where(a[..., 1] == 0, (-a[..., 0]) % self.n, a[..., 0])
        return torch.stack([turn, a[..., 1]], -1)

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        whole = (a - a.round()).abs().amax(-1) <= tolerance if a.is_floating_point() else True
        size = torch.tensor([self.n, 2], device=a.device)
        return ((a >= 0) & (a < size)).all(-1) & whole

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.tensor([[1 % self.n, 0], [0, 1]], device=device)[0 if self.n > 1 else 1 :]

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        k = torch.arange(self.n, device=device)
        return torch.cat([torch.stack([k, torch.full_like(k, s)], -1) for s in (0, 1)])
