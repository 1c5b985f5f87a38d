"""What an equivariance error holds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EquivarianceError:
    """The spread of z(g) = rho_out(g^-1) f(g x) over the group.

    Attributes:
        squared: A^2 = E|z|^2 - |E z|^2, summed over the components of one object that rho_out moves,
            ``[B, *copies]`` (copies: the axes of the output before those components, such as atoms).
        norm: E|z|^2, the same shape.
        mean: E z, the equivariant part of the output, ``[B, *rest]``.
        dimension: components of one object, d.
        weights: ``[B, *copies]``, 1 where an object counts.
        floor: the size of A that rounding alone produces.
        evaluations: group elements visited for each sample.
    """

    squared: Tensor
    norm: Tensor
    mean: Tensor
    dimension: int
    weights: Tensor
    floor: float
    evaluations: int

    @property
    def A(self) -> float:
        """Root of the mean of A^2 over samples and copies (the pooled error; not a mean of roots)."""
        return float(((self.weights * self.squared).sum() / self.weights.sum()).sqrt())

    @property
    def relative(self) -> float:
        """A by the root of the mean of E|z|^2: 0 for an equivariant model, at most 1."""
        whole = float((self.weights * self.norm).sum())
        return float(((self.weights * self.squared).sum() / whole).sqrt()) if whole > 0 else 0.0

    @property
    def v(self) -> Tensor:
        """Variance by component, A^2 / d, ``[B, *copies]``."""
        return self.squared / self.dimension

    @property
    def per_sample(self) -> Tensor:
        """A of each sample, pooled over copies, ``[B]``."""
        flat = (self.weights * self.squared).reshape(len(self.squared), -1).sum(1)
        return (flat / self.weights.reshape(len(flat), -1).sum(1)).sqrt()

    def quantiles(self, levels: tuple[float, ...] = (0.05, 0.5, 0.95, 1.0)) -> Tensor:
        """Quantiles over samples of :attr:`per_sample`, ``[len(levels)]``."""
        return torch.quantile(self.per_sample, torch.tensor(levels, dtype=torch.float64))

    @property
    def noise_floor(self) -> float:
        """The size of A that rounding alone produces; below it nothing is known."""
        return self.floor
