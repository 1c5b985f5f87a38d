"""Is the divergence finite at all? A check of the tails before any optimisation."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from ...density import LogDensity
from ...divergences import Divergence
from ...families import LocationScale, Parameters

_RADII = (0.0, 30.0, 100.0, 300.0, 1e3, 1e4, 1e6, 1e8)
_DEPTH = 60.0
"""Growth counts only where the integrand is within this many nats of its value at the centre: a divergent tail climbs
back to it, while a ray through a valley of a well-behaved target may rise again far below."""

_LEAST = -1e-3
_SAME_POWER = 0.5
"""Half of what the power falls by, at the least, where one more coordinate of a product law with a mean moves."""
_MOST_PARTNERS = 31


def require_finite_divergence(
    density: LogDensity, family: LocationScale, parameters: Parameters, divergence: Divergence
) -> None:
    r"""Refuse a divergence whose integrand grows along a ray.

    With exponent :math:`\alpha` on the target the integrand is :math:`p^\alpha q^{1-\alpha}` (times
    :math:`|\log(p/q)|` at 0 and 1). On rays :math:`\nu + t\,Cv`, 30 to 10^8 scales out (as far as numbers are
    finite), the logarithmic slope of integrand times :math:`t^{d}` must be negative, or the integral diverges in a
    neighbourhood of the ray. Around an axis that neighbourhood need not be a cone: of a product of Student-t laws each
    axis has a ridge, of width 1, whose mass grows like :math:`t^{1}`. So along axes d is replaced by one and the number
    of other coordinates that can move in proportion while the power stays (of more than 32, estimated from 31). The
    test reads off powers, as of a Student-t target under a normal guide; growth that shows on curves only, or further
    out, is not seen.

    Raises:
        ValueError: The integral diverges; the message has the direction and what to use.
    """
    dim, alpha = family.dim, divergence.alpha
    generator = torch.Generator().manual_seed(5)
    axes = torch.eye(min(dim, 64), dim, dtype=torch.float64)
    random = torch.randn(32, dim, dtype=torch.float64, generator=generator)
    rays = torch.cat([axes, -axes, random / random.norm(dim=-1, keepdim=True)])

    def integrand(rays: torch.Tensor, radius: float) -> torch.Tensor:
        z = parameters["loc"] + radius * family.apply(parameters["scale"], rays)
        p, q = density(z).detach(), family.log_prob(z, parameters)
        if alpha in (0.0, 1.0):
            return (p if alpha == 1 else q) + (p - q).abs().log()
        return alpha * p + (1 - alpha) * q

    center = integrand(rays[:1], 0.0).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    slope, level, log_radius = _outermost(integrand, rays)
    slope = torch.where(level + dim * log_radius > center - _DEPTH, slope + dim, -torch.inf)
    flagged = slope >= _LEAST
    worst = int(slope[2 * len(axes) :].argmax()) + 2 * len(axes)
    for i in torch.where(flagged[: 2 * len(axes)])[0].tolist() if not flagged[worst] else []:
        partners = _partners(density, int(rays[i].abs().argmax()))
        aside = rays[i] + 0.5 * torch.cat([partners, -partners])
        kept = _outermost(integrand, aside)[0] >= slope[i] - dim - _SAME_POWER
        share = float(kept.view(2, -1).any(0).double().mean()) if len(partners) else 0.0
        slope[i] += 1 + math.ceil(share * (dim - 1)) - dim
        if slope[i] >= _LEAST:
            worst = i
            break
    if slope[worst] >= _LEAST:
        site = _leading_coordinate(density, rays[int(slope.argmax())])  # an axis says more than a random ray
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


def _outermost(
    integrand: Callable[[torch.Tensor, float], torch.Tensor], rays: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Slope of the logarithm in log t (minus infinity: none), its value and log t where it is last finite, ``[r]``."""
    logs = torch.stack([integrand(rays, radius) for radius in _RADII[1:]])
    radii = torch.tensor(_RADII[1:], dtype=torch.float64).log()
    slopes = logs.diff(dim=0) / radii.diff()[:, None]
    usable = torch.isfinite(logs[1:]) & torch.isfinite(logs[:-1])
    last = (usable * torch.arange(1, len(slopes) + 1)[:, None]).argmax(0)
    slope = torch.where(usable.any(0), slopes.gather(0, last[None])[0], -torch.inf)
    return slope, logs[1:].gather(0, last[None])[0], radii[1:][last]


def _partners(density: LogDensity, index: int) -> torch.Tensor:
    """Unit vectors along other coordinates ``[n, d]``: all of a few, of many those of the same site first."""
    others = [j for j in range(density.dim) if j != index]
    if len(others) > _MOST_PARTNERS:
        (own,) = (range(s.slice.start, s.slice.stop) for s in density.sites if s.slice.start <= index < s.slice.stop)
        near = [j for j in others if j in own][:_MOST_PARTNERS]
        far = [j for j in others if j not in near]
        free = _MOST_PARTNERS - len(near)
        others = near + (far[:: math.ceil(len(far) / free)] if free else [])
    return torch.eye(density.dim, dtype=torch.float64)[others]


def _leading_coordinate(density: LogDensity, ray: torch.Tensor) -> str:
    index = int(ray.abs().argmax())
    return f"{'+' if ray[index] > 0 else '-'}{density.coordinates[index]}"
