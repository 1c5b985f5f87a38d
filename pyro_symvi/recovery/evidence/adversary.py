"""Where to look for a violation: random points, points along axes and sites, and a climb on the residual."""

from __future__ import annotations

import torch

from ...density import LogDensity
from ...density._proposal import Scale, whiten
from ...groups import AffineAction

SCREENED = 2048
"""Points whose residual is looked at only for being large."""
_WORST = 16
_EPS = 2.0**-52


def random_points(action: AffineAction, scale: Scale, count: int, generator: torch.Generator) -> torch.Tensor:
    """The points ``[count, d]`` of a residual test: see `residuals.residual_test`."""
    third, dim = count // 3, len(scale.center)
    chi2 = torch.randn(third, 5, dtype=torch.float64, generator=generator).square().sum(-1, keepdim=True)
    bulk = _normal(third, dim, generator) * (5 / chi2).sqrt()
    spread = _sphere(third, dim, generator) * _power(third, -3, 3, generator)
    moved = torch.zeros(dim, dtype=torch.bool)
    moved[action.resolve_coordinates(dim)] = True
    rest = count - 2 * third
    beyond = rest // 8
    lengths = torch.cat([_power(rest - beyond, -1, 12, generator), _power(beyond, 12, 150, generator)])
    away = (_sphere(rest, dim, generator) * lengths) @ scale.root.mT
    last = scale.center + torch.where(moved, away, _normal(rest, dim, generator) @ scale.root.mT)
    return torch.cat([scale.center + bulk @ scale.root.mT, scale.center + spread @ scale.root.mT, last])


def screening_points(
    density: LogDensity, action: AffineAction, scale: Scale, count: int, generator: torch.Generator
) -> torch.Tensor:
    """Points ``[count, d]``, 1 to 100 scales out, most of them within 30: where a bump or another tail would show.

    Half in random directions, a quarter along single moved coordinates (both ways, by their own scale), a quarter in
    the coordinates of one site, the others drawn from the bulk.
    """
    dim, quarter = density.dim, count // 4
    free = count - 2 * quarter
    radii = torch.cat([_power(free - free // 4, 0, 1.2, generator), _power(free // 4, 1.2, 2, generator)])
    everywhere = (_sphere(free, dim, generator) * radii) @ scale.root.mT
    moved = action.resolve_coordinates(dim).tolist()
    unit = scale.root.square().sum(-1).sqrt()
    bulk = _normal(2 * quarter, dim, generator) @ scale.root.mT
    which = torch.tensor(moved)[torch.randint(len(moved), (quarter,), generator=generator)]
    sign = torch.randint(0, 2, (quarter,), generator=generator).double() * 2 - 1
    along = 0.3 * bulk[:quarter]
    along[torch.arange(quarter), which] = sign * unit[which] * _power(quarter, 0, 2, generator)[:, 0]
    sites = [[i for i in range(dim)[site.slice] if i in set(moved)] for site in density.sites]
    masks = torch.zeros(len(sites), dim, dtype=torch.bool)
    for row, site in zip(masks, sites, strict=True):
        row[site] = True
    masks = masks[masks.any(-1)]
    mask = masks[torch.randint(len(masks), (quarter,), generator=generator)]
    out = (_sphere(quarter, dim, generator) * _power(quarter, 0, 1.5, generator)) @ scale.root.mT
    in_site = torch.where(mask, out, bulk[quarter:])
    return scale.center + torch.cat([everywhere, along, in_site])


def between(places: list[torch.Tensor], center: torch.Tensor) -> torch.Tensor:
    """Points ``[n, d]``: the places given, and a quarter, half and three quarters of the way to them."""
    if not places:
        return center[None][:0]
    way = torch.tensor([1.0, 0.75, 0.5, 0.25], dtype=torch.float64)[:, None, None]
    return (center + way * (torch.stack(places) - center)).flatten(0, 1)


def worst_of(
    density: LogDensity,
    action: AffineAction,
    g: torch.Tensor,
    z: torch.Tensor,
    log_p: torch.Tensor | None = None,
    count: int = _WORST,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The points with the largest residuals for their rounding, and their group elements."""
    there = density(action.act(g, z)).detach()
    here = density(z).detach() if log_p is None else log_p
    size = (there + action.log_abs_det(g, z) - here).abs() / (1e-9 + 64 * _EPS * (here.abs() + there.abs()))
    one_sided = torch.isfinite(there) ^ torch.isfinite(here)
    size = torch.where(one_sided, torch.inf, size.nan_to_num(nan=0.0, posinf=0.0))
    worst = size.topk(min(count, len(z))).indices
    return g[worst], z[worst]


def elements(action: AffineAction, count: int, generator: torch.Generator) -> torch.Tensor:
    """The non-trivial element of a reflection, ``count`` times; Haar draws of any other group."""
    if action.group.order == 2:
        identity = action.group.identity(dtype=torch.float64)
        other = [g for g in action.group.elements(dtype=torch.float64) if not torch.equal(g, identity)]
        return other[0].expand(count, *other[0].shape)
    return action.group.sample(count, dtype=torch.float64, generator=generator)


def ascend(
    density: LogDensity, action: AffineAction, scale: Scale, g: torch.Tensor, z: torch.Tensor, steps: int
) -> torch.Tensor:
    """Normalised gradient ascent on ``|r|`` in whitened coordinates; the best point of each path."""
    x = whiten(scale, z - scale.center)
    length = 0.3 * (1 + x.norm(dim=-1, keepdim=True)).clamp_max(10)
    best, best_value = z.clone(), torch.zeros(len(z), dtype=torch.float64)
    for _ in range(steps):
        point = scale.center + x @ scale.root.mT
        residual, gradient = residual_and_gradient(density, action, g, point)
        better = torch.isfinite(residual) & (residual.abs() > best_value)
        best = torch.where(better[:, None], point, best)
        best_value = torch.where(better, residual.abs(), best_value)
        gradient = (residual.sign()[:, None] * gradient @ scale.root).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        x = x + length * gradient / gradient.norm(dim=-1, keepdim=True).clamp_min(1e-300)
        length = 0.9 * length
    return best


def residual_and_gradient(
    density: LogDensity, action: AffineAction, g: torch.Tensor, z: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """r_g ``[n]`` and its gradient ``[n, d]``; the map is affine, its Jacobian is pulled back by one product."""
    leaf = z.clone().requires_grad_()
    image = action.act(g, leaf)
    value, gradient = density.value_and_grad(torch.cat([image.detach(), z]))
    there, here = value.chunk(2)
    along, along_here = gradient.chunk(2)
    along = along.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    (pulled,) = torch.autograd.grad(image, leaf, along)
    return there + action.log_abs_det(g, z) - here, pulled - along_here


def _normal(n: int, dim: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(n, dim, dtype=torch.float64, generator=generator)


def _power(n: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    return 10 ** (low + (high - low) * torch.rand(n, 1, dtype=torch.float64, generator=generator))


def _sphere(n: int, dim: int, generator: torch.Generator) -> torch.Tensor:
    x = _normal(n, dim, generator)
    return x / x.norm(dim=-1, keepdim=True)
