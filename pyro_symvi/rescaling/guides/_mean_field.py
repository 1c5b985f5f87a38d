"""The best point of the rescaling orbit of a mean-field normal: the likelihood does not notice, the prior does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._group import RescalingGroup
from ..criteria import PriorCriterion
from ..solvers import newton
from ._buffers import refuse_buffers


@dataclass(frozen=True, eq=False)
class MeanFieldPoint:
    """A mean-field normal moved along its rescaling orbit.

    Attributes:
        loc: its locations ``[dim]``.
        scale: its standard deviations ``[dim]``.
        log_scale: z ``[H]``, from the one given to this one.
        kl: KL divergence to the prior, in nats, before and after.
    """

    loc: Tensor
    scale: Tensor
    log_scale: Tensor
    kl: tuple[float, float]

    @property
    def gain(self) -> float:
        """What the evidence lower bound has risen by, in nats; never negative."""
        return self.kl[0] - self.kl[1]


def kl_to_prior(loc: Tensor, scale: Tensor, prior_scale: Tensor | float) -> Tensor:
    """KL(N(loc, scale^2) | N(0, prior_scale^2)) of independent entries, ``[*batch]`` from ``[*batch, dim]``."""
    ratio = scale / prior_scale
    return (ratio.square() + (loc / prior_scale).square() - 1 - 2 * ratio.log()).sum(-1) / 2


def best_mean_field(group: RescalingGroup, loc: Tensor, scale: Tensor, prior_scale: Tensor | float) -> MeanFieldPoint:
    r"""The member of the orbit of q = N(loc, diag scale^2) with the largest evidence lower bound.

    Rescaled weights theta e^{-Bz/2} of theta ~ q have the law N(loc e^{-Bz/2}, diag scale^2 e^{-Bz}), a mean-field
    normal again, and compute the same function. So the expected log likelihood is constant along the orbit, and with
    the prior N(0, sigma^2)

        KL(z) = 1/2 sum_i (loc_i^2 + scale_i^2) / sigma_i^2 e^{-(Bz)_i} + 1/2 1^T B z + const,

    convex with one minimum (:class:`~pyro_symvi.rescaling.PriorCriterion`, second moments for squares). There
    E_q[in_h - out_h] = |in_h| - |out_h| for each unit h (degree 1), energies in units of sigma^2: the identity that
    the exact posterior satisfies.

    Args:
        group: the rescalings of the network.
        loc: ``[dim]``, in the order of ``group.layout``.
        scale: ``[dim]``, positive.
        prior_scale: sigma, a number or ``[dim]``, positive.

    Raises:
        ValueError: shapes that differ, numbers that are not finite, scales that are not positive.
        groups.UnsupportedError: a group with folded batch norm, or activations of another degree than 1.
    """
    refuse_buffers(group)
    sigma = torch.as_tensor(prior_scale, dtype=torch.float64).expand(group.dim)
    m, s = loc.detach().double().cpu(), scale.detach().double().cpu()
    for name, value in (("loc", m), ("scale", s)):
        if value.shape != (group.dim,):
            raise ValueError(f"expected {name} [{group.dim}], one entry a parameter, got shape {list(value.shape)}")
    if not bool(torch.isfinite(m).all()):
        raise ValueError("expected finite locations, got nan or inf in loc; try a guide whose training went well")
    for name, value in (("scale", s), ("prior_scale", sigma)):
        if not bool((torch.isfinite(value) & (value > 0)).all()):
            raise ValueError(f"expected positive finite entries of {name}, got {value.min():.3g} to {value.max():.3g}")
    before = float(kl_to_prior(m, s, sigma))
    z = torch.zeros(group.num_units, dtype=torch.float64)
    if group.num_units:
        moments = (m.square() + s.square()).sqrt()
        z = torch.from_numpy(newton(PriorCriterion(sigma).problem(group.traced, moments), tolerance=1e-10).z)
    factors = group.action.log_factors(z / 2).exp()
    after = float(kl_to_prior(m * factors, s * factors, sigma))
    if after > before:  # by rounding: it was at the optimum
        z, factors, after = torch.zeros_like(z), torch.ones_like(factors), before
    return MeanFieldPoint((m * factors).to(loc), (s * factors).to(scale), z, (before, after))
