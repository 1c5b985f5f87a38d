"""Groups without a Haar probability: translations, positive scalings, rigid motions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._group import Group
from ._orthogonal import plane_basis
from ._special_orthogonal import SpecialOrthogonal


class _NonCompact(Group):
    """What the connected, non-compact groups share."""

    n: int

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def order(self) -> float:
        return math.inf

    @property
    def is_compact(self) -> bool:
        return False

    @property
    def is_connected(self) -> bool:
        return True


@dataclass(frozen=True, eq=False, repr=False)
class Translation(_NonCompact):
    """R^n under addition, elements ``[..., n]``. Generators: unit steps and steps of sqrt 2, dense together."""

    n: int

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.n,)

    @property
    def dim(self) -> int:
        return self.n

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.zeros(self.n, dtype=dtype, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def _inverse(self, a: Tensor) -> Tensor:
        return -a

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        return torch.isfinite(a).all(-1)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        steps = torch.eye(self.n, dtype=dtype, device=device)
        return torch.cat([steps, math.sqrt(2) * steps])

    def _exp(self, coordinates: Tensor) -> Tensor:
        return coordinates


@dataclass(frozen=True, eq=False, repr=False)
class PositiveScaling(_NonCompact):
    """(R_+)^n under entrywise multiplication, elements ``[..., n]`` of positive numbers; exp is the exponential.

    Generators: e and exp(sqrt 2) in each entry, whose powers are dense.
    """

    n: int

    def __post_init__(self) -> None:
        positive_int(self.n, "n", 0)

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.n,)

    @property
    def dim(self) -> int:
        return self.n

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.ones(self.n, dtype=dtype, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b

    def _inverse(self, a: Tensor) -> Tensor:
        return 1 / a

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        return (torch.isfinite(a) & (a > 0)).all(-1)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        steps = torch.eye(self.n, dtype=dtype, device=device)
        return torch.cat([steps, math.sqrt(2) * steps]).exp()

    def _exp(self, coordinates: Tensor) -> Tensor:
        return coordinates.exp()


@dataclass(frozen=True, eq=False, repr=False)
class SpecialEuclidean(_NonCompact):
    """SE(n), rotations and translations of R^n: elements are ``[..., n, n + 1]`` = (R | t), x -> R x + t.

    (R | t)(R' | t') = (R R' | R t' + t). Lie algebra: the planes of so(n), then the n translations; ``exp`` is that
    of the homogeneous matrices. Translations have no Haar probability: centre first, then use ``rotations``.
    """

    n: int

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.n, self.n + 1)

    @property
    def dim(self) -> int:
        return self.n * (self.n + 1) // 2

    @property
    def rotations(self) -> SpecialOrthogonal:
        """The compact part, acting on centred points."""
        return SpecialOrthogonal(self.n)

    def element(self, rotation: Tensor, translation: Tensor) -> Tensor:
        """(R | t) from its parts ``[*batch, n, n]`` and ``[*batch, n]``."""
        batch = torch.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
        parts = (rotation.expand(*batch, self.n, self.n), translation.expand(*batch, self.n)[..., None])
        return torch.cat(parts, -1)

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.eye(self.n, self.n + 1, dtype=dtype, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        moved = a[..., : self.n] @ b
        return torch.cat([moved[..., : self.n], moved[..., self.n :] + a[..., self.n :]], -1)

    def _inverse(self, a: Tensor) -> Tensor:
        back = a[..., : self.n].mT
        return torch.cat([back, -back @ a[..., self.n :]], -1)

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        return self.rotations._contains(a[..., : self.n], tolerance) & torch.isfinite(a).all(-1).all(-1)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        turns = self.rotations.generators(dtype=dtype, device=device)
        steps = torch.cat([torch.eye(self.n, dtype=dtype, device=device) * step for step in (1.0, math.sqrt(2))])
        still = torch.zeros(self.n, dtype=dtype, device=device)
        unturned = torch.eye(self.n, dtype=dtype, device=device)
        return torch.cat([self.element(turns, still), self.element(unturned, steps)])

    def _exp(self, coordinates: Tensor) -> Tensor:
        planes = self.n * (self.n - 1) // 2
        turn, step = coordinates.split([planes, self.n], -1)
        spin = torch.tensordot(turn, plane_basis(self.n, turn.dtype, turn.device), dims=1)
        top = torch.cat([spin, step[..., None]], -1)
        full = torch.cat([top, torch.zeros_like(top[..., :1, :])], -2)
        return torch.linalg.matrix_exp(full)[..., : self.n, :]
