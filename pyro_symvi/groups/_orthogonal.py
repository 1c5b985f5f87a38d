"""The orthogonal group O(n)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from . import _quadrature
from ._group import Group, Quadrature
from ._irreps import Irrep
from ._wigner import wigner_d


def haar_orthogonal(
    n: int, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Haar draws from O(n), ``[*shape, n, n]``: the Q of a Gaussian matrix, its columns times sign(diag R).

    Without the signs the law depends on LAPACK's convention and is not Haar. Source: Mezzadri, How to generate
    random matrices from the classical compact groups, Notices AMS 54 (2007), 592-604.
    """
    gaussian = torch.randn(*shape, n, n, generator=generator, dtype=dtype, device=device)
    q, r = torch.linalg.qr(gaussian)
    signs = torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(dtype)
    return q * signs[..., None, :]


def plane_basis(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Basis of so(n): for i < j in lexicographic order the matrix E_ji - E_ij, turning e_i to e_j."""
    i, j = torch.triu_indices(n, n, offset=1, device=device)
    basis = torch.zeros(len(i), n, n, dtype=dtype, device=device)
    index = torch.arange(len(i), device=device)
    basis[index, j, i] = 1
    basis[index, i, j] = -1
    return basis


def plane_rotations(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Rotations by one radian in the planes (i, i+1), ``[n - 1, n, n]``.

    One radian is no rational multiple of pi, so the powers of each are dense in the rotations of its plane, and
    those n - 1 circles generate SO(n): the set generates SO(n) topologically.
    """
    rotations = torch.eye(n, dtype=dtype, device=device).repeat(n - 1, 1, 1)
    index = torch.arange(n - 1, device=device)
    cosine, sine = math.cos(1.0), math.sin(1.0)
    rotations[index, index, index] = cosine
    rotations[index, index + 1, index + 1] = cosine
    rotations[index, index + 1, index] = sine
    rotations[index, index, index + 1] = -sine
    return rotations


@dataclass(frozen=True, eq=False, repr=False)
class Orthogonal(Group):
    """O(n) = {Q : Q^T Q = I}; elements are matrices ``[..., n, n]``.

    Compact, two components, dimension n(n-1)/2. O(1) = {+1, -1} is finite. Generators: rotations by one radian in
    the planes (i, i+1) and the reflection of the first axis (a topologically generating set). Lie algebra basis:
    E_ji - E_ij for i < j; ``exp`` is the matrix exponential. Quadrature and irreducible representations for n = 2, 3:

    - n = 3, label (l, sigma): D^l on rotations, times sigma (-1)^l for the inversion. Tensors made of vectors have
      sigma = +1 (a vector is (1, 1)), pseudotensors sigma = -1.
    - n = 2, label (k, sign): (0, 1) trivial, (0, -1) the determinant, (k, 1) of dimension two.
    """

    n: int

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.n, self.n)

    @property
    def order(self) -> int | float:
        return 2 if self.n == 1 else math.inf

    @property
    def dim(self) -> int:
        return self.n * (self.n - 1) // 2

    @property
    def is_compact(self) -> bool:
        return True

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.eye(self.n, dtype=dtype, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b

    def _inverse(self, a: Tensor) -> Tensor:
        return a.mT.contiguous()

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        defect = a.mT @ a - torch.eye(self.n, dtype=a.dtype, device=a.device)
        return defect.abs().amax((-2, -1)) <= tolerance

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.tensor([[[1.0]], [[-1.0]]], dtype=dtype, device=device)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        reflection = torch.eye(self.n, dtype=dtype, device=device)
        reflection[0, 0] = -1
        return torch.cat([plane_rotations(self.n, dtype, device), reflection[None]])

    def _sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        return haar_orthogonal(self.n, shape, generator, dtype, device)

    def _exp(self, coordinates: Tensor) -> Tensor:
        if self.dim == 0:
            return torch.ones(*coordinates.shape[:-1], 1, 1, dtype=coordinates.dtype, device=coordinates.device)
        basis = plane_basis(self.n, coordinates.dtype, coordinates.device)
        return torch.linalg.matrix_exp(torch.tensordot(coordinates, basis, dims=1))

    def _quadrature(self, bandlimit: int, dtype: torch.dtype, device: torch.device) -> Quadrature:
        if self.n not in (2, 3):
            raise self._unsupported("an exact quadrature rule (n = 2 and n = 3 have one)", "sample(n), Haar draws")
        if self.n == 2:
            angles, weights = _quadrature.circle(bandlimit)
            proper = _quadrature.plane_rotation(angles)[:, :2, :2]
        else:
            proper, weights = _quadrature.rotations(bandlimit)
        mirror = -torch.eye(3, dtype=proper.dtype) if self.n == 3 else torch.diag(proper.new_tensor([1.0, -1.0]))
        elements = torch.cat([proper, proper @ mirror]).to(dtype=dtype, device=device)
        return Quadrature(elements, torch.cat([weights, weights]).to(dtype=dtype, device=device) / 2, bandlimit)

    def _irreps(self, cutoff: int) -> tuple[Irrep, ...]:
        if self.n == 3:
            labels = [(degree, sigma) for degree in range(cutoff + 1) for sigma in (1, -1)]
            return tuple(Irrep(label, 2 * label[0] + 1, "real", _tensor_matrix(*label)) for label in labels)
        if self.n == 2:
            flat = [Irrep((0, 1), 1, "real", _sign_matrix(1)), Irrep((0, -1), 1, "real", _sign_matrix(-1))]
            return (*flat, *(Irrep((k, 1), 2, "real", _plane_matrix(k)) for k in range(1, cutoff + 1)))
        raise self._unsupported("a list of irreducible representations (n = 2 and n = 3 have one)", "n <= 3")


def _tensor_matrix(degree: int, sigma: int) -> Callable[[Tensor], Tensor]:
    def evaluate(g: Tensor) -> Tensor:
        sign = torch.linalg.det(g).sign()[..., None, None]
        # wigner_d is homogeneous of its degree: it carries (-1)^degree for the inversion
        return wigner_d(degree, g) * (sign if sigma < 0 else torch.ones_like(sign))

    return evaluate


def _sign_matrix(sign: int) -> Callable[[Tensor], Tensor]:
    def evaluate(g: Tensor) -> Tensor:
        determinant = torch.linalg.det(g).sign()[..., None, None]
        return determinant if sign < 0 else torch.ones_like(determinant)

    return evaluate


def _plane_matrix(k: int) -> Callable[[Tensor], Tensor]:
    def evaluate(g: Tensor) -> Tensor:
        sign = torch.linalg.det(g).sign()
        angle = k * torch.atan2(g[..., 1, 0], g[..., 0, 0])
        c, s = angle.cos(), angle.sin()
        return torch.stack([c, -s * sign, s, c * sign], -1).reshape(*angle.shape, 2, 2)

    return evaluate
