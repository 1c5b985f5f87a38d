"""The angle of a von Mises-Fisher law to its direction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pyro_symvi.special import bessel_ratio_complement, log_hyp0f1, log_sphere_area

from ._angle import AngleLaw, Pair
from ._cosine import MinusVersine, OfCosine
from ._three_dimensions import vmf_pull


@dataclass(frozen=True)
class VonMisesFisherAngle(AngleLaw):
    r""":math:`f(\theta) \propto e^{\kappa\cos\theta}\sin^{d-2}\theta`, so T = cos theta - 1 = -h."""

    name: ClassVar[str] = "von Mises-Fisher"
    of_cosine: ClassVar[type[OfCosine]] = MinusVersine

    def draw(self, kappa: Tensor, shape: torch.Size) -> Pair:
        """Three dimensions: the inverse distribution function. Else rejection, Wood (1994), acceptance above 0.65."""
        if self.dim == 3:
            return _by_inversion(kappa, shape)
        if kappa.numel() == 1:
            return self._stream(kappa.reshape(()), shape)
        flat = kappa.expand(shape).reshape(-1)
        versine, coversine = flat.new_empty(2, flat.numel())
        pending = torch.arange(flat.numel(), device=flat.device)
        while pending.numel():
            h, g, accepted = self._propose(flat[pending])
            chosen = pending[accepted]
            versine[chosen], coversine[chosen] = h[accepted], g[accepted]
            pending = pending[~accepted]
        return versine.view(shape), coversine.view(shape)

    def _stream(self, kappa: Tensor, shape: torch.Size) -> Pair:
        """The first draws accepted of a stream with one concentration, in blocks that suffice more often than not."""
        found: list[Tensor] = []
        missing = shape.numel()
        mode = self._envelope(kappa)[1].item()
        rate = 1 / math.sqrt(1 + mode * mode) if mode == mode else 1.0  # of acceptance, in high dimensions
        while missing > 0:
            count = math.ceil((missing + 3 * math.sqrt(missing)) / rate)
            h, g, accepted = self._propose(kappa.expand(count))
            chosen = accepted.nonzero()[:missing, 0]
            found.append(torch.stack([h, g]).index_select(1, chosen))
            missing -= len(chosen)
        versine, coversine = torch.cat(found, 1) if found else kappa.new_empty(2, 0)
        return versine.view(shape), coversine.view(shape)

    def _envelope(self, kappa: Tensor) -> tuple[Tensor, Tensor]:
        """b, and x = (1 - b) / (1 + b), the root of kappa (1 - x^2) = (d - 1) x."""
        m = self.dim - 1
        b = m / (2 * kappa + torch.hypot(2 * kappa, kappa.new_tensor(float(m))))
        return b, (1 - b) / (1 + b)

    def _propose(self, kappa: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A draw h, g of the envelope, tan^2(theta/2) = b (1 + t) / (1 - t), and whether it stays.

        t is a coordinate of a uniform point of the sphere of R^d, from the plane of two coordinates, where its radius
        is r^2 = 1 - U^(2/(d-2)). It stays with log-probability -(d - 1) (y/(1 - y) + log(1 - y)), y = x t.
        """
        b, x = self._envelope(kappa[:1] if kappa.stride(0) == 0 else kappa)
        t = torch.rand_like(kappa).mul_(2 * math.pi).cos_()
        if self.dim > 2:
            radius2 = torch.rand_like(kappa).log_().mul_(2 / (self.dim - 2)).expm1_().neg_()
            t.mul_(radius2.sqrt_())
        y = x * t
        rest = 1 - y
        log_accept = (y / rest).add_(torch.log(rest)).mul_(1 - self.dim)
        refused = torch.rand_like(kappa) > log_accept.exp_()  # never for nan, which is passed on
        scale = (1 + x) / rest
        return scale * b * (1 + t), scale * (1 - t), ~refused

    def statistic(self, versine: Tensor, coversine: Tensor) -> Tensor:
        """Equals -h."""
        return -versine

    def inverse_statistic(self, value: Tensor) -> Pair:
        """From h = -T."""
        return -value, 2 + value

    def constant(self, kappa: Tensor) -> Tensor:
        """1 - A."""
        return bessel_ratio_complement(self.dim, kappa)

    def log_density_at_mode(self, kappa: Tensor) -> Tensor:
        """Equals kappa - log Z."""
        return -log_hyp0f1(self.dim, kappa, scaled=True) - log_sphere_area(self.dim)

    def slope(self, theta: Tensor) -> Tensor:
        """Equals -sin theta."""
        return -theta.sin()

    def bends(self, theta: Tensor, kappa: Tensor) -> Pair:
        """Of kappa cos s + (d - 2) / sin^2 s: below an angle of at most pi/2, and less than that above."""
        m, cosine = self.dim - 2, theta.cos()
        below = kappa * cosine + (m / theta.sin().square() if m else 0)
        return below.clamp(min=0), kappa * (cosine - 0.5) + 0.7 * m

    def pull(self, versine: Tensor, coversine: Tensor, kappa: Tensor) -> Tensor:
        """In three dimensions in closed form."""
        if self.dim == 3:
            return vmf_pull(versine, coversine, kappa)
        return super().pull(versine, coversine, kappa)

    def mode(self, kappa: Tensor) -> tuple[Tensor, Tensor]:
        """The root c of kappa (1 - c^2) = (d - 2) c, cosine of the mode of f; the precision kappa (c + 1/c) there."""
        m = self.dim - 2
        half = (m + torch.sqrt(m * m + 4 * kappa * kappa)) / 2
        cosine = kappa / torch.where(half > 0, half, 1.0)
        return cosine, kappa * cosine + half


def _by_inversion(kappa: Tensor, shape: torch.Size) -> Pair:
    """From h = -log(1 - u (1 - e^(-2 kappa))) / kappa."""
    u = torch.rand(shape, dtype=kappa.dtype, device=kappa.device)
    positive = torch.where(kappa > 0, kappa, 1.0)
    versine = (u * torch.expm1(-2 * positive)).log1p_().div_(-positive)
    versine = torch.where(kappa == 0, 2 * u, versine).clamp_(max=2)
    return versine, 2 - versine
