"""Mixtures of multivariate Student-t laws, to draw from and to evaluate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

_DF = 5.0


@dataclass(frozen=True)
class Scale:
    """Where to look: ``center + root x``, ``[d]`` and ``[d, d]`` (a rough mean and square root of the covariance)."""

    center: torch.Tensor
    root: torch.Tensor


def whiten(scale: Scale, offset: torch.Tensor) -> torch.Tensor:
    """``root^{-1} offset`` for ``offset[n, d]``."""
    return torch.linalg.solve_triangular(scale.root, offset.mT, upper=False).mT


@dataclass(frozen=True)
class Proposal:
    r"""The law :math:`q = \sum_k \alpha_k\, t_5(m_k, R_k R_k^\top)`, t with five degrees of freedom in d dimensions.

    Attributes:
        centers: ``[K, d]``.
        roots: ``[K, d, d]``, lower triangular with positive diagonal.
        shares: ``[K]``, positive, summing to one.
    """

    centers: torch.Tensor
    roots: torch.Tensor
    shares: torch.Tensor

    @classmethod
    def at(cls, scales: Sequence[Scale]) -> Proposal:
        """Equal shares at the given places."""
        shares = torch.full((len(scales),), 1 / len(scales), dtype=torch.float64)
        return cls(torch.stack([s.center for s in scales]), torch.stack([s.root for s in scales]), shares)

    def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Independent draws ``[n, d]``."""
        dim = self.centers.shape[-1]
        which = torch.multinomial(self.shares, n, replacement=True, generator=generator)
        normal = torch.randn(n, dim, dtype=torch.float64, generator=generator)
        chi2 = torch.randn(n, int(_DF), dtype=torch.float64, generator=generator).square().sum(-1, keepdim=True)
        noise = normal * (_DF / chi2).sqrt()
        z = torch.empty_like(noise)
        for k in range(len(self.shares)):
            chosen = which == k
            z[chosen] = self.centers[k] + noise[chosen] @ self.roots[k].mT
        return z

    def stratified(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Draws ``[m, d]``, m >= n, of which each component has its share exactly (rounded up), independent within."""
        parts = []
        for center, root, share in zip(self.centers, self.roots, self.shares, strict=True):
            alone = Proposal(center[None], root[None], torch.ones(1, dtype=torch.float64))
            parts.append(alone.sample(math.ceil(n * float(share)), generator))
        return torch.cat(parts)

    def log_prob(self, z: torch.Tensor) -> torch.Tensor:
        """Log density at ``z[n, d]``, ``[n]``."""
        return self._log_joint(z).logsumexp(-1)

    def responsibilities(self, z: torch.Tensor) -> torch.Tensor:
        """Probability ``[n, K]`` that each point came from each component."""
        return self._log_joint(z).softmax(-1)

    def _log_joint(self, z: torch.Tensor) -> torch.Tensor:
        dim = self.centers.shape[-1]
        constant = math.lgamma((_DF + dim) / 2) - math.lgamma(_DF / 2) - dim / 2 * math.log(_DF * math.pi)
        columns = []
        for center, root, share in zip(self.centers, self.roots, self.shares, strict=True):
            white = torch.linalg.solve_triangular(root, (z - center).mT, upper=False)
            kernel = -(_DF + dim) / 2 * torch.log1p(white.square().sum(0) / _DF)
            columns.append(share.log() + constant - root.diagonal().log().sum() + kernel)
        return torch.stack(columns, -1)
