"""The angle of a power spherical law to its direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pyro_symvi.special import digamma_difference

from ._angle import AngleLaw


@dataclass(frozen=True)
class PowerSphericalAngle(AngleLaw):
    r""":math:`f \propto (1+\cos\theta)^\kappa\sin^{d-2}\theta`; cos^2(theta/2) is Beta((d-1)/2 + kappa, (d-1)/2)."""

    name: ClassVar[str] = "power spherical"

    def draw(self, kappa: Tensor) -> Tensor:
        """tan^2(theta/2) = G/G' with gammas of shapes (d - 1)/2 and (d - 1)/2 + kappa."""
        m = (self.dim - 1) / 2
        first, second = torch._standard_gamma(torch.stack([torch.full_like(kappa, m), kappa + m]))
        return torch.where(kappa >= 0, 2 * (first / second).sqrt().atan(), torch.nan)

    def log_gain(self, s: Tensor, theta: Tensor, kappa: Tensor) -> Tensor:
        """2 kappa log(cos(s/2) / cos(theta/2)), by the product formula where that ratio is near 1."""
        change = 2 * ((s + theta) / 4).sin() * ((theta - s) / 4).sin() / (theta / 2).cos()
        return 2 * kappa * torch.log1p(change)

    def constant(self, kappa: Tensor) -> Tensor:
        """Minus the mean of log((1 + cos theta) / 2)."""
        m = (self.dim - 1) / 2
        return digamma_difference(kappa + m, torch.full_like(kappa, m))

    def score(self, s: Tensor, kappa: Tensor, constant: Tensor) -> Tensor:
        """Log of cos^2(s/2), less its mean."""
        return torch.log1p(-(s / 2).sin().square()) + constant

    def mode(self, kappa: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine c = kappa / (kappa + d - 2), with precision (2 kappa + d - 2) / (1 + c) (kappa / 2 on the circle)."""
        m = self.dim - 2
        cosine = kappa / (kappa + m) if m else torch.ones_like(kappa)
        return cosine, ((2 * kappa + m) if m else kappa) / (1 + cosine)
