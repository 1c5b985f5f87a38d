"""Kullback-Leibler divergences between laws on the sphere, registered with torch: KL(p || q), p first."""

from __future__ import annotations

from typing import Any

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


@register_kl(VonMisesFisher, VonMisesFisher)
def _vmf_vmf(p: VonMisesFisher, q: VonMisesFisher) -> Tensor:
    """With h = |mu_p - mu_q|^2 / 2: (k_q - k_p) (1 - A_p) + k_q A_p h + M(k_q) - M(k_p), M = log 0F1 - kappa."""
    _check_dim(p, q)
    gap, ratio = (f(p.dim, p.concentration) for f in (bessel_ratio_complement, bessel_ratio))
    turn = q.concentration * ratio * q.half_square_distance(p.direction)
    stretch = (q.concentration - p.concentration) * gap
    heights = log_hyp0f1(p.dim, q.concentration, scaled=True) - log_hyp0f1(p.dim, p.concentration, scaled=True)
    return stretch + turn + heights


@register_kl(VonMisesFisher, SphericalUniform)
def _vmf_uniform(p: VonMisesFisher, q: SphericalUniform) -> Tensor:
    _check_dim(p, q)
    return p.divergence_from_uniform() + q.entropy().to(p.concentration) * 0


@register_kl(PowerSpherical, SphericalUniform)
def _power_uniform(p: PowerSpherical, q: SphericalUniform) -> Tensor:
    _check_dim(p, q)
    return log_sphere_area(p.dim) - p.entropy() + q.entropy().to(p.concentration) * 0


@register_kl(SphericalUniform, VonMisesFisher)
def _uniform_vmf(p: SphericalUniform, q: VonMisesFisher) -> Tensor:
    """Equals log 0F1(d/2; kappa^2 / 4): the mean of the cosine is 0."""
    _check_dim(p, q)
    return log_hyp0f1(q.dim, q.concentration) + p.entropy().to(q.concentration) * 0


@register_kl(SphericalUniform, SphericalUniform)
def _uniform_uniform(p: SphericalUniform, q: SphericalUniform) -> Tensor:
    _check_dim(p, q)
    return (p.entropy() + q.entropy()) * 0
