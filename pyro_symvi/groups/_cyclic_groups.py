"""Cyclic and dihedral groups."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._irreps import Irrep
from ._permutation_groups import PermutationLike


@dataclass(frozen=True, eq=False, repr=False)
class Cyclic(PermutationLike):
    """C_n, the integers modulo n under addition: elements are LongTensors ``[...]``; k shifts n points by k.

    Irreducible representations are labelled by frequency: 0, n / 2 (n even), then 1, 2, ... below n / 2, where k
    stands for the pair k and n - k and turns a plane by 2 pi k / n.
    """

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

    def _finite_irreps(self) -> tuple[Irrep, ...]:
        single = [0, self.n // 2] if self.n % 2 == 0 else [0]
        signs = [Irrep(k, 1, "real", _sign(self.n, lambda g, k=k: k * g)) for k in single]  # type: ignore[misc]
        return (*signs, *(Irrep(k, 2, "complex", _turn(self.n, k)) for k in range(1, (self.n + 1) // 2)))


@dataclass(frozen=True, eq=False, repr=False)
class Dihedral(PermutationLike):
    """D_n of order 2n, the symmetries of a regular n-gon: (k, s) = r^k f^s, LongTensor ``[..., 2]``.

    r is the rotation i -> i + 1, f the reflection i -> -i of the corners: r^k f^s r^l f^t = r^(k + (-1)^s l) f^(s+t).
    Irreducible representations carry Mulliken symbols: A even under r and B odd, subscript 1 even under f and 2 odd,
    E_j turning by 2 pi j / n (E where there is only one).
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

    def _finite_irreps(self) -> tuple[Irrep, ...]:
        n = self.n
        powers = {"A1": (0, 0), "A2": (0, 1), "B1": (1, 0), "B2": (1, 1)}
        chosen = list(powers.items())[: 2 if n % 2 else 4]
        found = [
            Irrep(label, 1, "real", _sign(2, lambda g, a=a, b=b: a * g[..., 0] + b * g[..., 1]))  # type: ignore[misc]
            for label, (a, b) in chosen
        ]
        mirror = torch.tensor([1.0, -1.0], dtype=torch.float64)

        def plane(j: int) -> Callable[[Tensor], Tensor]:
            turn = _turn(n, j)
            return lambda g: turn(g[..., 0]) * mirror.to(g.device) ** g[..., 1, None, None]

        names = {j: "E" if n in (3, 4) else f"E{j}" for j in range(1, (n + 1) // 2)}
        return (*found, *(Irrep(name, 2, "real", plane(j)) for j, name in names.items()))


def _sign(n: int, exponent: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """exp(2 pi i exponent / n) where that is +1 or -1, ``[..., 1, 1]``."""
    return lambda g: 1 - 2 * (exponent(_whole(g)) % n != 0).double()[..., None, None]


def _turn(n: int, k: int) -> Callable[[Tensor], Tensor]:
    """The rotation by 2 pi k g / n, ``[..., 2, 2]``."""

    def evaluate(g: Tensor) -> Tensor:
        angle = 2 * math.pi / n * (k * _whole(g) % n).double()
        c, s = angle.cos(), angle.sin()
        return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)

    return evaluate


def _whole(g: Tensor) -> Tensor:
    return g.round().long() if g.is_floating_point() else g
