"""Alpha divergences between von Mises-Fisher laws, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from pyro_symvi.special import log_hyp0f1

from .von_mises_fisher import VonMisesFisher


@dataclass(frozen=True, eq=False)
class VonMisesFisherPair:
    r"""P and Q of von Mises-Fisher laws on one sphere; what ``Divergence.exact`` needs of a pair.

    With natural parameters :math:`\eta = \kappa\mu` and the log-partition function
    :math:`A(\eta) = \log {}_0F_1(d/2; |\eta|^2/4)` (against the uniform law),

    .. math:: \log\int p^\alpha q^{1-\alpha}
        = A(\alpha\eta_p + (1-\alpha)\eta_q) - \alpha A(\eta_p) - (1-\alpha) A(\eta_q),

    finite for every real alpha. Error near rounding, also for concentrations of 1e8 and alpha in [0, 1]: what is linear
    in kappa is taken out of A first, and cancelled by hand.

    Source: the exponential-family formula of Nielsen and Nock (2011); Mardia and Jupp, Directional Statistics (2000),
    section 9.3.

    Args:
        target: P.
        guide: Q, of the same dimension; batch shapes broadcast.

    Raises:
        TypeError: One is no `VonMisesFisher`.
        ValueError: Two dimensions.

    >>> from pyro_symvi.divergences import Hellinger
    >>> pole = torch.tensor([0.0, 0.0, 1.0])
    >>> Hellinger().exact(VonMisesFisherPair(VonMisesFisher(pole, 4.0), VonMisesFisher(-pole, 4.0)))
    tensor(0.8534)
    """

    target: VonMisesFisher
    guide: VonMisesFisher

    def __post_init__(self) -> None:
        for name in ("target", "guide"):
            if not isinstance(getattr(self, name), VonMisesFisher):
                raise TypeError(
                    f"expected {name} to be a VonMisesFisher, got {type(getattr(self, name)).__name__}, because the "
                    "closed form is that of this family; try VonMisesFisher(direction, concentration)"
                )
        if self.target.dim != self.guide.dim:
            raise ValueError(
                f"expected two laws on one sphere, got dimensions {self.target.dim} and {self.guide.dim}, because the "
                "divergence compares densities; try laws of the same event_shape"
            )

    def log_power_integral(self, alpha: float) -> Tensor:
        r""":math:`\log\int p^\alpha q^{1-\alpha}`, ``batch``."""
        p, q, dim = self.target, self.guide, self.target.dim
        kappa_p, kappa_q = torch.broadcast_tensors(p.concentration, q.concentration)
        mixed = alpha * p.natural + (1.0 - alpha) * q.natural
        squares = mixed.square().sum(-1)
        zero = squares == 0
        kappa = torch.where(zero, 0.0, torch.where(zero, torch.ones_like(squares), squares).sqrt())
        line = alpha * kappa_p + (1.0 - alpha) * kappa_q
        # kappa - line = -2 alpha (1 - alpha) kappa_p kappa_q (1 - cosine) / (kappa + line), both positive
        turn = -2.0 * alpha * (1.0 - alpha) * kappa_p * kappa_q * q.half_square_distance(p.direction)
        positive = line > 0
        gap = torch.where(positive, turn / torch.where(positive, kappa + line, 1.0), kappa - line)
        heights = [log_hyp0f1(dim, k, scaled=True) for k in (kappa, kappa_p, kappa_q)]
        return gap + heights[0] - alpha * heights[1] - (1.0 - alpha) * heights[2]

    def forward_kl(self) -> Tensor:
        """KL(P || Q)."""
        return kl_divergence(self.target, self.guide)

    def reverse_kl(self) -> Tensor:
        """KL(Q || P)."""
        return kl_divergence(self.guide, self.target)
