"""Priors of clouds: normal laws that no rotation changes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import Value
from ._context import Batched, Context


class Prior(Value, ABC):
    """A centred normal law x_0 ~ N(0, Sigma) on points ``[*batch, *event_shape]``, the same in each direction of space.

    All that diffusion needs of it is functions of its covariance, ``apply(f, x)`` = f(Sigma) x: the square root draws
    from it, 1 / (alpha^2 Sigma + gamma^2) is a score. To implement one, write ``_apply`` and
    ``_spread``.
    """

    def apply(self, function: Callable[[Tensor], Tensor], x: Tensor, context: Context | None = None) -> Tensor:
        """f(Sigma) x, shape of x. ``function`` is given eigenvalues ``[*batch, 1, ...]`` that broadcast against x's
        batch dimensions, followed by ones for each dimension of an event but the first."""
        return self._apply(function, x, context)

    def spread(self, context: Context | None = None) -> float:
        """Root mean square of a coordinate of x_0, padding and centre left out; over all graphs of the context."""
        return self._spread(context)

    @abstractmethod
    def _spread(self, context: Context | None) -> float: ...

    @abstractmethod
    def _apply(self, function: Callable[[Tensor], Tensor], x: Tensor, context: Context | None) -> Tensor: ...


@dataclass(frozen=True, eq=False, repr=False)
class GaussianPrior(Prior):
    """Sigma = scale^2: independent points.

    Args:
        scale: standard deviation of each coordinate, in units of the data.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        _check_positive(self.scale, "scale")

    def _spread(self, context: Context | None) -> float:
        return float(self.scale)

    def _apply(self, function: Callable[[Tensor], Tensor], x: Tensor, context: Context | None) -> Tensor:
        return function(x.new_tensor(self.scale**2)) * x


@dataclass(frozen=True, eq=False, repr=False)
class HarmonicPrior(Prior):
    """Bonded points start near one another: p(x) ~ exp(-stiffness/2 sum over edges of |x_i - x_j|^2).

    Sigma is the pseudo-inverse of stiffness times the Laplacian of the graph of ``context.edges``, on centred
    clouds. Its score is horizontal; the velocity of a path that starts from it is not (points are correlated).

    Args:
        stiffness: in 1 / units of the data squared; 1 / stiffness is the variance of a coordinate of a bond in a tree.

    Raises:
        ValueError: without edges, or where the bonds do not join all points of a cloud.

    Source: Jing et al., EigenFold, arXiv 2304.02198, section 3.1.
    """

    stiffness: float = 1.0

    def __post_init__(self) -> None:
        _check_positive(self.stiffness, "stiffness")

    def spectrum(self, context: Context | None, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
        """Eigenvalues of Sigma ``[*batch, N]``, eigenvectors ``[*batch, N, N]``; the centre and padding, of which
        there is nothing in a cloud, have the least of them, so that no bound depends on the unit of length."""
        if context is None or context.edges is None:
            raise ValueError(
                "expected a context with edges, because the harmonic prior lives on a graph; "
                "try Context(edges=...) or GaussianPrior()"
            )
        bonds = (context.edges != 0).double()
        if context.mask is not None:
            bonds = bonds * (context.mask[..., :, None] & context.mask[..., None, :])
        bonds = bonds * (1 - torch.eye(bonds.shape[-1], dtype=bonds.dtype, device=bonds.device))
        laplacian = torch.diag_embed(bonds.sum(-1)) - bonds
        values, vectors = torch.linalg.eigh(laplacian)
        mask = torch.ones_like(values, dtype=torch.bool) if context.mask is None else context.mask
        kept = values > 1e-9 * values[..., -1:].clamp(min=1.0)
        if not torch.equal(kept.sum(-1), mask.sum(-1) - 1):
            raise ValueError(
                "expected a connected graph on the points of each cloud, because separate pieces have no joint "
                "harmonic prior; try to drop such clouds, or GaussianPrior()"
            )
        top = values[..., -1:]
        variances = 1 / (self.stiffness * torch.where(kept, values, torch.where(top > 0, top, 1.0)))
        return variances.to(dtype), vectors.to(dtype)

    def _spread(self, context: Context | None) -> float:
        variances, _ = self.spectrum(context)
        points = torch.full_like(variances[..., 0], variances.shape[-1])
        if context is not None and context.mask is not None:
            points = context.mask.sum(-1).to(variances)
        free = points - 1  # all others have the least value
        others = (variances.shape[-1] - free) * variances.amin(-1)
        return float(((variances.sum(-1) - others).sum() / free.sum()).sqrt())

    def _apply(self, function: Callable[[Tensor], Tensor], x: Tensor, context: Context | None) -> Tensor:
        key = Batched(("harmonic", self.stiffness, x.dtype))
        values, vectors = (
            self.spectrum(None) if context is None else context.remember(key, lambda: self.spectrum(context, x.dtype))
        )
        return vectors @ (function(values[..., None]) * (vectors.mT @ x))


def _check_positive(value: float, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"expected {name} to be a finite number > 0, got {value!r}")
