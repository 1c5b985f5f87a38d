r"""A proposal for importance sampling, led to the target step by step."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...density import LogDensity
from ...density._importance import adapted, effective_size, log_target
from ...density._proposal import Proposal

_SHARE = 0.3
"""Each step of the ladder keeps at least this share of the draws effective."""
_LEAST_GROWTH = 0.02
_STEPS = 80
_REFITS = 2
_POLISH = 8
_PARTS = 6


@dataclass(frozen=True)
class Tempered:
    """Where the ladder ended.

    Attributes:
        proposal: A mixture of t(5) laws, adapted to the last rung.
        exponent: t of the last rung; 1 if the target was reached.
        effective: Effective share of the draws there.
        rungs: The exponents t, in order.
    """

    proposal: Proposal
    exponent: float
    effective: float
    rungs: tuple[float, ...]

    @property
    def arrived(self) -> bool:
        """Whether the last rung is the target itself."""
        return self.exponent == 1.0


def temper(density: LogDensity, start: Proposal, num_draws: int, generator: torch.Generator) -> Tempered:
    r"""Adapt a mixture of t(5) laws along the ladder :math:`p_t\propto q_0^{1-t}\,p^t` from ``start`` to the target.

    q_0 is the mixture of *normal* laws of the start's centres and roots: between a t law and a far target, the rungs
    would have two modes.

    At each rung, t is the largest for which the effective sample size of the present draws, weighted to
    :math:`p_t`, is 30 % of their number; every component then moves to the weighted mean and covariance of its share
    of the draws (annealed population Monte Carlo: Neal, 2001, "Annealed importance sampling"; Cappe et al., 2008).
    Where t no longer grows, every component is split in six, at draws of its share, for a target that no single
    ellipsoid fits; then a third, a ninth, ... of the 30 % has to do, as long as covariances can be told. At t = 1,
    further rounds as long as they help. The ladder ends early, and `Tempered.arrived` is False, where nothing helps.

    Args:
        density: The target.
        start: The first proposal, which should be wide rather than narrow.
        num_draws: Draws at each rung; raised to 20 a dimension, so that covariances are known.
        generator: Random state.
    """
    count = max(num_draws, 20 * density.dim)
    least = max(50, 5 * (density.dim + 1)) / count
    proposal, exponent, rungs, stuck, share = start, 0.0, [0.0], 0, _SHARE
    effective = 1.0
    for _ in range(_STEPS):
        z = proposal.sample(count, generator)
        log_r, log_q0, log_p = proposal.log_prob(z), _log_normals(start, z), log_target(density, z)[0]
        reached = _next_exponent(exponent, log_q0, log_p, log_r, share)
        grown = reached - exponent > _LEAST_GROWTH * min(exponent, 1 - exponent)
        stuck = 0 if grown or reached == 1.0 else stuck + 1
        log_weights = _tempered(reached, log_q0, log_p) - log_r
        effective = effective_size(log_weights) / count
        if stuck > _REFITS and share / 3 < least:
            break
        if stuck == _REFITS:
            proposal = _split(proposal, z, log_weights, generator)
        elif stuck > _REFITS:
            share, stuck = share / 3, 0
        proposal = adapted(proposal, z, log_weights) if stuck != _REFITS else proposal
        exponent = reached
        rungs.append(exponent)
        if exponent == 1.0:
            return _arrived(density, proposal, count, generator, rungs)
    return Tempered(proposal, exponent, effective, tuple(rungs))


def _arrived(
    density: LogDensity, proposal: Proposal, count: int, generator: torch.Generator, rungs: list[float]
) -> Tempered:
    """The proposal polished at the target itself, split where few draws are effective."""
    proposal, effective = _polished(density, proposal, count, generator)
    for _ in range(2):
        if effective > _SHARE:
            break
        z = proposal.sample(count, generator)
        split = _split(proposal, z, log_target(density, z)[0] - proposal.log_prob(z), generator)
        finer, finer_effective = _polished(density, split, count, generator)
        if finer_effective > effective:
            proposal, effective = finer, finer_effective
    return Tempered(proposal, 1.0, effective, tuple(rungs))


def _log_normals(start: Proposal, z: torch.Tensor) -> torch.Tensor:
    """Log density ``[n]`` (up to a constant) of the mixture of normal laws with the proposal's centres and roots."""
    columns = []
    for center, root, share in zip(start.centers, start.roots, start.shares, strict=True):
        white = torch.linalg.solve_triangular(root, (z - center).mT, upper=False)
        columns.append(share.log() - root.diagonal().log().sum() - 0.5 * white.square().sum(0))
    return torch.stack(columns, -1).logsumexp(-1)


def _tempered(exponent: float, log_q0: torch.Tensor, log_p: torch.Tensor) -> torch.Tensor:
    if exponent == 0.0:
        return log_q0
    return (1 - exponent) * log_q0 + exponent * log_p


def _next_exponent(
    exponent: float, log_q0: torch.Tensor, log_p: torch.Tensor, log_r: torch.Tensor, share: float
) -> float:
    """The largest t at which enough draws are effective, by bisection; ``exponent`` itself if none is larger."""

    def enough(t: float) -> bool:
        return effective_size(_tempered(t, log_q0, log_p) - log_r) >= share * len(log_r)

    if enough(1.0):
        return 1.0
    low, high = exponent, 1.0
    for _ in range(30):
        middle = (low * high) ** 0.5 if low > 0 else high / 4
        if enough(middle):
            low = middle
        else:
            high = middle
        if high - low < 1e-3 * min(high, 1 - low) or high < 1e-12:
            break
    return low


def _split(proposal: Proposal, z: torch.Tensor, log_weights: torch.Tensor, generator: torch.Generator) -> Proposal:
    """Components of half the width at weighted draws, so many in all as there are draws to move them."""
    if not bool(torch.isfinite(log_weights).any()):
        return proposal
    total = max(1, min(_PARTS * len(proposal.shares), len(z) // (20 * (z.shape[-1] + 1))))
    chosen = torch.multinomial(log_weights.softmax(0), total, replacement=True, generator=generator)
    owners = proposal.responsibilities(z[chosen]).argmax(-1)
    shares = torch.full((total,), 1 / total, dtype=torch.float64)
    return Proposal(z[chosen], proposal.roots[owners] / 2, shares)


def _polished(
    density: LogDensity, proposal: Proposal, count: int, generator: torch.Generator
) -> tuple[Proposal, float]:
    """Rounds at the target itself, the best proposal met, and its effective share."""
    best, kept = -1.0, proposal
    for _ in range(_POLISH):
        z = proposal.sample(count, generator)
        log_weights = log_target(density, z)[0] - proposal.log_prob(z)
        share = effective_size(log_weights) / count
        if share <= best * 1.02:
            break
        best, kept = share, proposal
        proposal = adapted(proposal, z, log_weights)
    return kept, best
