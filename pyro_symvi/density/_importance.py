"""Weighted draws of the target: posterior scales, error bounds, and what they rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from pyro.ops.stats import fit_generalized_pareto

from ._log_density import LogDensity
from ._proposal import Proposal, Scale

RELIABLE = 0.7
"""Pareto k-hat below which importance-sampling means are usable (Vehtari et al., 2024)."""
_MOST_UNDEFINED = 0.005
"""Where more than this share of the draws has no log density (nan), nothing is concluded from the others."""
_LEAST_SHARE = 0.05
"""No component of the proposal falls below this share: a far mode, once found, is looked at to the end."""


def pareto_k(log_values: torch.Tensor) -> float:
    r"""Shape :math:`\hat k` of the upper tail of positive values given by their logarithms ``[n]``.

    Generalised Pareto fit (Zhang & Stephens, 2009) to the largest :math:`\min(n/5, 3\sqrt n)`. Below 0.5 the variance
    is finite, below 1 the mean; estimates are reliable below 0.7. Infinite where a value is nan or the tail is shorter
    than ten; minus infinity where the largest values are all equal (no tail).
    """
    n = len(log_values)
    tail = math.ceil(min(0.2 * n, 3 * math.sqrt(n)))
    if tail < 10 or bool(torch.isnan(log_values).any()) or not bool((log_values > -torch.inf).any()):
        return math.inf
    ordered = log_values.sort().values - log_values.max()
    cutoff = ordered[-tail - 1].clamp_min(-700.0)
    excess = ordered[-tail:].exp() - cutoff.exp()
    excess = excess[excess > 0]
    if len(excess) < 10:
        return -math.inf if bool((ordered[-tail:] > -1e-9).all()) else math.inf
    return float(fit_generalized_pareto(excess)[0])


@dataclass(frozen=True)
class WeightedDraws:
    """Independent draws of a proposal, weighted to the target.

    Attributes:
        z: ``[n, d]``.
        log_p: Log target, ``[n]``; minus infinity where it is undefined.
        proposal: The law they were drawn from.
        log_weights: Log importance weights, ``[n]``.
        k: Pareto k-hat of the weights; infinite where the target is undefined at more than 0.5 % of the draws.
        mean: Weighted mean ``[d]``.
        sd: Weighted standard deviation ``[d]``.
        sd_low: The same less three standard errors of the variance, ``[d]``: what a gap is divided by.
        root: Root of the weighted covariance ``[d, d]``, lower triangular.
    """

    z: torch.Tensor
    log_p: torch.Tensor
    proposal: Proposal
    log_weights: torch.Tensor
    k: float
    mean: torch.Tensor
    sd: torch.Tensor
    sd_low: torch.Tensor
    root: torch.Tensor

    @cached_property
    def k_first(self) -> torch.Tensor:
        """K-hats of ``|z_j - m_j| w``, ``[d]``."""
        return self._k_of_moments(1)

    @cached_property
    def k_second(self) -> torch.Tensor:
        """K-hats of ``(z_j - m_j)^2 w``, ``[d]``."""
        return self._k_of_moments(2)

    def _k_of_moments(self, order: int) -> torch.Tensor:
        logs = order * (self.z - self.mean).square().log() / 2
        return torch.tensor([pareto_k(self.log_weights + column) for column in logs.mT])

    @property
    def reliable(self) -> bool:
        """Whether the weights support means at all: k-hat < 0.7."""
        return self.k < RELIABLE

    @property
    def effective(self) -> float:
        """Effective sample size."""
        return effective_size(self.log_weights)

    def log_proposal(self, z: torch.Tensor) -> torch.Tensor:
        """Log density of the proposal."""
        return self.proposal.log_prob(z)


def weighted_draws(
    density: LogDensity,
    scale: Scale,
    *,
    others: Sequence[Scale] = (),
    num_draws: int = 8192,
    rounds: int = 3,
    generator: torch.Generator,
) -> WeightedDraws:
    r"""Draws from a mixture of t(5) laws adapted to the target, weighted by p/q.

    One component starts at ``scale``, one at each of ``others`` (the mode and its curvature; distant modes). Each of
    ``rounds`` rounds takes a quarter of ``num_draws`` and moves every component to the weighted mean and covariance of
    the draws it is responsible for, :math:`\tilde w_i \alpha_k q_k(z_i)/q(z_i)` (mixture population Monte Carlo, Cappe
    et al., 2008, "Adaptive importance sampling in general mixture classes"). A round whose weights are worse than the
    last one's is not followed. The final draws are fresh, and used for nothing but the result.
    """
    proposal = Proposal.at([scale, *others])
    best, kept = -1.0, proposal
    for _ in range(rounds):
        z = proposal.sample(num_draws // 4, generator)
        log_weights = log_target(density, z)[0] - proposal.log_prob(z)
        effective = effective_size(log_weights)
        if effective <= best:
            proposal = kept
            break
        best, kept = effective, proposal
        proposal = adapted(proposal, z, log_weights)
    z = proposal.sample(num_draws, generator)
    log_p, undefined = log_target(density, z)
    log_weights = log_p - proposal.log_prob(z)
    weights, moments = _weights(log_weights), moments_of(z, _weights(log_weights))
    mean, root = moments if moments is not None else (scale.center, scale.root)
    squares = (z - mean).square()
    variance = root.square().sum(-1)
    variance_se = (weights.square() @ (squares - variance).square()).sqrt()
    return WeightedDraws(
        z=z,
        log_p=log_p,
        proposal=proposal,
        log_weights=log_weights,
        k=pareto_k(log_weights) if undefined <= _MOST_UNDEFINED and moments is not None else math.inf,
        mean=mean,
        sd=variance.sqrt(),
        sd_low=torch.maximum(variance - 3 * variance_se, variance / 16).sqrt(),
        root=root,
    )


def log_target(density: LogDensity, z: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Log target, minus infinity where it is undefined, and the share of points where it is."""
    values = density(z).detach()
    bad = torch.isnan(values) | (values == torch.inf)
    return torch.where(bad, -torch.inf, values), float(bad.double().mean())


