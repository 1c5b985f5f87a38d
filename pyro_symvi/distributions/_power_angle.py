"""The angle of a power spherical law to its direction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pyro_symvi.special import digamma_difference, log_gamma_ratio

from ._angle import AngleLaw, Pair, versines
from ._cosine import LogCoversine, OfCosine
from ._rules import drop_length, integrated
from ._three_dimensions import power_pull

_REGULAR = 6
"""From this dimension on, the density of the angle is smooth enough at pi whatever the concentration."""


@dataclass(frozen=True)
class PowerSphericalAngle(AngleLaw):
    r""":math:`f \propto (1+\cos\theta)^\kappa\sin^{d-2}\theta`, so T = log((1 + cos theta)/2).

    (1 + cos theta)/2 is Beta((d-1)/2 + kappa, (d-1)/2).
    """

    name: ClassVar[str] = "power spherical"
    of_cosine: ClassVar[type[OfCosine]] = LogCoversine

    def draw(self, kappa: Tensor, shape: torch.Size) -> Pair:
        """Three dimensions: the inverse distribution function u^(1/(1 + kappa)). Else tan^2(theta/2) = G/G', gammas."""
        if self.dim == 3:
            log = torch.rand(shape, dtype=kappa.dtype, device=kappa.device).log_().div_(1 + kappa)
            return log.expm1().mul_(-2), log.exp_().mul_(2)
        m = (self.dim - 1) / 2
        kappa = kappa.expand(shape)
        first, second = torch._standard_gamma(torch.stack([torch.full_like(kappa, m), kappa + m]))
        scale = torch.where(kappa >= 0, 2.0, torch.nan) / (first + second)
        return scale * first, scale * second

    def statistic(self, versine: Tensor, coversine: Tensor) -> Tensor:
        """Log of cos^2(theta/2)."""
        return torch.where(versine < 1, torch.log1p(-versine.clamp(max=1) / 2), torch.log(coversine / 2))

    def inverse_statistic(self, value: Tensor) -> Pair:
        """From g = 2 e^T."""
        return -2 * torch.expm1(value), 2 * torch.exp(value)

    def constant(self, kappa: Tensor) -> Tensor:
        """Minus the mean of log((1 + cos theta) / 2)."""
        if self.dim == 3:
            return 1 / (1 + kappa)
        m = (self.dim - 1) / 2
        wide = kappa.double()
        return digamma_difference(wide + m, torch.full_like(wide, m)).to(kappa.dtype)

    def log_density_at_mode(self, kappa: Tensor) -> Tensor:
        """Equals log Gamma(kappa + 2 m) - log Gamma(kappa + m) - m log(4 pi), m = (d - 1)/2."""
        if self.dim == 3:
            return torch.log1p(kappa) - math.log(4 * math.pi)
        m = (self.dim - 1) / 2
        wide = kappa.double()
        log = log_gamma_ratio(wide + m, torch.full_like(wide, m)) - m * math.log(4 * math.pi)
        return log.to(kappa.dtype)

    def slope(self, theta: Tensor) -> Tensor:
        """Equals -tan(theta/2)."""
        return -(theta / 2).tan()

    def bends(self, theta: Tensor, kappa: Tensor) -> Pair:
        """Of kappa / (2 cos^2(s/2)) + (d - 2) / sin^2 s."""
        m = self.dim - 2
        return kappa / 2 + m, kappa / (1 + theta.cos()).clamp(min=1e-300) + m

    @property
    def interpolates(self) -> bool:
        """Not on the circle, where draws are found at log cos(theta/2) = -15."""
        return self.dim > 2

    def _quadrature(self, theta: Tensor, kappa: Tensor) -> Tensor:
        """In low dimensions, where f is singular at pi, the integral above theta is taken in T.

        With z = (1 + cos theta)/2 and z' = z e^-x it is that of (T - x - ET) e^(-a x) ((1 - z')/(1 - z))^((d-3)/2),
        a = kappa + (d-1)/2, which falls at the rate 2 a / (d - 1) or faster; the square root of x takes it away from
        the singularity at z' = 1.
        """
        q = super()._quadrature(theta, kappa)
        if self.dim >= _REGULAR:
            return q
        h, g = versines(theta)
        constant, a = self.constant(kappa), kappa + (self.dim - 1) / 2
        start = self.statistic(h, g) + constant
        length = drop_length(a * min(1.0, 2 / (self.dim - 1)) + torch.zeros_like(theta), torch.zeros_like(theta))

        def integrand(root: Tensor) -> Tensor:
            x = length * root.square()
            rise = torch.log1p(-g / h * torch.expm1(-x))
            return 2 * root * (start - x) * ((self.dim - 3) / 2 * rise - a * x).exp()

        above = -length * integrated(integrand, torch.zeros_like(theta), torch.ones_like(theta)) / h
        return torch.where(start > 0, q, above)

    def pull(self, versine: Tensor, coversine: Tensor, kappa: Tensor) -> Tensor:
        """In three dimensions in closed form."""
        if self.dim == 3:
            return power_pull(versine, coversine, kappa)
        return super().pull(versine, coversine, kappa)
