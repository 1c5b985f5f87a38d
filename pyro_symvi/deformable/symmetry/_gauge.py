"""What the losses leave free: maps of the frame that commute with the group."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._value import positive_int
from ...groups import SpecialOrthogonal
from ...groups._fixed_spaces import fixed_vectors
from ._frame_symmetry import FrameSymmetry


def commuting_maps(symmetry: FrameSymmetry) -> Tensor:
    """Basis ``[k, D, D]`` of the matrices A with A R_g = R_g A for all g, float64.

    Orthonormal in the Frobenius product: the fixed vectors of A -> R_g A R_g^T, so that k is the mean of (trace R_g)^2
    over the group. A sign flip of the first coordinate: 1 + (D - 1)^2. Turns of a plane in space by n >= 3 equal parts:
    3, the complex numbers on the plane and the real ones on the axis. Works with matrices of D^2 x D^2, so is meant
    for small D.
    """
    matrices = symmetry.frame_matrices()
    squares = torch.stack([torch.kron(matrix, matrix) for matrix in matrices])
    basis = fixed_vectors(squares)
    return basis.mT.reshape(-1, symmetry.dim, symmetry.dim)


def random_gauge(symmetry: FrameSymmetry, *, generator: torch.Generator | None = None) -> Tensor:
    """An orthogonal Q with Q R_g = R_g Q for all g, from Haar measure on the group of all these: ``[D, D]``, float64.

    Phi and Q Phi have the same losses under the symmetry: it fixes a frame up to such a Q (for a reflection of space:
    the side that counts as left, and a turn or reflection of the other two coordinates). Drawn as the orthogonal factor
    of the polar decomposition of mean_g R_g Z R_g^T, Z standard normal. The maps that commute with orthogonal matrices
    are closed under products and transposes, hence hold A (A^T A)^(-1/2) with A; and the law of A is unchanged by a
    multiplication with any such Q.
    """
    normal = torch.randn(symmetry.dim, symmetry.dim, generator=generator, dtype=torch.float64)
    matrices = symmetry.frame_matrices()
    left, _, right = torch.linalg.svd((matrices @ normal @ matrices.mT).mean(0))
    return left @ right


def random_rotation(dim: int, *, generator: torch.Generator | None = None) -> Tensor:
    """A rotation of R^dim from Haar measure, ``[dim, dim]``, float64. In general it commutes with no symmetry."""
    return SpecialOrthogonal(positive_int(dim, "dim")).sample(1, generator=generator)[0]
