"""Whether the density falls fast enough for means and covariances to exist: its powers along rays."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...density import LogDensity
from ...density._proposal import Scale

_RADII = tuple(10 ** (2 + k / 2) for k in range(13))
_FURTHER = tuple(10 ** (8 + k / 2) for k in range(9))
_BEND = 0.5
"""Where the power falls by more than this from one step to the next, log p has not settled: the ray is followed on."""
_DEEPEST = 700.0


@dataclass(frozen=True)
class Tails:
    """Powers by which the density falls along rays, less the dimension of the rays' span.

    Attributes:
        least: The smallest over all rays: at most zero means that the density is not integrable along them.
        of: ``[d]``, the smallest over rays that move a coordinate; its moment of order m needs more than m.
        ray: Where ``least`` was met, in words.
    """

    least: float
    of: torch.Tensor
    ray: str


def tail_powers(density: LogDensity, main: Scale, *, generator: torch.Generator) -> Tails:
    r"""Powers a with :math:`p \sim t^{-a}` along rays, minus the number k of coordinates that span them.

    Rays move one coordinate or along one principal axis (k = 1), one site (k its size) or all (k = d), the others at
    the centre; the power is the
    slope of log p in log t between the outermost two of 13 distances, 10^2 to 10^8 scales, where it is finite. The mass
    of a neighbourhood of a ray out to t grows like :math:`\int t^{k-1-a} dt`: with a <= k it is infinite, with
    a <= k + m it has no moment of order m. Exponential tails have no power and give large numbers.

    A ray that climbs out of a valley has no power yet: where a direction moves the logarithm of a scale by 1e-7 of a
    standard deviation, from rounding, that scale's exponential tail begins near 10^8. Rays on which the power falls by
    the way are followed to 10^12, and theirs is the smallest over the last two decades: a plateau or growth is seen.
    """
    dim = density.dim
    unit = main.root.square().sum(-1).sqrt()

    def normal(n: int) -> torch.Tensor:
        return torch.randn(n, dim, dtype=torch.float64, generator=generator)

    single = torch.diag(unit)
    blocks, sizes, names = [single], [torch.ones(dim)], list(density.coordinates)
    for site in density.sites:
        size = site.slice.stop - site.slice.start
        if 1 < size < dim:
            inside = torch.zeros(dim, dtype=torch.bool)
            inside[site.slice] = True
            blocks.append(torch.where(inside, normal(4) * unit, 0.0))
            sizes.append(torch.full((4,), float(size)))
            names += [site.name] * 4
    if dim > 1:
        vectors, sizes_along, _ = torch.linalg.svd(main.root / unit[:, None])
        blocks.append(unit * (vectors * sizes_along).mT)  # principal axes: ridges run along them
        sizes.append(torch.ones(dim))
        names += ["a principal axis"] * dim
        blocks.append(normal(16) @ main.root.mT)
        sizes.append(torch.full((16,), float(dim)))
        names += ["a direction that moves every coordinate"] * 16
    rays = torch.cat(blocks)
    rays, size, names = torch.cat([rays, -rays]), torch.cat(sizes * 2).double(), names * 2

    values = torch.stack([density(main.center + radius * rays).detach() for radius in _RADII])
    power, log_radius, value, bend = _outermost(values, _RADII, 1)
    bent = bend > _BEND
    if bool(bent.any()):
        further = torch.stack([density(main.center + radius * rays[bent]).detach() for radius in _FURTHER])
        settled, log_reached, reached, _ = _outermost(further, _FURTHER, 4)
        seen = settled > -torch.inf
        power[bent] = torch.where(seen, settled, power[bent])
        log_radius[bent] = torch.where(seen, log_reached, log_radius[bent])
        value[bent] = torch.where(seen, reached, value[bent])
    # a power law would not be this deep out there: a ray that leaves a ridge and comes back to it is no tail
    is_power = (power > -torch.inf) & (float(density(main.center)) - value < (size + 4) * log_radius + _DEEPEST)
    power = torch.where(is_power, power, torch.inf) - size
    of = torch.where(rays.abs() > 1e-3 * unit, power[:, None], torch.inf).amin(0)
    worst = int(power.argmin())
    return Tails(float(power[worst]), of, names[worst])


def _outermost(
    values: torch.Tensor, radii: tuple[float, ...], count: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of log densities ``[n, r]`` along rays, where finite: the smallest of the last ``count`` powers (minus infinity
    where there is none), log distance and value at the last of them, and the largest fall of the power on the way."""
    logs = torch.tensor(radii, dtype=torch.float64).log()
    usable = torch.isfinite(values[1:]) & torch.isfinite(values[:-1])
    powers = torch.where(usable, -values.diff(dim=0) / logs.diff()[:, None], torch.inf)
    falls = torch.where(usable[1:] & usable[:-1], -powers.diff(dim=0), -torch.inf)
    steps = torch.arange(len(powers))[:, None]
    last = torch.where(usable, steps, 0).amax(0)
    least = torch.where(steps > last - count, powers, torch.inf).amin(0)
    least = torch.where(usable.any(0), least, -torch.inf)
    return least, logs[1:][last], values[1:].gather(0, last[None])[0], falls.amax(0)
