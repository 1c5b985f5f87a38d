r"""B0 for a finite group of more than two elements."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...density import LogDensity
from ...density._importance import RELIABLE, WeightedDraws, pareto_k
from ..theorems import SUPPORT
from ..verdicts import Evidence, Premise
from ._bound import Bound, judged, refused
from ._orbits import normalised, weighted_mean
from .reflection import tau_bound

NAME = "finite-group bound"


def group_tau2(log_p: Tensor) -> Tensor:
    r""":math:`n\sum_gw_g^2-1`, ``[N]``, from log densities ``[N, n]`` along each orbit; :math:`w_g=p(gz)/\sum_kp(kz)`.

    Between 0 (all equal) and n - 1 (all weight on one); for n = 2 it is :math:`\tanh^2(r/2)`.
    """
    return (log_p.shape[-1] * log_p.softmax(-1).square().sum(-1) - 1).clamp_min(0.0)


def finite_group_bound(density: LogDensity, draws: WeightedDraws, matrices: Tensor, center: Tensor) -> Bound:
    r"""How far the mean can be from the centre of a finite group :math:`z\mapsto c+A_g(z-c)` of orthogonal matrices.

    With h the part of z - c that the group moves (:math:`\sum_gA_gh=0`), :math:`E_ph=E_p\sum_gw_gA_gh`, so

    .. math:: \|E_ph\|\le\tau_G\sqrt{E_p\|h\|^2},\quad\tau_G^2=E_p\big[n\textstyle\sum_gw_g^2-1\big],\qquad
        \|E_ph\|\le\frac{\tau_G}{\sqrt{1-\tau_G^2}}\sqrt{\mathrm{tr}\,\mathrm{Cov}_p(h)}.

    (Cauchy-Schwarz over the group, then under P; stated and proved here.) One number: the distance in units of the root
    of the total variance of the moved part; each coordinate's bound is that number times that root over its own sd.
    Coordinates with a fixed part get none. VERIFIED; withheld where k-hat is 0.7 or more, or :math:`\tau_G\ge1`.

    Args:
        density: The target.
        draws: Weighted draws.
        matrices: All elements, ``[n, d, d]``, orthogonal, closed under products.
        center: ``[d]``.
    """
    n, dim = matrices.shape[0], density.dim
    matrices = matrices.to(torch.float64)
    eye = torch.eye(dim, dtype=torch.float64)
    _check_group(matrices, dim, eye)
    fixed = matrices.mean(0)
    moved = tuple(i for i in range(dim) if float(fixed[i].abs().max()) < 1e-9)
    if not moved:
        return refused(NAME, (), "the group moves no coordinate freely: each has a fixed part")
    h = (draws.z - center) @ (eye - fixed).mT
    orbit = center + torch.einsum("gij,nj->ngi", matrices, draws.z - center)
    log_p = density(orbit.reshape(-1, dim)).detach().reshape(-1, n)
    log_p = torch.where(torch.isnan(log_p) | (log_p == torch.inf), -torch.inf, log_p)
    proposal = draws.log_proposal(orbit.reshape(-1, dim)).reshape(-1, n)
    log_w = log_p.logsumexp(-1) - proposal.logsumexp(-1)
    k = max(pareto_k(log_w), draws.k)
    if not k < RELIABLE:
        return refused(NAME, moved, f"importance weights are unreliable (Pareto k-hat {k:.2f}, needs < {RELIABLE})")
    weights = normalised(log_w)
    squares = torch.where(torch.isfinite(log_w), group_tau2(log_p.clamp_min(-1e300)), 0.0)
    mean, se = weighted_mean(weights, squares)
    upper = float(mean) + 3 * float(se) + 3 * (n - 1) * float(weights.square().sum())
    if upper >= 1:
        return refused(NAME, moved, f"the group's asymmetry is too large (tau^2 up to {upper:.2g})")
    own = normalised(draws.log_weights)
    total = (own @ (h - own @ h).square()).sum().sqrt()
    values = tau_bound(math.sqrt(upper)) * total / draws.sd_low[torch.tensor(moved)]
    premises = (Premise(SUPPORT, Evidence.VERIFIED, f"Pareto k-hat {k:.2f} < {RELIABLE} on {len(draws.z)} draws"),)
    return judged(NAME, moved, values, premises, f"group of {n} elements")


def _check_group(matrices: Tensor, dim: int, eye: Tensor) -> None:
    """Orthogonal, and closed: an average over part of a group is no projection."""
    if matrices.ndim != 3 or matrices.shape[1:] != (dim, dim):
        raise ValueError(
            f"expected matrices[n, {dim}, {dim}], got {tuple(matrices.shape)}, because they act on the target's space; "
            "try action.matrix(group.elements())"
        )
    if not torch.allclose(matrices @ matrices.mT, eye.expand_as(matrices), atol=1e-9):
        raise ValueError("expected orthogonal matrices, got others, because the bound needs an isometric action")
    products = torch.einsum("aij,bjk->abik", matrices, matrices).reshape(-1, dim * dim)
    if float(torch.cdist(products, matrices.reshape(-1, dim * dim)).amin(-1).max()) > 1e-8:
        raise ValueError("expected all elements of a group, got a set not closed under products; try its closure")
