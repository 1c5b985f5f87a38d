"""Scales tied by a group: matrices that commute with its action."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor

from ...groups import AffineAction, LinearAction
from .. import _structure
from .._closure import Closure
from ._scale import Scale


@dataclass(frozen=True, eq=False, repr=False)
class Tied(Scale):
    r"""C symmetric positive definite with :math:`CA_g = A_gC` for all g: :math:`C = \exp(\sum_k b_kB_k)`.

    The B_k are an orthonormal basis of the symmetric matrices that commute with the action (its
    ``symmetric_square_fixed_subspace``); ``scale [*batch, k]`` = b is free. Exchangeable coordinates, for instance,
    leave two numbers: one variance, one covariance. The action then moves the location only. O(d^3) an evaluation.

    Args:
        action: A `LinearAction` whose linear parts are orthogonal.

    Raises:
        TypeError: Not a linear action.
        ValueError: Its linear parts are not known, or not orthogonal.

    >>> from pyro_symvi.groups import CoordinatePermutation
    >>> Tied(CoordinatePermutation(5)).size(5)
    2
    """

    action: LinearAction
    name: ClassVar[str] = "tied"

    def __post_init__(self) -> None:
        if not isinstance(self.action, LinearAction):
            raise TypeError(
                f"expected a linear action, got {self.action!r}, because the scale commutes with its matrices; try "
                "CoordinatePermutation(dim)"
            )

    def resolve(self, dim: int) -> Self:
        """The action bound to the dimension, and checked."""
        action = self.action
        if isinstance(action, AffineAction) and action.dim is None and action.resolve_coordinates(dim) is not None:
            matrices = _structure.linear_parts(action, dim)
            if matrices is not None:
                action = action.bind(dim, center=torch.zeros(dim, dtype=torch.float64))
        else:
            matrices = _structure.linear_parts(action, dim)
        if action.dim != dim or matrices is None or not _structure.are_orthogonal(matrices):
            raise ValueError(
                f"expected an action on R^{dim} by orthogonal matrices, got {self.action!r}, because a symmetric scale "
                "can commute with such matrices only; try a permutation, a sign flip or a rotation"
            )
        return type(self)(action)

    @cached_property
    def basis(self) -> Tensor:
        """Orthonormal ``[k, d, d]``, float64."""
        found = self.action.symmetric_square_fixed_subspace()
        flat = torch.linalg.qr(found.flatten(1).mT).Q.mT
        return flat.reshape(found.shape)

    def _generator(self, scale: Tensor) -> Tensor:
        return torch.einsum("...k,kij->...ij", scale, self.basis.to(scale))

    def _coefficients(self, symmetric: Tensor) -> Tensor:
        return torch.einsum("kij,...ij->...k", self.basis.to(symmetric), symmetric)

    def size(self, dim: int) -> int:
        """Dimension of the commuting symmetric matrices."""
        return len(self.basis)

    def initial(self, dim: int, value: float, like: Tensor) -> Tensor:
        """Coefficients of log(value) I."""
        eye = torch.eye(dim, dtype=torch.float64)
        return (torch.tensor(value, dtype=torch.float64).log() * self._coefficients(eye)).to(like)

    def around(self, reference: Tensor, vector: Tensor) -> Tensor:
        """B + v."""
        return reference + vector

    def complaint(self, scale: Tensor) -> str | None:
        """Nothing: every b will do."""
        return None

    def apply(self, scale: Tensor, noise: Tensor) -> Tensor:
        """C noise."""
        return (self.matrix(scale, noise.shape[-1]) @ noise[..., None])[..., 0]

    def solve(self, scale: Tensor, x: Tensor) -> Tensor:
        """C at -b, times x."""
        return self.apply(-scale, x)

    def log_det(self, scale: Tensor, dim: int) -> Tensor:
        """The trace of the exponent."""
        return scale @ self.basis.diagonal(dim1=-2, dim2=-1).sum(-1).to(scale)

    def matrix(self, scale: Tensor, dim: int) -> Tensor:
        """The matrix exponential."""
        return torch.linalg.matrix_exp(self._generator(scale))

    def from_root(self, root: Tensor) -> Tensor:
        """From the group average of the precision."""
        return -self._half_log(torch.cholesky_inverse(root))

    def from_covariance(self, covariance: Tensor) -> Tensor | None:
        """From the group average of the covariance."""
        return self._half_log(covariance)

    def _half_log(self, matrix: Tensor) -> Tensor:
        """Coefficients of half the logarithm of the group average: the projection on the commuting matrices."""
        averaged = torch.einsum("k,kij->ij", self._coefficients(matrix), self.basis.to(matrix))
        values, vectors = torch.linalg.eigh(averaged)
        return self._coefficients(vectors @ torch.diag(values.log() / 2) @ vectors.mT)

    def closure(self, matrices: Tensor | None, spherical: bool) -> Closure:
        """Multiples of orthogonal matrices under which the commuting matrices are carried into one another."""
        if matrices is None or not _structure.are_conformal(matrices):
            return Closure(False, "its linear parts stretch unevenly: A C need not commute with the tying group")
        if not spherical and not _structure.are_monomial(matrices):
            return Closure(False, "a product law is no product in rotated coordinates")
        stretches = not _structure.are_orthogonal(matrices)
        unit = matrices / _stretch(matrices)[:, None, None]
        moved = unit[:, None] @ self.basis @ unit[:, None].mT
        back = torch.einsum("gkl,lij->gkij", self._coefficients(moved), self.basis)
        if float((moved - back).abs().max()) > 1e-12:
            return Closure(False, "it does not normalise the group that ties the scale")
        still = not stretches and float((moved - self.basis).abs().max()) <= 1e-12
        return Closure(True, "A C A^T commutes with the tying group, and the base law is invariant", not still)

    def image(self, scale: Tensor, matrix: Tensor) -> Tensor:
        """Coefficients of O log(C) O^T + log(c) I, for A = c O."""
        stretch = _stretch(matrix)
        unit = matrix / stretch[..., None, None]
        eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
        return self._coefficients(unit @ self._generator(scale) @ unit.mT + stretch.log()[..., None, None] * eye)


def _stretch(matrix: Tensor) -> Tensor:
    """The factor c of c O, ``[*batch]``."""
    return (torch.linalg.slogdet(matrix).logabsdet / matrix.shape[-1]).exp()
