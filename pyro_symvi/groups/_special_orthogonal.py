"""Rotations: the special orthogonal group SO(n)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .._value import positive_int
from . import _quadrature
from ._group import Group, Quadrature
from ._irreps import Irrep
from ._orthogonal import haar_orthogonal, plane_basis, plane_rotations
from ._wigner import wigner_d


def turn_matrix(angle: Tensor) -> Tensor:
    """Rotations of the plane, ``[*batch, 2, 2]``."""
    c, s = angle.cos(), angle.sin()
    return torch.stack([c, -s, s, c], -1).reshape(*angle.shape, 2, 2)


@dataclass(frozen=True, eq=False, repr=False)
class SpecialOrthogonal(Group):
    """SO(n) = {Q : Q^T Q = I, det Q = 1}; elements are matrices ``[..., n, n]``.

    Compact, connected, dimension n(n-1)/2. Quadrature and irreducible representations for n = 2 (label k: rotation
    by k times the angle) and n = 3 (label l: real Wigner matrices). Generators: rotations by one radian in the
    planes (i, i+1). Lie algebra basis: E_ji - E_ij for i < j.
    """

    n: int

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.n, self.n)

    @property
    def order(self) -> int | float:
        return 1 if self.n == 1 else math.inf

    @property
    def dim(self) -> int:
        return self.n * (self.n - 1) // 2

    @property
    def is_compact(self) -> bool:
        return True

    @property
    def is_connected(self) -> bool:
        return True

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.eye(self.n, dtype=dtype, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b

    def _inverse(self, a: Tensor) -> Tensor:
        return a.mT.contiguous()

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        defect = (a.mT @ a - torch.eye(self.n, dtype=a.dtype, device=a.device)).abs().amax((-2, -1))
        return (defect <= tolerance) & (torch.linalg.det(a) > 0)

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.ones(1, 1, 1, dtype=dtype, device=device)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return plane_rotations(self.n, dtype, device)

    def _sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        q = haar_orthogonal(self.n, shape, generator, dtype, device)
        sign = torch.linalg.det(q).sign()[..., None]
        return torch.cat([q[..., :1] * sign[..., None], q[..., 1:]], -1)

    def _exp(self, coordinates: Tensor) -> Tensor:
        if self.n == 1:
            return coordinates.new_ones(*coordinates.shape[:-1], 1, 1)
        if self.n == 2:
            return turn_matrix(coordinates[..., 0])
        basis = plane_basis(self.n, coordinates.dtype, coordinates.device)
        return torch.linalg.matrix_exp(torch.tensordot(coordinates, basis, dims=1))

    def _quadrature(self, bandlimit: int, dtype: torch.dtype, device: torch.device) -> Quadrature:
        if self.n == 2:
            angles, weights = _quadrature.circle(bandlimit)
            elements = turn_matrix(angles)
        elif self.n == 3:
            elements, weights = _quadrature.rotations(bandlimit)
        else:
            raise self._unsupported("an exact quadrature rule (n = 2 and n = 3 have one)", "sample(n)")
        return Quadrature(elements.to(dtype=dtype, device=device), weights.to(dtype=dtype, device=device), bandlimit)

    def _irreps(self, cutoff: int) -> tuple[Irrep, ...]:
        if self.n == 2:
            return tuple(circle_irrep(k, _angle) for k in range(cutoff + 1))
        if self.n == 3:
            return tuple(Irrep(k, 2 * k + 1, "real", partial(wigner_d, k)) for k in range(cutoff + 1))
        raise self._unsupported("a list of irreducible representations (n = 2 and n = 3 have one)", "n <= 3")


def circle_irrep(k: int, angle: Callable[[Tensor], Tensor]) -> Irrep:
    """Frequency k of a circle group: trivial, or rotation by k times the angle (a complex kind)."""

    def evaluate(g: Tensor) -> Tensor:
        turn = angle(g)
        return turn_matrix(k * turn) if k else turn.new_ones(*turn.shape, 1, 1)

    return Irrep(k, 2, "complex", evaluate) if k else Irrep(0, 1, "real", evaluate)


def _angle(g: Tensor) -> Tensor:
    return torch.atan2(g[..., 1, 0], g[..., 0, 0])
