"""Unitary groups U(n) and SU(n)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from . import _quadrature
from ._group import Group, Quadrature
from ._irreps import Irrep
from ._special_orthogonal import circle_irrep


class _ComplexMatrices(Group):
    """What U(n) and SU(n) share; elements are complex matrices ``[..., n, n]``, complex128 by default."""

    element_kind = "complex"
    n: int

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.n, self.n)

    @property
    def is_compact(self) -> bool:
        return True

    @property
    def is_connected(self) -> bool:
        return True

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.eye(self.n, dtype=dtype.to_complex(), device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b

    def _inverse(self, a: Tensor) -> Tensor:
        return a.mH.resolve_conj().contiguous()

    def _defect(self, a: Tensor) -> Tensor:
        return (a.mH @ a - torch.eye(self.n, dtype=a.dtype, device=a.device)).abs().amax((-2, -1))

    def _haar(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Q of a complex Gaussian matrix, its columns times the phases of diag R (Mezzadri 2007)."""
        parts = torch.randn(*shape, self.n, self.n, 2, generator=generator, dtype=dtype.to_real(), device=device)
        q, r = torch.linalg.qr(torch.view_as_complex(parts))
        diagonal = r.diagonal(dim1=-2, dim2=-1)
        return q * (diagonal / diagonal.abs())[..., None, :]

    def _exp(self, coordinates: Tensor) -> Tensor:
        basis = self._lie_basis(coordinates.device).to(coordinates.dtype.to_complex())
        return torch.linalg.matrix_exp(torch.tensordot(coordinates.to(basis.dtype), basis, dims=1))

    def _lie_basis(self, device: torch.device) -> Tensor:
        """Anti-Hermitian basis of su(n): E_ji - E_ij and i (E_ij + E_ji) for i < j, then i times the diagonal ones.

        All of squared norm 2 and orthogonal in tr(X^* Y), which conjugation leaves invariant.
        """
        n = self.n
        unit = torch.eye(n, dtype=torch.complex128, device=device)
        entry = unit[:, None, :, None] * unit[None, :, None, :]  # entry[i, j] = E_ij
        pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
        found = [m for i, j in pairs for m in (entry[j, i] - entry[i, j], 1j * (entry[i, j] + entry[j, i]))]
        for k in range(1, n):
            steps = [1.0] * k + [-float(k)] + [0.0] * (n - k - 1)
            diagonal = torch.tensor(steps, dtype=torch.float64, device=device) * math.sqrt(2 / (k * (k + 1)))
            found.append(1j * torch.diag(diagonal).to(torch.complex128))
        return torch.stack(found) if found else torch.zeros(0, n, n, dtype=torch.complex128, device=device)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Exp of one radian along each basis vector: each closes to a circle, and together they reach everything."""
        return self._exp(torch.eye(self.dim, dtype=dtype.to_real(), device=device))


@dataclass(frozen=True, eq=False, repr=False)
class Unitary(_ComplexMatrices):
    """U(n), complex ``[..., n, n]``, dimension n^2. U(1) has quadrature and irreducible representations.

    Lie algebra: the basis of su(n), then i sqrt(2/n) I (for n = 1: i).
    """

    n: int = 1

    @property
    def order(self) -> float:
        return math.inf

    @property
    def dim(self) -> int:
        return self.n**2

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        return self._defect(a) <= tolerance

    def _lie_basis(self, device: torch.device) -> Tensor:
        length = math.sqrt(2 / self.n) if self.n > 1 else 1.0  # U(1): coordinates are radians
        scalar = 1j * length * torch.eye(self.n, dtype=torch.complex128, device=device)
        return torch.cat([super()._lie_basis(device), scalar[None]])

    def _sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        return self._haar(shape, generator, dtype, device)

    def _quadrature(self, bandlimit: int, dtype: torch.dtype, device: torch.device) -> Quadrature:
        if self.n != 1:
            raise self._unsupported("an exact quadrature rule (n = 1 has one)", "sample(n)")
        angles, weights = _quadrature.circle(bandlimit)
        elements = torch.polar(torch.ones_like(angles), angles)[:, None, None]
        return Quadrature(elements.to(device, dtype.to_complex()), weights.to(device, dtype.to_real()), bandlimit)

    def _irreps(self, cutoff: int) -> tuple[Irrep, ...]:
        if self.n != 1:
            raise self._unsupported("a list of irreducible representations (n = 1 has one)", "Unitary(1)")
        return tuple(circle_irrep(k, lambda g: g[..., 0, 0].angle()) for k in range(cutoff + 1))


@dataclass(frozen=True, eq=False, repr=False)
class SpecialUnitary(_ComplexMatrices):
    """SU(n), complex ``[..., n, n]`` of determinant one, dimension n^2 - 1; SU(2) is the sphere in R^4."""

    n: int

    @property
    def order(self) -> int | float:
        return 1 if self.n == 1 else math.inf

    @property
    def dim(self) -> int:
        return self.n**2 - 1

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        return (self._defect(a) <= tolerance) & ((torch.linalg.det(a) - 1).abs() <= 2 * self.n * tolerance)

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.ones(1, 1, 1, dtype=dtype.to_complex(), device=device)

    def _sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """Haar on U(n) with the first column divided by the determinant."""
        q = self._haar(shape, generator, dtype, device)
        phase = torch.linalg.det(q).conj()[..., None, None]
        return torch.cat([q[..., :1] * phase, q[..., 1:]], -1)
