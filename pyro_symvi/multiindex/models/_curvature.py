"""Second derivatives of the ELBO at a tied point, in the directions that tell the units apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..links import Link
from ._elbo import Activation
from ._moments import unit_moments


def standard_curvature(
    loc: Tensor, scale: Tensor, x: Tensor, y: Tensor, *, units: int, activation: Activation, noise: float
) -> Tensor:
    r"""Hessian of -`committee_elbo` at a tied point in the standard representation of S_p, ``[2d, 2d]``.

    Directions (e_k u, e_k r), k = 1, ..., p, with sum_k e_k = 0 and \|e\| = 1: means move by e_k u, log scales by
    e_k r. By Schur's lemma the block is the same for every such e, and appears p - 1 times in the Hessian. In the
    coordinates sqrt(d) u and r, so that without data it is diag(1, 2 d s^2).

    The block of the means is a spectral matrix of the data (our derivation), with f, g the first two moments of sigma
    at each input, ' the derivative in the mean and r_i = y_i - sqrt(p) f_i:

    .. math:: I + \frac1d\sum_i T_i\,x_ix_i^T,\qquad
        T_i = \frac1\Delta\Bigl[-\frac{r_i f_i''}{\sqrt p} + \frac{g_i'' - 2f_i'^2 - 2f_if_i''}{2p}\Bigr],

    with T affine in y. At m = 0 and prior scales f'' is E[sigma (z^2 - 1)]: an even activation without a second Hermite
    coefficient leaves no trace of its weights in this matrix, at any n. The optimal spectral estimator (Mondelli and
    Montanari 2019) uses E[z^2 - 1 | y], which is not affine.

    A negative eigenvalue is a direction in which the tied guide's ELBO rises by telling units apart; whether that is
    towards the data's own weights, its eigenvector's overlap with them says.

    Args:
        loc: The common mean m ``[d]``.
        scale: The common standard deviation, ``[d]`` or ``[]``.
        x: Inputs ``[n, d]``.
        y: Outputs ``[n]``.
        units: The number p, 2 or more.
        activation: Of the units.
        noise: The variance Delta.

    Raises:
        ValueError: Fewer than two units: nothing can be told apart.
    """
    if units < 2:
        raise ValueError(f"expected two units or more, got {units}, because one has none to be told apart from")
    dim = x.shape[1]
    spread = scale.detach().square().expand(dim)
    mean = (x @ loc.detach()).requires_grad_()
    variance = (x.square() @ spread).requires_grad_()
    with torch.enable_grad():
        f, g = unit_moments(Link.of(activation), mean, variance)
        f_a, f_v, f_av, f_vv = _derivatives(f, mean, variance)
        _, g_v, g_av, g_vv = _derivatives(g, mean, variance)
    f, root = f.detach(), math.sqrt(units)
    pull = -(y - root * f) / root

    def coefficient(f_st: Tensor, product: Tensor, g_st: Tensor) -> Tensor:
        """Second derivative of the loss of a datum; ``product`` is that of two first derivatives of f."""
        return (pull * f_st + (g_st - 2 * product - 2 * f * f_st) / (2 * units)) / noise

    heat = coefficient(2 * f_v, f_a.square(), 2 * g_v)  # second derivatives in the mean: the heat equation
    cross, second = coefficient(f_av, f_a * f_v, g_av), coefficient(f_vv, f_v.square(), g_vv)
    first = (pull * f_v + (g_v - 2 * f * f_v) / (2 * units)) / noise
    moved = 2 * x.square() * spread  # derivative of the variance in the log scales
    means = dim * torch.eye(dim).to(x) + x.mT @ (heat[:, None] * x)
    mixed = x.mT @ (cross[:, None] * moved)
    scales = moved.mT @ (second[:, None] * moved) + torch.diag(2 * dim * spread + 2 * (first @ moved))
    above = torch.cat([means / dim, mixed / math.sqrt(dim)], 1)
    return torch.cat([above, torch.cat([mixed.mT / math.sqrt(dim), scales], 1)])


def _derivatives(h: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """In the mean, in the variance, in both, and twice in the variance, entry by entry."""
    in_mean, in_variance = torch.autograd.grad(h.sum(), (mean, variance), create_graph=True)
    both, twice = torch.autograd.grad(
        in_variance.sum(), (mean, variance), retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return in_mean.detach(), in_variance.detach(), both.detach(), twice.detach()
