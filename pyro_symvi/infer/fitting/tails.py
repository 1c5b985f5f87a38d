"""Is the divergence finite at all? A check of the tails before any optimisation."""

from __future__ import annotations

import torch

from ...density import LogDensity
from ...divergences import Divergence
from ...families import LocationScale, Parameters

_RADII = (0.0, 30.0, 100.0, 300.0, 1e3, 1e4, 1e6, 1e8)
_DEPTH = 60.0
"""Growth counts only where the integrand is within this many nats of its value at the centre: a divergent tail climbs
back to it, while a ray through a valley of a well-behaved target may rise again far below."""


def require_finite_divergence(
    density: LogDensity, family: LocationScale, parameters: Parameters, divergence: Divergence
) -> None:
    r"""Refuse a divergence whose integrand grows along a ray.

    With exponent :math:`\alpha` on the target the integrand is :math:`p^\alpha q^{1-\alpha}` (times
    :math:`|\log(p/q)|` at 0 and 1). On rays :math:`\nu + t\,Cv`, 30 to 10^8 scales out (as far as numbers are
    finite), the logarithmic slope of integrand times :math:`t^{d}` must be negative, or the integral diverges in a
    neighbourhood of the ray. The test reads off powers, as of a Student-t target under a normal guide; growth that
    shows on curves only, or further out, is not seen.

    Raises:
        ValueError: The integral diverges; the message has the direction and what to use.
    """
    dim, alpha = family.dim, divergence.alpha
    generator = torch.Generator().manual_seed(5)
    axes = torch.eye(min(dim, 64), dim, dtype=torch.float64)
    random = torch.randn(32, dim, dtype=torch.float64, generator=generator)
    rays = torch.cat([axes, -axes, random / random.norm(dim=-1, keepdim=True)])
    rays_in_z = family.apply(parameters["scale"], rays)

    def integrand(radius: float) -> torch.Tensor:
        z = parameters["loc"] + radius * rays_in_z
        p, q = density(z).detach(), family.log_prob(z, parameters)
        if alpha in (0.0, 1.0):
            return (p if alpha == 1 else q) + (p - q).abs().log()
        return alpha * p + (1 - alpha) * q

    logs = torch.stack([integrand(radius) for radius in _RADII])
    radii = torch.tensor(_RADII, dtype=torch.float64)[1:, None].log()
    center, logs = logs[0], logs[1:] + dim * radii
    slopes = logs.diff(dim=0) / radii.diff(dim=0)
    usable = torch.isfinite(logs[1:]) & torch.isfinite(logs[:-1])
    last = (usable * torch.arange(1, len(slopes) + 1)[:, None]).argmax(0)[None]
    high = logs[1:].gather(0, last)[0] > center.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0) - _DEPTH
    slope = torch.where(usable.any(0) & high, slopes.gather(0, last)[0], -torch.inf)
    if bool((slope >= -1e-3).any()):
        worst = int(slope.argmax())
        site = _leading_coordinate(density, rays[worst])
        if alpha > 0:
            remedy = 'a heavier-tailed base (base="student_t" with a small df), a smaller alpha, or ReverseKL()'
        else:
            lighter = 'a lighter-tailed base (base="normal"), or ' if family.law.name != "normal" else ""
            remedy = f"{lighter}an alpha between 0 and 1"
        raise ValueError(
            f"expected a finite divergence, got an infinite {divergence!r} between this target and a "
            f"{family.law.name} guide, because the integrand p^{alpha:g} q^{1 - alpha:g} grows in the tail (along "
            f"{site}); try {remedy}"
        )


def _leading_coordinate(density: LogDensity, ray: torch.Tensor) -> str:
    index = int(ray.abs().argmax())
    return f"{'+' if ray[index] > 0 else '-'}{density.coordinates[index]}"
