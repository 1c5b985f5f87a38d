"""Weighted draws of the target: posterior scales, error bounds, and what they rest on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pyro.ops.stats import fit_generalized_pareto

from ..density import LogDensity
from ..families import LocationScale
from .residuals import Scale

RELIABLE = 0.7
"""Pareto k-hat below which importance-sampling means are usable (Vehtari et al., 2024)."""


def pareto_k(log_values: torch.Tensor) -> float:
    r"""Shape :math:`\hat k` of the upper tail of positive values given by their logarithms ``[n]``.

    Generalised Pareto fit (Zhang & Stephens, 2009) to the largest :math:`\min(n/5, 3\sqrt n)`. Below 0.5 the variance
    is finite, below 1 the mean; estimates are reliable below 0.7.
    """
    finite = log_values[~torch.isnan(log_values)]
    n = len(log_values)
    tail = int(math.ceil(min(0.2 * n, 3 * math.sqrt(n))))
    if len(finite) < n or tail < 10:
        return math.inf
    ordered = finite.sort().values - finite.max()
    cutoff = ordered[-tail - 1].clamp_min(-700.0)
    excess = ordered[-tail:].exp() - cutoff.exp()
    excess = excess[excess > 0]
    if len(excess) < 10:
        return -math.inf if bool((ordered[-tail:] > -1e-9).all()) else math.inf
    return float(fit_generalized_pareto(excess)[0])


@dataclass(frozen=True)
class WeightedDraws:
    """Independent draws of a Student-t proposal, weighted to the target.

    Attributes:
        z: ``[n, d]``.
        log_p: Log target, ``[n]``.
        proposal: The proposal family and its parameters.
        log_weights: Log importance weights, ``[n]``.
        k: Pareto k-hat of the weights.
        k_first: Largest k-hat of ``|z_j - m_j| w`` over coordinates, per coordinate ``[d]``.
        k_second: k-hats of ``(z_j - m_j)^2 w``, ``[d]``.
        mean: Weighted mean ``[d]``.
        sd: Weighted standard deviation ``[d]``.
        root: Root of the weighted covariance ``[d, d]``, lower triangular.
    """

    z: torch.Tensor
    log_p: torch.Tensor
    proposal: tuple[LocationScale, dict[str, torch.Tensor]]
    log_weights: torch.Tensor
    k: float
    k_first: torch.Tensor
    k_second: torch.Tensor
    mean: torch.Tensor
    sd: torch.Tensor
    root: torch.Tensor

    @property
    def reliable(self) -> bool:
        """Whether the weights support means at all: k-hat < 0.7."""
        return self.k < RELIABLE

    @property
    def effective(self) -> float:
        """Effective sample size."""
        return float(1 / self.log_weights.softmax(0).square().sum())

    def log_proposal(self, z: torch.Tensor) -> torch.Tensor:
        """Log density of the proposal."""
        family, parameters = self.proposal
        return family.log_prob(z, parameters)


def weighted_draws(
    density: LogDensity, scale: Scale, *, num_draws: int = 8192, rounds: int = 3, generator: torch.Generator
) -> WeightedDraws:
    """Draws from a multivariate t(5) adapted to the target's weighted mean and covariance, then fresh ones.

    Each of ``rounds`` adaptation rounds takes a quarter of ``num_draws``; a round whose weights are worse than the last
    one's is not followed. The final draws are used for nothing but the result.
    """
    family = LocationScale(density.dim, base="student_t", scale="full", df=5.0)
    parameters = {"loc": scale.center, "scale": scale.root}
    best, kept = -1.0, parameters
    for _ in range(rounds):
        z, _, log_weights = _draw(density, family, parameters, num_draws // 4, generator)
        effective = _effective(log_weights)
        if effective <= best:
            parameters = kept
            break
        best, kept = effective, parameters
        adapted = _moments(z, log_weights)
        if adapted is None or effective < 5:
            break
        parameters = {"loc": adapted[0], "scale": adapted[1]}
    z, log_p, log_weights = _draw(density, family, parameters, num_draws, generator)
    moments = _moments(z, log_weights)
    mean, root = moments if moments is not None else (parameters["loc"], parameters["scale"])
    offsets = (z - mean).abs().log()
    return WeightedDraws(
        z=z,
        log_p=log_p,
        proposal=(family, parameters),
        log_weights=log_weights,
        k=pareto_k(log_weights),
        k_first=torch.tensor([pareto_k(log_weights + column) for column in offsets.mT]),
        k_second=torch.tensor([pareto_k(log_weights + 2 * column) for column in offsets.mT]),
        mean=mean,
        sd=root.square().sum(-1).sqrt(),
        root=root,
    )


def _draw(
    density: LogDensity, family: LocationScale, parameters: dict[str, torch.Tensor], n: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    uniforms = torch.rand(n, family.law.uniforms_needed(family.dim), dtype=torch.float64, generator=generator)
    noise = torch.from_numpy(family.law.noise(uniforms.clamp(1e-15, 1 - 1e-15).numpy()))
    z = parameters["loc"] + family.apply(parameters["scale"], noise)
    log_p = density(z).detach()
    log_p = torch.where(torch.isnan(log_p), -torch.inf, log_p)
    return z, log_p, log_p - family.log_prob(z, parameters)


def _effective(log_weights: torch.Tensor) -> float:
    if not torch.isfinite(log_weights).any():
        return 0.0
    return float(1 / log_weights.softmax(0).square().sum())


def _moments(z: torch.Tensor, log_weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Weighted mean and lower root of the weighted covariance; None where it is singular."""
    if not torch.isfinite(log_weights).any():
        return None
    weights = log_weights.softmax(0)
    mean = weights @ z
    centred = z - mean
    root, info = torch.linalg.cholesky_ex((weights[:, None] * centred).mT @ centred)
    usable = int(info) == 0 and bool(torch.isfinite(root).all()) and bool((root.diagonal() > 0).all())
    return (mean, root) if usable else None
