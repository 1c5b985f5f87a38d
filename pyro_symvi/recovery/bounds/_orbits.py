r"""Points, their mirror images and the residual :math:`r(z) = \log p(gz) - \log p(z)` between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...density import LogDensity
from ...density._importance import RELIABLE, WeightedDraws, pareto_k

ROUNDING = 64 * 2.0**-52
"""A residual is known to this share of ``|log p(z)| + |log p(gz)|``."""


@dataclass(frozen=True)
class Mirrored:
    """Points with their images under ``z_J -> 2 c_J - z_J``.

    Attributes:
        z: ``[n, d]``.
        image: ``[n, d]``.
        log_p: Log density at z, ``[n]``.
        log_image: At the image; minus infinity where it is undefined.
        undefined: Where it is undefined (nan or plus infinity), ``[n]``.
    """

    z: torch.Tensor
    image: torch.Tensor
    log_p: torch.Tensor
    log_image: torch.Tensor
    undefined: torch.Tensor

    @property
    def residual(self) -> torch.Tensor:
        """R, zero where the density vanishes at both ends, ``[n]``."""
        nowhere = (self.log_image == -torch.inf) & (self.log_p == -torch.inf)
        return torch.where(nowhere, 0.0, self.log_image - self.log_p)

    @property
    def rounding(self) -> torch.Tensor:
        """Bound on the rounding error of r, ``[n]``."""
        return (ROUNDING * (self.log_p.abs() + self.log_image.abs())).nan_to_num(posinf=0.0)


def reflected(z: torch.Tensor, center: torch.Tensor, coordinates: Sequence[int]) -> torch.Tensor:
    """``2 c_J - z_J`` in the coordinates J, the others kept; ``center`` is ``[d]``, or ``[n, d]`` for ``c(y)``."""
    index = torch.tensor(tuple(coordinates))
    image = z.clone()
    image[..., index] = (2 * center - z)[..., index]
    return image


def mirrored(
    density: LogDensity,
    z: torch.Tensor,
    center: torch.Tensor,
    coordinates: Sequence[int],
    log_p: torch.Tensor | None = None,
) -> Mirrored:
    """Evaluate a density at the images of points ``[n, d]`` (and at the points, where ``log_p`` is not given)."""
    image = reflected(z, center, coordinates)
    here = density(z).detach() if log_p is None else log_p
    log_image = density(image).detach()
    undefined = torch.isnan(log_image) | (log_image == torch.inf)
    return Mirrored(z, image, here, torch.where(undefined, -torch.inf, log_image), undefined)


def orbit_weights(draws: WeightedDraws, points: Mirrored) -> tuple[torch.Tensor, float]:
    r"""Log weights ``[n]`` for even functions, :math:`\log\frac{p(z)+p(gz)}{q(z)+q(gz)}`, and their Pareto k-hat.

    Right also where the proposal is not symmetric. Where they are unreliable and p/q is not, p/q takes their place:
    both estimate the same expectations of even functions.
    """
    proposal = torch.logaddexp(draws.log_proposal(points.z), draws.log_proposal(points.image))
    log_w = torch.logaddexp(points.log_p, points.log_image) - proposal
    k = pareto_k(log_w)
    if k >= RELIABLE > draws.k:
        return draws.log_weights, draws.k
    return log_w, k


def normalised(log_weights: torch.Tensor) -> torch.Tensor:
    """Weights ``[n]`` that sum to one; zeros where all are zero."""
    return log_weights.softmax(0) if bool(torch.isfinite(log_weights).any()) else torch.zeros_like(log_weights)


def weighted_mean(weights: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Self-normalised mean of ``values[n, ...]`` and its standard error by the delta method."""
    flat = values.reshape(len(values), -1)
    mean = weights @ flat
    se = (weights.square() @ (flat - mean).square()).sqrt()
    return mean.reshape(values.shape[1:]), se.reshape(values.shape[1:])
