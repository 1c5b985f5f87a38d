"""Where shapes live: centred clouds, and coordinates on them."""

from __future__ import annotations

import math
from typing import Any

import torch
from pyro.distributions import constraints
from torch import Tensor
from torch.distributions import Transform, biject_to, transform_to

from ..._value import positive_int


class CentredClouds(constraints.Constraint):
    """Finite clouds ``[..., N, d]`` whose points sum to zero, padding at zero.

    The mean may differ from zero by rounding: at most 20 eps times the largest coordinate.

    ``biject_to`` of an unmasked instance is :class:`HelmertTransform`, so that Pyro's samplers and automatic guides
    work on the (N - 1) d coordinates of the centred subspace, with a Jacobian of one.

    Args:
        points: N, at least 2.
        mask: ``[*batch, N]`` bool, False for padding; None where every point is there.

    Raises:
        ValueError: for a mask of another number of points.
    """

    is_discrete = False
    event_dim = 2

    def __init__(self, points: int, mask: Tensor | None = None) -> None:
        self.points, self.mask = positive_int(points, "points", 2), mask
        if mask is not None and (not isinstance(mask, Tensor) or mask.shape[-1:] != (points,)):
            raise ValueError(f"expected mask [*batch, {points}], got {getattr(mask, 'shape', mask)}")
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        """Whether each cloud is finite and centred, ``[*batch]``."""
        if value.shape[-2] != self.points:
            return torch.zeros(value.shape[:-2], dtype=torch.bool, device=value.device)
        size = value.abs().amax((-2, -1))
        total = value.sum(-2).abs().amax(-1) / self.points
        good = value.isfinite().all(-1).all(-1) & (total <= 20 * torch.finfo(value.dtype).eps * size)
        if self.mask is not None:
            good = good & ((value == 0).all(-1) | self.mask).all(-1)
        return good

    def __repr__(self) -> str:
        return f"CentredClouds({self.points})"


class HelmertTransform(Transform):
    """Coordinates ``[..., N - 1, d]`` to centred clouds ``[..., N, d]`` by the Helmert basis, an isometry.

    Column k of the basis is (1, ..., 1, -k, 0, ..., 0) / sqrt(k (k + 1)) with k ones. Densities with respect to the
    (N - 1) d coordinates are densities with respect to Lebesgue measure on the centred subspace: the log Jacobian is
    zero. Source: Mardia and Jupp, Directional Statistics (2000), section 14.2.

    >>> HelmertTransform(3)(torch.tensor([[2.0 ** 0.5], [6.0 ** 0.5]])).flatten().round()
    tensor([ 2.,  0., -2.])
    """

    domain = constraints.independent(constraints.real, 2)
    bijective = True

    def __init__(self, points: int, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.points = points
        self.codomain = CentredClouds(points)

    def with_cache(self, cache_size: int = 1) -> HelmertTransform:
        """The same transform with another cache size."""
        return self if self._cache_size == cache_size else HelmertTransform(self.points, cache_size=cache_size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HelmertTransform) and other.points == self.points

    def __hash__(self) -> int:
        return hash((HelmertTransform, self.points))

    def _call(self, x: Tensor) -> Tensor:
        return helmert(self.points, x) @ x

    def _inverse(self, y: Tensor) -> Tensor:
        return helmert(self.points, y).mT @ y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Zero, ``[*batch]``."""
        return x.new_zeros(x.shape[:-2])

    def forward_shape(self, shape: Any) -> torch.Size:
        """``[..., N - 1, d]`` to ``[..., N, d]``."""
        return torch.Size([*shape[:-2], shape[-2] + 1, shape[-1]])

    def inverse_shape(self, shape: Any) -> torch.Size:
        """``[..., N, d]`` to ``[..., N - 1, d]``."""
        return torch.Size([*shape[:-2], shape[-2] - 1, shape[-1]])


def helmert(points: int, like: Tensor) -> Tensor:
    """The Helmert basis ``[N, N - 1]``: orthonormal columns that sum to zero, in the dtype and device of ``like``."""
    basis = torch.zeros(points, points - 1, dtype=torch.float64)
    for k in range(1, points):
        basis[:k, k - 1] = 1 / math.sqrt(k * (k + 1))
        basis[k, k - 1] = -k / math.sqrt(k * (k + 1))
    return basis.to(like)


@biject_to.register(CentredClouds)
@transform_to.register(CentredClouds)
def _coordinates(constraint: CentredClouds) -> HelmertTransform:
    if constraint.mask is not None and not bool(constraint.mask.all()):
        raise NotImplementedError(
            "expected clouds of equally many points, got a mask, because ragged clouds have no common coordinates; "
            "try pyro.poutine.reparam with NoiseReparam()"
        )
    return HelmertTransform(constraint.points)
