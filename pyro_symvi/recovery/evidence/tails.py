"""Whether the density falls fast enough for means and covariances to exist: its powers along rays."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...density import LogDensity
from ...density._proposal import Scale

_RADII = tuple(10 ** (2 + k / 2) for k in range(13))
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
    logs = torch.tensor(_RADII, dtype=torch.float64).log()[:, None]
    slopes = values.diff(dim=0) / logs.diff(dim=0)
    usable = torch.isfinite(values[1:]) & torch.isfinite(values[:-1])
    last = (usable * torch.arange(1, len(slopes) + 1)[:, None]).argmax(0)[None]
    power = -slopes.gather(0, last)[0]
    # a power law would not be this deep out there: a ray that leaves a ridge and comes back to it is no tail
    depth = float(density(main.center)) - values[1:].gather(0, last)[0]
    is_power = usable.any(0) & (depth < (size + 4) * logs[1:, 0][last[0]] + _DEEPEST)
    power = torch.where(is_power, power, torch.inf) - size
    of = torch.where(rays.abs() > 1e-3 * unit, power[:, None], torch.inf).amin(0)
    worst = int(power.argmin())
    return Tails(float(power[worst]), of, names[worst])
