"""The evidence bound of a committee machine under independent normal weights, in closed form up to quadrature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..links import Link


@dataclass(frozen=True, eq=False)
class CommitteeELBO:
    r"""The ELBO of y = p^(-1/2) sum_k sigma(w_k . x) + sqrt(noise) xi under w_kj ~ N(loc_kj, scale_kj^2), no draws.

    Pre-activations are independent normals, :math:`w_k\cdot x \sim N(m, s^2)` with :math:`m = loc_k\cdot x`,
    :math:`s^2 = \sum_j scale_{kj}^2 x_j^2`, so that with their moments :math:`\mu_{ik}, v_{ik}` of sigma

    .. math:: \mathrm{ELBO} = -\sum_i \frac{(y_i - p^{-1/2}\sum_k \mu_{ik})^2 + p^{-1}\sum_k v_{ik}}{2\,noise}
              - \frac n2 \log(2\pi\, noise) - \mathrm{KL}(q \| N(0, prior^2 I)).

    The moments are sums over fixed nodes of the link, weighted by the density of N(m, s^2): smooth in the parameters
    also for relu and abs, whose kinks draws (or nodes that move with m) would lose in the second derivative. Invariant
    under permutations of units, and for even sigma under signs of ``loc`` (``unsigned=("log_scale",)``).

    Attributes:
        x, y: Inputs ``[n, d]`` and outputs ``[n]``; floating, one dtype and device.
        activation: A name, function, module or `Link`; standardised as in `Link.of`.
        noise: Variance of the noise.
        prior_scale: Standard deviation of each weight; default d^(-1/2), so that |w_k|^2 is 1 in mean.

    Called with ``{"loc": [p, d], "log_scale": broadcastable to it, [p, 1] or [p, d]}``; returns the ELBO, a scalar.

    Raises:
        ValueError: When called: a pre-activation that the nodes do not resolve (their weights do not sum to one to
            1e-6: a scale that is too small, or a mean beyond 8).

    Example:
        >>> import torch
        >>> from pyro_symvi.groups import SignedPermutations
        >>> from pyro_symvi.multiindex import CommitteeELBO, irrep_instability
        >>> x = torch.eye(2, dtype=torch.float64)
        >>> elbo = CommitteeELBO(x, torch.tensor([3.0, 3.0], dtype=torch.float64), "he2", noise=0.1)
        >>> tied = {"loc": torch.zeros(2, 2, dtype=torch.float64), "log_scale": torch.zeros(2, 1, dtype=torch.float64)}
        >>> irrep_instability(elbo, tied, SignedPermutations(2), unsigned=["log_scale"]).is_unstable
        True
    """

    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    activation: Any
    noise: float
    prior_scale: float | None = None

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.y.shape != self.x.shape[:1] or self.x.dtype != self.y.dtype:
            raise ValueError(
                f"expected x [n, d] and y [n] of one dtype, got {list(self.x.shape)} and {list(self.y.shape)}"
            )
        if not 0 < self.noise < math.inf:
            raise ValueError(f"expected a finite noise variance > 0, got {self.noise!r}")
        link = Link.of(self.activation)
        values = torch.stack([link.values, link.values.square(), torch.ones_like(link.values)], -1)
        log_weights = link.weights.log() + link.nodes.square() / 2  # of dz, up to the constant of N(0, 1)
        seen = (link.nodes.abs() <= 13) & torch.isfinite(log_weights)
        object.__setattr__(self, "_nodes", link.nodes[seen].to(self.x))
        object.__setattr__(self, "_table", (log_weights[seen].exp()[:, None] * values[seen]).to(self.x))

    def __call__(self, params: Mapping[str, Tensor]) -> Tensor:
        """The ELBO at ``{"loc", "log_scale"}``."""
        loc, log_scale = params["loc"], params["log_scale"].expand_as(params["loc"])
        units, dim = loc.shape
        mean, spread = self.x @ loc.mT, (self.x.square() @ (2 * log_scale).exp().mT).sqrt()  # [n, p]
        first, second = self.moments(mean, spread)
        residual = self.y - first.sum(-1) / math.sqrt(units)
        energy = residual.square() + (second - first.square()).sum(-1) / units
        prior = 1 / math.sqrt(dim) if self.prior_scale is None else self.prior_scale
        log_ratio = log_scale - math.log(prior)
        kl = ((2 * log_ratio).exp() + (loc / prior).square() - 1 - 2 * log_ratio).sum() / 2
        return -energy.sum() / (2 * self.noise) - len(self.y) / 2 * math.log(2 * math.pi * self.noise) - kl

    def moments(self, mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        """E sigma(z) and E sigma(z)^2 for z ~ N(mean, spread^2), of the shape of both."""
        nodes: Tensor = self.__dict__["_nodes"]
        table: Tensor = self.__dict__["_table"]
        density = (-((nodes - mean[..., None]) / spread[..., None]).square() / 2).exp() / spread[..., None]
        first, second, one = (density @ table).unbind(-1)
        off = float((one.detach() - 1).abs().max())
        if off > max(1e-6, 1e2 * torch.finfo(mean.dtype).eps):
            raise ValueError(
                f"expected pre-activations that the quadrature resolves, got weights that sum to one only up to "
                f"{off:.2g}, with means up to {float(mean.detach().abs().max()):.3g} and spreads down to "
                f"{float(spread.detach().min()):.3g}, because the nodes are fixed; try larger scales"
            )
        return first, second
