"""Tori: independent angles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from . import _quadrature
from ._group import Group, Quadrature
from ._irreps import Irrep
from ._special_orthogonal import turn_matrix

TURN = 2 * math.pi


@dataclass(frozen=True, eq=False, repr=False)
class Torus(Group):
    """T^k = (R / 2 pi Z)^k: elements are angles ``[..., k]``, reduced to [0, 2 pi) by composition.

    Generators: one radian on each circle. Irreducible representations: the trivial one and, for each pair {q, -q} of
    frequency vectors with entries up to the cutoff, the rotation by q . angle (complex kind); the label is q.
    """

    k: int

    def __post_init__(self) -> None:
        positive_int(self.k, "k")

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.k,)

    @property
    def order(self) -> float:
        return math.inf

    @property
    def dim(self) -> int:
        return self.k

    @property
    def is_compact(self) -> bool:
        return True

    @property
    def is_connected(self) -> bool:
        return True

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.zeros(self.k, dtype=dtype, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.remainder(a + b, TURN)

    def _inverse(self, a: Tensor) -> Tensor:
        return torch.remainder(-a, TURN)

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        return torch.isfinite(a).all(-1)

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (torch.remainder(a - b + math.pi, TURN) - math.pi).abs().amax(-1)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.eye(self.k, dtype=dtype, device=device)

    def _sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        return TURN * torch.rand(*shape, self.k, generator=generator, dtype=dtype, device=device)

    def _exp(self, coordinates: Tensor) -> Tensor:
        return torch.remainder(coordinates, TURN)

    def _quadrature(self, bandlimit: int, dtype: torch.dtype, device: torch.device) -> Quadrature:
        elements, weights = _quadrature.torus(self.k, bandlimit)
        return Quadrature(elements.to(dtype=dtype, device=device), weights.to(dtype=dtype, device=device), bandlimit)

    def _irreps(self, cutoff: int) -> tuple[Irrep, ...]:
        span = range(-cutoff, cutoff + 1)
        labels = [q for q in itertools.product(span, repeat=self.k) if next((x for x in q if x), 0) > 0]
        labels.sort(key=lambda q: (max(map(abs, q)), sum(map(abs, q)), q))
        trivial = Irrep((0,) * self.k, 1, "real", lambda g: g.new_ones(*g.shape[:-1], 1, 1))
        return (trivial, *(Irrep(q, 2, "complex", _wave(q)) for q in labels))


def _wave(q: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    return lambda g: turn_matrix(g @ torch.tensor(q, dtype=g.dtype, device=g.device))