def _weights(log_weights: torch.Tensor) -> torch.Tensor:
    """Normalised weights; zeros where all are zero."""
    if not bool(torch.isfinite(log_weights).any()):
        return torch.zeros_like(log_weights)
    return log_weights.softmax(0)


def effective_size(log_weights: torch.Tensor) -> float:
    weights = _weights(log_weights)
    return float(1 / weights.square().sum()) if bool(weights.any()) else 0.0


def moments_of(z: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Weighted mean and lower root of the weighted covariance; None where it is singular."""
    mean = weights @ z
    centred = z - mean
    unit = (weights @ centred.square()).sqrt()  # coordinates may differ by many orders of magnitude
    scaled = centred / unit
    root, info = torch.linalg.cholesky_ex((weights[:, None] * scaled).mT @ scaled)
    root = unit[:, None] * root
    usable = int(info) == 0 and bool(torch.isfinite(root).all()) and bool((root.diagonal() > 0).all())
    return (mean, root) if usable else None


def adapted(proposal: Proposal, z: torch.Tensor, log_weights: torch.Tensor) -> Proposal:
    """Each component at the weighted moments of its share of the draws, where enough of them support it."""
    weights = _weights(log_weights)
    if not bool(weights.any()):
        return proposal
    shares = weights[:, None] * proposal.responsibilities(z)
    masses = shares.sum(0)
    centers, roots = [], []
    for k, mass in enumerate(masses):
        center, root = proposal.centers[k], proposal.roots[k]
        effective = float(mass.square() / shares[:, k].square().sum().clamp_min(1e-300))
        if effective > 5 * (z.shape[-1] + 1):
            moments = moments_of(z, shares[:, k] / mass)
            center, root = moments if moments is not None else (center, root)
        centers.append(center)
        roots.append(root)
    alpha = masses.clamp_min(_LEAST_SHARE)
    return Proposal(torch.stack(centers), torch.stack(roots), alpha / alpha.sum())
