"""Bound B0 from draws of the posterior itself: independent ones, or chains."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pyro.ops.stats import effective_sample_size, split_gelman_rubin
from scipy import optimize
from torch import Tensor

from ...density import LogDensity
from ..verdicts import Evidence, Premise
from ._bound import Bound, judged, refused
from ._orbits import mirrored
from .reflection import tau_bound

NAME = "reflection bound B0 from posterior draws"
_RHAT = 1.02
_FEWEST = 100.0


def binomial_limit(mean: float, n: float, delta: float) -> float:
    r"""The largest :math:`\mu` with :math:`n\,\mathrm{kl}(\bar x,\mu)\le\log(1/\delta)`, for variables in [0, 1].

    An upper limit for the mean of n independent variables at confidence :math:`1-\delta` (Hoeffding, 1963, Theorem 1,
    his inequality 2.1): never above :math:`\bar x+\sqrt{\log(1/\delta)/2n}`, and :math:`1-\delta^{1/n}` where all
    vanish.

    Args:
        mean: The sample mean, in [0, 1].
        n: Number of variables.
        delta: In (0, 1).

    Raises:
        ValueError: for a mean outside [0, 1], no draws, or a level outside (0, 1).
    """
    if not (0 <= mean <= 1 and n > 0 and 0 < delta < 1):
        raise ValueError(
            f"expected mean in [0, 1], n > 0 and 0 < delta < 1, got {mean}, {n}, {delta}, because this is a confidence "
            "limit of a mean; try delta=0.05"
        )
    if mean == 1:
        return 1.0
    level = math.log(1 / delta) / n

    def excess(mu: float) -> float:
        return mean * math.log(mean / mu) + (1 - mean) * (math.log1p(-mean) - math.log1p(-mu)) - level

    if mean == 0:
        return -math.expm1(-level)
    high = 1 - 2.0**-53
    return 1.0 if excess(high) <= 0 else float(optimize.brentq(excess, mean, high, xtol=1e-15, rtol=1e-12))


def independent_draws_bound(
    density: LogDensity, draws: Tensor, center: Tensor, coordinates: Sequence[int], delta: float = 0.05
) -> Bound:
    r"""B0 with :math:`\tau^2` at its upper confidence limit, from independent draws of the posterior.

    :math:`\tanh^2(r/2)` lies in [0, 1], so the limit of `binomial_limit` holds at confidence :math:`1-\delta`
    whatever the posterior, far modes and tails included: no support premise. That the draws are independent and of
    this posterior is the caller's word (ASSUMED). Two moments are needed for the sd to mean anything.

    Args:
        density: The target.
        draws: ``[n, d]``, not used to choose ``center``.
        center: ``[d]``.
        coordinates: Those reflected.
        delta: One minus the confidence.
    """
    squares = _squares(density, draws, center, coordinates)
    n = len(draws)
    if bool(torch.isnan(squares).any()):
        return refused(NAME, coordinates, "the log density is undefined at the image of some draws")
    limit = binomial_limit(float(squares.mean()), n, delta)
    premises = (
        Premise("draws", Evidence.ASSUMED, f"{n} independent draws of the posterior, as the caller says"),
        Premise("confidence", Evidence.VERIFIED, f"holds with probability {1 - delta:g} over the draws"),
    )
    return judged(NAME, coordinates, _values(limit, coordinates), premises, f"{n} independent draws")


def chain_draws_bound(
    density: LogDensity, chains: Tensor, center: Tensor, coordinates: Sequence[int], delta: float = 0.05
) -> Bound:
    r"""The same from chains ``[C, n, d]``: n is replaced by the effective number of draws of :math:`\tanh^2(r/2)`.

    Approximate, so at most VERIFIED. Refused where split R-hat of :math:`\tanh^2(r/2)` or of a coordinate exceeds 1.02
    or fewer than 100 effective draws are left. Chains that all missed a mode say nothing of it.

    Raises:
        ValueError: unless the draws are ``[C, n, d]`` with C >= 2 and n >= 8.
    """
    if chains.ndim != 3 or chains.shape[-1] != density.dim or chains.shape[0] < 2 or chains.shape[1] < 8:
        raise ValueError(
            f"expected chains[C, n, {density.dim}] with C >= 2 and n >= 8, got {tuple(chains.shape)}, because "
            "agreement of chains is checked; try draws.reshape(chains, -1, d)"
        )
    shape = chains.shape[:2]
    squares = _squares(density, chains.reshape(-1, density.dim), center, coordinates).reshape(shape)
    if bool(torch.isnan(squares).any()):
        return refused(NAME, coordinates, "the log density is undefined at the image of some draws")
    index = torch.tensor(tuple(coordinates))
    watched = torch.cat([squares[..., None], chains[..., index]], -1)
    moving = watched.flatten(0, 1).std(0) > 0
    rhat = float(split_gelman_rubin(watched[..., moving]).max()) if bool(moving.any()) else 1.0
    counts = effective_sample_size(watched[..., moving]) if bool(moving.any()) else torch.tensor([torch.inf])
    n = min(float(counts.min()), float(squares.numel()))
    if not (rhat <= _RHAT and n >= _FEWEST):
        return refused(NAME, coordinates, f"the chains do not agree or are short (R-hat {rhat:.3f}, {n:.0f} effective)")
    limit = binomial_limit(float(squares.mean()), n, delta)
    premises = (
        Premise("draws", Evidence.ASSUMED, f"{squares.numel()} draws of a chain with this posterior as its law"),
        Premise("mixing", Evidence.VERIFIED, f"split R-hat {rhat:.3f}, {n:.0f} effective draws"),
    )
    return judged(NAME, coordinates, _values(limit, coordinates), premises, f"{n:.0f} effective draws of chains")


def _squares(density: LogDensity, z: Tensor, center: Tensor, coordinates: Sequence[int]) -> Tensor:
    """tanh^2 of half of |r| plus its rounding error, ``[n]``; nan where undefined."""
    points = mirrored(density, z.to(torch.float64), center, coordinates)
    t = torch.tanh((points.residual.abs() + points.rounding) / 2).square()
    return torch.where(points.undefined | torch.isnan(points.log_p), torch.nan, t)


def _values(limit: float, coordinates: Sequence[int]) -> Tensor:
    return torch.full((len(coordinates),), tau_bound(math.sqrt(limit)), dtype=torch.float64)
