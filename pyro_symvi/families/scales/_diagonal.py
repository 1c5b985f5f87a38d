"""One scale for all coordinates, or one for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor

from .. import _structure
from .._closure import Closure
from ._scale import Scale

_POSITIVE = "positive"


@dataclass(frozen=True, eq=False, repr=False)
class Isotropic(Scale):
    """C = s I; ``scale [*batch]``, s > 0."""

    name: ClassVar[str] = "isotropic"
    mixes: ClassVar[bool] = False

    def size(self, dim: int) -> int:
        """1."""
        return 1

    def initial(self, dim: int, value: float, like: Tensor) -> Tensor:
        """The number itself."""
        return like.new_full((), value)

    def around(self, reference: Tensor, vector: Tensor) -> Tensor:
        """S exp(v)."""
        return reference * vector[0].exp()

    def complaint(self, scale: Tensor) -> str | None:
        """Positive."""
        return None if bool((scale > 0).all()) else _POSITIVE

    def apply(self, scale: Tensor, noise: Tensor) -> Tensor:
        """S noise."""
        return noise * scale[..., None]

    def solve(self, scale: Tensor, x: Tensor) -> Tensor:
        """X / s."""
        return x / scale[..., None]

    def log_det(self, scale: Tensor, dim: int) -> Tensor:
        """D log s."""
        return dim * scale.log()

    def matrix(self, scale: Tensor, dim: int) -> Tensor:
        """S I."""
        return scale[..., None, None] * torch.eye(dim, dtype=scale.dtype, device=scale.device)

    def transform(self, loc: Tensor, scale: Tensor) -> dist.transforms.Transform:
        """An affine transform with one log s a coordinate."""
        return dist.transforms.AffineTransform(loc, scale[..., None].expand(loc.shape), event_dim=1)

    def from_root(self, root: Tensor) -> Tensor:
        """From the mean precision."""
        return torch.cholesky_inverse(root).diagonal().mean().rsqrt()

    def from_covariance(self, covariance: Tensor) -> Tensor | None:
        """From the mean variance."""
        return covariance.diagonal().mean().sqrt()

    def closure(self, matrices: Tensor | None, spherical: bool) -> Closure:
        """Multiples of orthogonal matrices (of signed permutations for a product)."""
        if matrices is None or not _structure.are_conformal(matrices):
            return Closure(False, "its linear parts are no multiples of orthogonal matrices, so s I changes shape")
        if not spherical and not _structure.are_monomial(matrices):
            return Closure(False, "a product law is no product in rotated coordinates")
        same = _structure.are_orthogonal(matrices)
        return Closure(True, "its linear parts keep s I up to a factor and the base law as it is", moves_scale=not same)

    def image(self, scale: Tensor, matrix: Tensor) -> Tensor:
        """S |det A|^(1/d)."""
        return scale * (torch.linalg.slogdet(matrix).logabsdet / matrix.shape[-1]).exp()


@dataclass(frozen=True, eq=False, repr=False)
class Diagonal(Scale):
    """C = diag(s); ``scale [*batch, d]``, s > 0: mean field."""

    name: ClassVar[str] = "diagonal"
    mixes: ClassVar[bool] = False

    def size(self, dim: int) -> int:
        """D."""
        return dim

    def initial(self, dim: int, value: float, like: Tensor) -> Tensor:
        """The number d times."""
        return like.new_full((dim,), value)

    def around(self, reference: Tensor, vector: Tensor) -> Tensor:
        """S exp(v)."""
        return reference * vector.exp()

    def complaint(self, scale: Tensor) -> str | None:
        """Positive."""
        return None if bool((scale > 0).all()) else _POSITIVE

    def apply(self, scale: Tensor, noise: Tensor) -> Tensor:
        """S noise."""
        return noise * scale

    def solve(self, scale: Tensor, x: Tensor) -> Tensor:
        """X / s."""
        return x / scale

    def log_det(self, scale: Tensor, dim: int) -> Tensor:
        """The sum of log s."""
        return scale.log().sum(-1)

    def matrix(self, scale: Tensor, dim: int) -> Tensor:
        """diag(s)."""
        return torch.diag_embed(scale)

    def transform(self, loc: Tensor, scale: Tensor) -> dist.transforms.Transform:
        """An affine transform."""
        return dist.transforms.AffineTransform(loc, scale, event_dim=1)

    def from_root(self, root: Tensor) -> Tensor:
        """From the diagonal of the precision."""
        return torch.cholesky_inverse(root).diagonal().rsqrt()

    def from_covariance(self, covariance: Tensor) -> Tensor | None:
        """From the variances."""
        return covariance.diagonal().sqrt()

    def closure(self, matrices: Tensor | None, spherical: bool) -> Closure:
        """Permutations times diagonal matrices."""
        if matrices is None or not _structure.are_monomial(matrices):
            return Closure(False, "its linear parts mix coordinates, so a diagonal scale does not stay diagonal")
        still = _structure.are_sign_flips(matrices)
        return Closure(True, "its linear parts permute, flip or rescale coordinates", moves_scale=not still)

    def image(self, scale: Tensor, matrix: Tensor) -> Tensor:
        """|A| s."""
        return (_structure.without_rounding(matrix).abs() @ scale[..., None])[..., 0]
