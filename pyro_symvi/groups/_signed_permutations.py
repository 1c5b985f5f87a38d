"""Signed permutations, the symmetries of the cube in any dimension."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._group import Group


@dataclass(frozen=True, eq=False, repr=False)
class SignedPermutations(Group):
    """B_n of order 2^n n!: elements LongTensor ``[..., n]``, g[i] = s (j + 1) for "e_i goes to s e_j", s = +-1.

    Isomorphic to the wreath product of {+1, -1} with S_n. Uniform sampling for any n; listing stops at n = 7.
    """

    n: int
    exact_elements = True
    element_kind = "integer"

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.n,)

    @property
    def order(self) -> int:
        return int(2**self.n) * math.factorial(self.n)

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.arange(1, self.n + 1, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = torch.broadcast_tensors(a.long(), b.long())
        return b.sign() * a.gather(-1, b.abs() - 1)

    def _inverse(self, a: Tensor) -> Tensor:
        a = a.long()
        place = a.abs().argsort(-1)
        return a.gather(-1, place).sign() * (place + 1)

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        wanted = torch.arange(1, self.n + 1, device=a.device)
        return ((a.abs().sort(-1).values - wanted).abs() <= tolerance).all(-1)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        here = torch.arange(1, self.n + 1, device=device)
        flip = here.clone()
        flip[0] = -1
        found = [flip]
        for i in range(self.n - 1):
            swap = here.clone()
            swap[i], swap[i + 1] = here[i + 1], here[i]
            found.append(swap)
        return torch.stack(found)

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        places = torch.tensor(list(itertools.permutations(range(1, self.n + 1))), device=device)
        bits = (torch.arange(2**self.n, device=device)[:, None] >> torch.arange(self.n, device=device)) & 1
        return (places[:, None] * (1 - 2 * bits)).reshape(-1, self.n)

    def _sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        places = torch.rand(*shape, self.n, generator=generator, dtype=torch.float64, device=device).argsort(-1)
        bits = torch.randint(2, (*shape, self.n), generator=generator, device=device)
        return (places + 1) * (1 - 2 * bits)
