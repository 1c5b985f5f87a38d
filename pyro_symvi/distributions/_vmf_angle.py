"""The angle of a von Mises-Fisher law to its direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pyro_symvi.special import bessel_ratio_complement

from ._angle import AngleLaw


@dataclass(frozen=True)
class VonMisesFisherAngle(AngleLaw):
    r""":math:`f(\theta) \propto e^{\kappa\cos\theta}\sin^{d-2}\theta`."""

    name: ClassVar[str] = "von Mises-Fisher"

    def draw(self, kappa: Tensor) -> Tensor:
        """Three dimensions: the inverse distribution function. Else rejection, Wood (1994), acceptance above 0.65."""
        if self.dim == 3:
            return self._by_inversion(kappa)
        theta = kappa.new_empty(kappa.numel())
        flat = kappa.reshape(-1)
        pending = torch.arange(flat.numel(), device=flat.device)
        while pending.numel():
            proposal, accepted = self._propose(flat[pending])
            theta[pending[accepted]] = proposal[accepted]
            pending = pending[~accepted]
        return theta.reshape(kappa.shape)

    def _by_inversion(self, kappa: Tensor) -> Tensor:
        """1 - cos theta = -log(1 - u (1 - e^(-2 kappa))) / kappa."""
        u = torch.rand_like(kappa)
        positive = torch.where(kappa > 0, kappa, 1.0)
        versine = torch.where(kappa > 0, -torch.log1p(u * torch.expm1(-2 * positive)) / positive, 2 * u)
        return 2 * (versine / 2).clamp(max=1).sqrt().asin()

    def _propose(self, kappa: Tensor) -> tuple[Tensor, Tensor]:
        """A draw of the envelope, tan^2(theta/2) = b G/G' with two gammas of shape (d - 1)/2, and whether it stays.

        Accepted with log-probability kappa (w - x) + (d - 1) log((1 - x w) / (1 - x^2)), where w = cos theta and
        x = (1 - b) / (1 + b) maximises; all in 1 - w and 1 - x, which keep their digits at large kappa.
        """
        m = self.dim - 1
        b = m / (2 * kappa + torch.hypot(2 * kappa, kappa.new_tensor(float(m))))
        first, second = torch._standard_gamma(torch.full((2, *kappa.shape), m / 2).to(kappa))
        tangent2 = b * first / second
        gap, versine = 2 * b / (1 + b), 2 * tangent2 / (1 + tangent2)
        x = (1 - b) / (1 + b)
        log_accept = kappa * (gap - versine) + m * torch.log((gap + x * versine) * (1 + b) ** 2 / (4 * b))
        refused = -torch.empty_like(kappa).exponential_() > log_accept  # never for nan, which is passed on
        return 2 * tangent2.sqrt().atan(), ~refused

    def log_gain(self, s: Tensor, theta: Tensor, kappa: Tensor) -> Tensor:
        """Equals kappa (cos s - cos theta), by the product formula."""
        return 2 * kappa * ((s + theta) / 2).sin() * ((theta - s) / 2).sin()

    def constant(self, kappa: Tensor) -> Tensor:
        """1 - A."""
        return bessel_ratio_complement(self.dim, kappa)

    def score(self, s: Tensor, kappa: Tensor, constant: Tensor) -> Tensor:
        """Equals cos s - A = (1 - A) - 2 sin^2(s/2)."""
        return constant - 2 * (s / 2).sin().square()

    def mode(self, kappa: Tensor) -> tuple[Tensor, Tensor]:
        """The root of kappa (1 - c^2) = (d - 2) c; the precision is kappa (c + 1/c)."""
        m = self.dim - 2
        half = (m + torch.sqrt(m * m + 4 * kappa * kappa)) / 2
        cosine = kappa / torch.where(half > 0, half, 1.0)
        return cosine, kappa * cosine + half
