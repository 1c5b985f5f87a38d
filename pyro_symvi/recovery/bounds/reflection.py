"""How far can a fitted mean be off where the symmetry is only approximate? Bound B0 and its companion estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ...density import LogDensity
from ...density._importance import RELIABLE, WeightedDraws, pareto_k
from ...groups import PointReflection

_EPS = 2.0**-52


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
    density: LogDensity, draws: WeightedDraws, center: torch.Tensor, coordinates: tuple[int, ...]
) -> ReflectionBound:
    r"""Bound B0 at a given centre, from weighted draws that were not used to fit it.

    Weights are those of the orbit-symmetrised proposal, ``W = (p(z) + p(gz)) / (q(z) + q(gz))``, right also where q is
    not symmetric; :math:`\tau^2 = \sum \tilde W \tanh^2(r/2)`, and :math:`-\sum\tilde W (z_j - c_j)\tanh(r/2)`
    estimates the error itself. Where W is unreliable (k-hat at least 0.7) and p/q is not, p/q takes its place: both
    integrands are even.

    The bound takes for :math:`\tau^2` its estimate, with each \|r\| enlarged by its rounding error, plus three standard
    errors, plus 3/n for n effective draws: an asymmetry on a share of 3/n of the mass is missed by all of them with
    probability 5 % (rule of three). So no bound falls below about :math:`\sqrt{3/n}`, 0.02 for 8192 draws.

    The number is withheld where weights are unreliable, second moments are not established, it would exceed one
    standard deviation, or the estimated error contradicts it. Premise: no draw represents mass that none fell on.

    Args:
        density: The target.
        draws: Weighted draws.
        center: ``[d]``, the fitted value.
        coordinates: Moved coordinates.
    """
    z = draws.z
    action = PointReflection(coordinates=list(coordinates)).bind(density.dim, center=center)
    flip = torch.tensor([-1.0], dtype=torch.float64)
    image = action.act(flip, z)
    log_p, log_image = draws.log_p, density(image).detach()
    undefined = torch.isnan(log_image) | (log_image == torch.inf)
    log_image = torch.where(undefined, -torch.inf, log_image)
    residual = torch.where((log_image == -torch.inf) & (log_p == -torch.inf), 0.0, log_image - log_p)
    rounding = (64 * _EPS * (log_p.abs() + log_image.abs())).nan_to_num(posinf=0.0)
    t = torch.tanh(residual / 2)
    t_upper = torch.tanh((residual.abs() + rounding) / 2)

    log_w = torch.logaddexp(log_p, log_image) - torch.logaddexp(draws.log_proposal(z), draws.log_proposal(image))
    k = pareto_k(log_w)
    if k >= RELIABLE > draws.k:  # both weightings estimate the same expectations of even functions
        log_w, k = draws.log_weights, draws.k
    weights = log_w.softmax(0) if bool(torch.isfinite(log_w).any()) else torch.zeros_like(log_w)

    tau2, upper2 = float(weights @ t.square()), float(weights @ t_upper.square())
    tau2_se = float((weights.square() @ (t.square() - tau2).square()).sqrt())
    index = torch.tensor(coordinates)
    terms = -(z - center)[:, index] * t[:, None]
    error = weights @ terms
    error_se = (weights.square() @ (terms - error).square()).sqrt()
    upper = upper2 + 3 * tau2_se + 3 * float(weights.square().sum())
    bound = math.sqrt(upper / (1 - upper)) if upper < 1 else math.inf
    refusal = ""
    if not (k < RELIABLE and draws.k < RELIABLE):
        refusal = f"importance weights are unreliable (Pareto k-hat {max(k, draws.k):.2f}, needs < {RELIABLE})"
    elif not bool((draws.k_second[index] < RELIABLE).all()):
        refusal = f"second moments are not established (Pareto k-hat of squared deviations >= {RELIABLE})"
    elif float(undefined.double().mean()) > 0.005:
        refusal = "the log density is undefined at the image of some draws"
    elif not bound <= 1:
        refusal = f"the bound, {bound:.2g} sd, is wider than the posterior"
    elif bool((error.abs() - 3 * error_se > bound * draws.sd[index] + 1e-12 * draws.sd[index]).any()):
        refusal = "the estimated error contradicts the bound: the draws do not represent the posterior"
    return ReflectionBound(
        coordinates=tuple(coordinates),
        bound=math.nan if refusal else bound,
        tau=math.sqrt(max(tau2, 0.0)),
        error=error,
        error_se=error_se,
        k=k,
        refusal=refusal,
    )
