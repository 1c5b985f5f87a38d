"""Kullback-Leibler divergences between laws on the sphere, registered with torch: KL(p || q), p first.

KL(von Mises-Fisher || power spherical), and KL between power spherical laws of different directions, need the mean of
log(1 + mu.x) under another law and have no closed form; torch raises NotImplementedError for them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions.kl import register_kl

from pyro_symvi.special import bessel_ratio, bessel_ratio_complement, log_hyp0f1, log_sphere_area

from .power_spherical import PowerSpherical
from .spherical_uniform import SphericalUniform
from .von_mises_fisher import VonMisesFisher


def _check_dim(p: Any, q: Any) -> None:
    if p.dim != q.dim:
        raise ValueError(
            f"expected two laws on one sphere, got dimensions {p.dim} and {q.dim}, because the divergence compares "
            "densities; try laws of the same event_shape"
        )


def _spread(value: Tensor, p: Any, q: Any) -> Tensor:
    """A value, computed before expansion, in the joint batch shape."""
    return value.expand(torch.broadcast_shapes(p.batch_shape, q.batch_shape))


@register_kl(VonMisesFisher, VonMisesFisher)
def _vmf_vmf(p: VonMisesFisher, q: VonMisesFisher) -> Tensor:
    """With h = |mu_p - mu_q|^2 / 2: (k_q - k_p) (1 - A_p) + k_q A_p h + M(k_q) - M(k_p), M = log 0F1 - kappa."""
    _check_dim(p, q)
    gap, ratio = (f(p.dim, p._kappa) for f in (bessel_ratio_complement, bessel_ratio))
    turn = q._kappa * ratio * q.half_square_distance(p._mu)
    stretch = (q._kappa - p._kappa) * gap
    heights = log_hyp0f1(p.dim, q._kappa, scaled=True) - log_hyp0f1(p.dim, p._kappa, scaled=True)
    return _spread(stretch + turn + heights, p, q)


@register_kl(VonMisesFisher, SphericalUniform)
def _vmf_uniform(p: VonMisesFisher, q: SphericalUniform) -> Tensor:
    _check_dim(p, q)
    return _spread(p.divergence_from_uniform(), p, q)


@register_kl(PowerSpherical, VonMisesFisher)
def _power_vmf(p: PowerSpherical, q: VonMisesFisher) -> Tensor:
    """-H(p) - log q(mu_q) + k_q (1 - E mu_q.x), where E mu_q.x = k_p / (k_p + d - 1) mu_p.mu_q."""
    _check_dim(p, q)
    m = p.dim - 1
    gap = (m + p._kappa * q.half_square_distance(p._mu)) / (p._kappa + m)
    return _spread(q._kappa * gap - q.angle.log_density_at_mode(q._kappa) - p.entropy(), p, q)


@register_kl(PowerSpherical, SphericalUniform)
def _power_uniform(p: PowerSpherical, q: SphericalUniform) -> Tensor:
    _check_dim(p, q)
    return _spread(log_sphere_area(p.dim) - p.entropy(), p, q)


@register_kl(SphericalUniform, VonMisesFisher)
def _uniform_vmf(p: SphericalUniform, q: VonMisesFisher) -> Tensor:
    """Equals log 0F1(d/2; kappa^2 / 4): the mean of the cosine is 0."""
    _check_dim(p, q)
    return _spread(log_hyp0f1(q.dim, q._kappa), p, q)


@register_kl(SphericalUniform, PowerSpherical)
def _uniform_power(p: SphericalUniform, q: PowerSpherical) -> Tensor:
    """-log area - log q(mu) - kappa E log((1 + mu.x)/2)."""
    _check_dim(p, q)
    kappa = q._kappa.double()
    fall = kappa * q.angle.constant(torch.zeros_like(kappa))
    divergence = fall - q.angle.log_density_at_mode(kappa) - log_sphere_area(q.dim)
    return _spread(divergence.to(q._kappa.dtype), p, q)


@register_kl(SphericalUniform, SphericalUniform)
def _uniform_uniform(p: SphericalUniform, q: SphericalUniform) -> Tensor:
    _check_dim(p, q)
    return p._like.new_zeros(torch.broadcast_shapes(p.batch_shape, q.batch_shape))
