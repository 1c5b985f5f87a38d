"""Bound B0, the default: how far can a fitted mean be off where the symmetry is only approximate?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy import stats

from ...density import LogDensity
from ...density._importance import RELIABLE, WeightedDraws
from ._bound import WIDEST
from ._orbits import mirrored, normalised, orbit_weights, weighted_mean

_MISSED = 0.05
"""How probable it may be that all draws miss an asymmetry on the share of the mass allowed for."""


def tau_bound(tau: float) -> float:
    r""":math:`\tau/\sqrt{1-\tau^2}`, the error in sds that goes with :math:`\tau^2 = E_p\tanh^2(r/2)`.

    Infinite from 1 on. Without the square root in the denominator it would be too small: :math:`\tau` bounds the error
    in units of :math:`\sqrt{E h^2}`, which exceeds the standard deviation by the error itself.

    Raises:
        ValueError: for a negative tau.
    """
    if math.isnan(tau) or tau < 0:
        raise ValueError(f"expected tau >= 0, got {tau}, because it is the root of a mean square; try its upper bound")
    return tau / math.sqrt(1 - tau * tau) if tau < 1 else math.inf


@dataclass(frozen=True)
class ReflectionBound:
    r"""The bound :math:`|E z_j - c_j| \le \mathrm{sd}(z_j)\,\tau/\sqrt{1-\tau^2}` for all moved coordinates at once.

    Attributes:
        coordinates: The moved coordinates J.
        bound: In posterior standard deviations, with the allowances of `reflection_bound`; ``nan`` if withheld.
        tau: Root of the estimate of ``E tanh^2(r/2)``.
        error: Estimates of ``E z_j - c_j`` ``[|J|]``.
        error_se: Their Monte-Carlo standard errors.
        k: Pareto k-hat of the weights used.
        refusal: Why the bound is withheld; empty if it is not.
    """

    coordinates: tuple[int, ...]
    bound: float
    tau: float
    error: torch.Tensor
    error_se: torch.Tensor
    k: float
    refusal: str

    @property
    def usable(self) -> bool:
        """Whether a number is given."""
        return not self.refusal


def reflection_bound(
    density: LogDensity,
    draws: WeightedDraws,
    center: torch.Tensor,
    coordinates: Sequence[int],
    looks: int = 1,
) -> ReflectionBound:
    r"""Bound B0 at a given centre, from weighted draws that were not used to fit it.

    Conditioning on the orbit :math:`\{z, gz\}` gives :math:`E_p h = -E_p[h\tanh(r/2)]` for :math:`h = z_j - c_j`;
    Cauchy-Schwarz does the rest (stated and proved here). No symmetry, no curvature, no divergence is assumed.

    Weights are those of the orbit-symmetrised proposal, ``W = (p(z) + p(gz)) / (q(z) + q(gz))``, right also where q is
    not symmetric; :math:`\tau^2 = \sum \tilde W \tanh^2(r/2)`, and :math:`-\sum\tilde W (z_j - c_j)\tanh(r/2)`
    estimates the error itself. Where W is unreliable (k-hat at least 0.7) and p/q is not, p/q takes its place: both
    integrands are even.

    The bound takes for :math:`\tau^2` its estimate, with each \|r\| enlarged by its rounding error, plus three standard
    errors, plus 3/n for n effective draws: an asymmetry on a share of 3/n of the mass is missed by all of them with
    probability 5 % (rule of three). So no bound falls below about :math:`\sqrt{3/n}`, 0.02 for 8192 draws. Whoever
    takes the smallest of several bounds says so by ``looks``; both probabilities are then shared among them.

    The number is withheld where weights are unreliable, second moments are not established, it would exceed one
    standard deviation, or the estimated error contradicts it. Premise: no draw represents mass that none fell on.

    Args:
        density: The target.
        draws: Weighted draws.
        center: ``[d]``, the fitted value; or ``[n, d]``, one for each draw, a function of the coordinates outside J.
        coordinates: Moved coordinates.
        looks: How many bounds of one coordinate are compared.
    """
    points = mirrored(density, draws.z, center, coordinates, draws.log_p)
    residual = points.residual
    t = torch.tanh(residual / 2)
    t_upper = torch.tanh((residual.abs() + points.rounding) / 2)
    log_w, k = orbit_weights(draws, points)
    weights = normalised(log_w)

    index = torch.tensor(tuple(coordinates))
    mean2, se2 = weighted_mean(weights, t.square())
    error, error_se = weighted_mean(weights, -(draws.z - center)[:, index] * t[:, None])
    errors_allowed = float(stats.norm.isf(stats.norm.sf(3.0) / looks))
    rare = math.log(looks / _MISSED) * float(weights.square().sum())
    upper = float(weights @ t_upper.square()) + errors_allowed * float(se2) + rare
    bound = tau_bound(math.sqrt(upper)) if upper < 1 else math.inf
    sd = draws.sd[index]
    refusal = ""
    if not (k < RELIABLE and draws.k < RELIABLE):
        refusal = f"importance weights are unreliable (Pareto k-hat {max(k, draws.k):.2f}, needs < {RELIABLE})"
    elif not bool((draws.k_second[index] < RELIABLE).all()):
        refusal = f"second moments are not established (Pareto k-hat of squared deviations >= {RELIABLE})"
    elif float(points.undefined.double().mean()) > 0.005:
        refusal = "the log density is undefined at the image of some draws"
    elif not bound <= WIDEST:
        refusal = f"the bound, {bound:.2g} sd, is wider than the posterior"
    elif bool((error.abs() - 3 * error_se > bound * sd + 1e-12 * sd).any()):
        refusal = "the estimated error contradicts the bound: the draws do not represent the posterior"
    return ReflectionBound(
        coordinates=tuple(coordinates),
        bound=math.nan if refusal else bound,
        tau=math.sqrt(max(float(mean2), 0.0)),
        error=error,
        error_se=error_se,
        k=k,
        refusal=refusal,
    )
