"""Means of weights, taken in log space and stable where their order tends to zero."""

import math

import torch
from torch import Tensor


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """``log((1/K) sum_k exp(l_k))`` over dimension 0; shape ``(K, *batch) -> batch``."""
    return torch.logsumexp(log_weights, dim=0) - math.log(log_weights.shape[0])


def log_power_mean(log_weights: Tensor, order: float, log_mass: Tensor | None = None) -> Tensor:
    """Logarithm of the power mean (Hoelder mean) ``M_r(w) = (sum_k m_k w_k^r)^(1/r)`` with ``w = exp(l)``.

    ``r = 0`` is the geometric mean, ``sum_k m_k l_k``; the result is continuous in r there to rounding, because for
    small ``r l`` the sum is taken as ``log1p(sum_k m_k expm1(r l_k)) / r``. Particles of zero mass do not count,
    whatever their weight (``0 * (-inf) = 0``).

    Args:
        log_weights: l, shape ``(K, *batch)``.
        order: r, finite.
        log_mass: ``log m_k``, shape ``(K, *batch)``, with ``sum_k m_k = 1``; uniform if omitted.

    Returns:
        Shape ``batch``.
    """
    if log_mass is None:
        if order == 0.0:
            return log_weights.mean(0)
        log_mass = torch.full_like(log_weights, -math.log(log_weights.shape[0]))
    else:
        log_weights = torch.where(torch.isneginf(log_mass), torch.zeros_like(log_weights), log_weights)
        if order == 0.0:
            return (log_mass.exp() * log_weights).sum(0)
    centre = log_weights.detach().amax(0)
    centre = torch.where(torch.isfinite(centre), centre, torch.zeros_like(centre))
    exponents = order * (log_weights - centre)
    near = exponents.abs().amax(0) <= 1.0
    small = torch.log1p((log_mass.exp() * torch.expm1(exponents.clamp(-1.0, 1.0))).sum(0))
    large = torch.logsumexp(log_mass + exponents, dim=0)
    return centre + torch.where(near, small, large) / order


def expm1_over(x: Tensor, rate: float) -> Tensor:
    """``(exp(rate x) - 1) / rate``, which tends to x as the rate tends to zero; rate not zero, elementwise."""
    return torch.expm1(rate * x) / rate
