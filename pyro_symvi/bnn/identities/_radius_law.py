"""The prior law of what a rescaled unit realises: the product of the norms of its weights in and out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..._value import Value, positive_int
from ...groups._gig import log_bessel_k


@dataclass(frozen=True, eq=False, repr=False)
class RadiusLaw(Value):
    r"""Law of rho = |w| |v| for w ~ N(0, s_w^2 I_p), v ~ N(0, s_v^2 I_q); ``scale`` = s_w s_v.

    With r = rho / scale, a product of independent chi_p and chi_q:

        density of r = 2^{2 - (p+q)/2} / (Gamma(p/2) Gamma(q/2)) r^{(p+q)/2 - 1} K_{(p-q)/2}(r).

    (Integrate chi_p(x) chi_q(r/x) / x over x; t = x^2 gives the normaliser of a GIG law.) For q = 1 this is
    proportional to r^{(p-1)/2} K_{(p-1)/2}(r); for p = 2, q = 1 (one input and a bias, one output) it is exp(-r).

    Raises:
        ValueError: unless the scale is finite and positive.
    """

    p: int
    q: int = 1
    scale: float = 1.0

    def __post_init__(self) -> None:
        positive_int(self.p, "p")
        positive_int(self.q, "q")
        if not 0 < self.scale < math.inf:
            raise ValueError(f"expected a finite positive scale, got {self.scale!r}")

    def log_prob(self, radius: Tensor) -> Tensor:
        """Log density at ``radius`` > 0, any shape; float64."""
        r = torch.as_tensor(radius).double() / self.scale
        half = (self.p + self.q) / 2
        order = torch.full_like(r, (self.p - self.q) / 2)
        constant = (2 - half) * math.log(2) - math.lgamma(self.p / 2) - math.lgamma(self.q / 2) - math.log(self.scale)
        return constant + (half - 1) * r.log() + log_bessel_k(order, r)

    def moment(self, k: float) -> float:
        """E rho^k = (2 scale)^k Gamma((p+k)/2) Gamma((q+k)/2) / (Gamma(p/2) Gamma(q/2))."""
        if k <= -min(self.p, self.q):
            raise ValueError(f"expected k > {-min(self.p, self.q)}, got {k}, because the moment is infinite")
        logs = [math.lgamma((n + k) / 2) - math.lgamma(n / 2) for n in (self.p, self.q)]
        return math.exp(k * math.log(2 * self.scale) + sum(logs))

    def cdf(self, radius: Tensor) -> Tensor:
        """P(rho <= radius): the mean of the chi-square cdf of (r / chi_p)^2, by quadrature in log chi_p (1e-8)."""
        from scipy import special

        r = (torch.as_tensor(radius).double() / self.scale).clamp_min(0)
        nodes, weights = np.polynomial.legendre.leggauss(200)
        low, high = -40.0 / self.p, 0.5 * math.log(self.p + 12 * math.sqrt(self.p) + 60)
        y = (low + high) / 2 + (high - low) / 2 * nodes
        log_weight = self.p * y - np.exp(2 * y) / 2 - (self.p / 2 - 1) * math.log(2) - math.lgamma(self.p / 2)
        mass = np.exp(log_weight) * weights * (high - low) / 2
        values = special.gammainc(self.q / 2, 0.5 * np.square(r.reshape(-1, 1).numpy() * np.exp(-y)))
        return torch.as_tensor(values @ mass).reshape(r.shape).clamp(0, 1)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draws ``[n]``."""
        w = torch.randn(n, self.p, generator=generator, dtype=torch.float64).square().sum(-1)
        v = torch.randn(n, self.q, generator=generator, dtype=torch.float64).square().sum(-1)
        return self.scale * (w * v).sqrt()
