"""Looking for posterior mass far from where the guide is: other modes."""

from __future__ import annotations

import numpy as np
import torch

from ._laplace import laplace_approximation
from ._log_density import LogDensity
from ._proposal import Scale, whiten

_NEAR, _FAR = 12288, 8192
"""Points screened from 0.03 to 30 scales, where a second mode most often lies, and from 30 to 10^5."""
_SHELLS = 10
_FROM_SHELL = 6
_LARGE = 50
"""Beyond this dimension half the points are screened, and half as many climbed from: all of a shell look alike."""
_FAR_STARTS = 24
_STEPS = 150
_DEPTH = 40.0
"""A mode this many nats (and two a dimension, for its width) below the highest carries no mass that could matter."""
_SPIKE = 1.0
"""A point this many nats above a known mode belongs to another one, however near."""
_MOST = 6
_PASSES = 3


def distant_modes(
    density: LogDensity, main: Scale, *, generator: torch.Generator, num_points: int = _NEAR + _FAR
) -> list[Scale]:
    r"""Other local maxima of log p, each with the root of its inverse curvature, at most six.

    Gradient ascent (steps of Barzilai & Borwein, 1988) from three kinds of points: of ``num_points`` spread over ten
    shells, 0.03 to 10^5 scales out, those where the density, or its excess over what the known mode explains, is
    highest for their shell; directions drawn at random, 10^3 to 10^6 scales out; and images of the main mode under
    what exchanges labels and signs (coordinates of a site reversed or moved along, z -> -z, sites of one shape
    swapped). Far out, the
    gradient of a mixture leads to the broadest and nearest component. A mode much narrower than the main one is found
    only if a point falls near it. From the modes found, the search is repeated, three times in all. In more than 50
    dimensions, where points in random directions see the same of a mode, both numbers are halved.

    Args:
        density: The target.
        main: The known mode and its scale.
        generator: Random state.
        num_points: Points screened from each known mode.
    """
    num_points = num_points // 2 if density.dim > _LARGE else num_points
    known, bases, tried = [main], [main], list[torch.Tensor]()
    for number in range(_PASSES):
        if number < len(bases):
            new = _modes_around(density, bases[number], known, tried, generator, num_points)
            known += [scale for scale, _ in new]
            bases += [scale for scale, is_mode in new if is_mode]  # look again from there
    return known[1:]


def _modes_around(
    density: LogDensity,
    base: Scale,
    known: list[Scale],
    tried: list[torch.Tensor],
    generator: torch.Generator,
    num_points: int,
) -> list[tuple[Scale, bool]]:
    """Modes other than the known ones, looked for from one of them, and whether they have a curvature.

    ``tried`` grows by the points climbed from.
    """
    main = known[0]
    starts = torch.cat([_screened_starts(density, base, generator, num_points), _far_starts(base, generator)])
    if base is main:
        starts = torch.cat([starts, _relabelled(density, main.center)])
    ends, values = _ascend(density, base, starts)
    best = float(torch.where(torch.isfinite(values), values, -torch.inf).max())
    heights = density(torch.stack([s.center for s in known])).tolist()  # of the known modes, then of the new ones
    best = max(best, *heights)
    new: list[tuple[Scale, bool]] = []
    for index in values.argsort(descending=True).tolist():
        if not values[index] > best - _DEPTH - 2 * density.dim or len(tried) >= _MOST:
            break
        end, others = ends[index], [*known, *(scale for scale, _ in new)]
        value = float(values[index])
        if any(value <= height + _SPIKE and _apart(s, end) < 1.0 for s, height in zip(others, heights, strict=True)):
            continue
        if any(_apart(base, end, t) < 0.1 for t in tried):
            continue
        if not all(_valley_between(density, end, value, s.center) for s in others):
            continue
        tried.append(end)
        with np.errstate(over="ignore", invalid="ignore"):
            mode = laplace_approximation(density, end)
        here = Scale(mode.point, mode.root) if mode.is_mode else Scale(end, base.root)  # a kink has no curvature
        least = 1e-3 if mode.is_mode else 1.0
        if all(_apart(s, here.center) > least for s in others):
            new.append((here, mode.is_mode))
            heights.append(float(density(here.center)))
    return new


def _valley_between(density: LogDensity, end: torch.Tensor, value: float, center: torch.Tensor) -> bool:
    """Whether log p falls on the way from a point to a known mode; if not, the point lies on that mode's slope."""
    way = torch.linspace(0, 1, 33, dtype=torch.float64)[1:-1, None]
    between = density(end + way * (center - end)).detach()
    return not bool((between >= value - 1e-9 * abs(value) - 1e-9).all())


def _apart(scale: Scale, point: torch.Tensor, other: torch.Tensor | None = None) -> float:
    """Distance of two points (the second is the scale's centre, if not given) in scales."""
    return float(whiten(scale, (point - (scale.center if other is None else other))[None]).norm())


def _screened_starts(density: LogDensity, main: Scale, generator: torch.Generator, num_points: int) -> torch.Tensor:
    """The highest points of each shell, apart from one another."""
    dim = len(main.center)
    close = num_points * _NEAR // (_NEAR + _FAR)
    x = torch.randn(num_points, dim, dtype=torch.float64, generator=generator)
    near = torch.linspace(-1.5, 1.5, close, dtype=torch.float64)
    far = torch.linspace(1.5, 5, num_points - close, dtype=torch.float64)
    radii = 10 ** torch.cat([near, far])[:, None]
    x = radii * x / x.norm(dim=-1, keepdim=True)
    z = main.center + x @ main.root.mT
    values = density(z).detach()
    values = torch.where(torch.isfinite(values), values, -torch.inf)
    excess = values + 0.5 * radii[:, 0].square()  # over what the known mode's curvature explains
    chosen: list[torch.Tensor] = []
    most = _FROM_SHELL // 2 if dim > _LARGE else _FROM_SHELL
    size = num_points // _SHELLS
    for shell in range(_SHELLS):
        part = slice(shell * size, (shell + 1) * size)
        for score in (values, excess):
            highest = score[part].topk(64).indices + shell * size
            gaps = (x[highest][:, None] - x[highest]).norm(dim=-1)
            distinct = (gaps > 0.3 * radii[highest]).tolist()
            taken: list[int] = []
            for number in range(len(highest)):
                if all(distinct[number][other] for other in taken):
                    taken.append(number)
                if len(taken) == most:
                    break
            chosen.append(z[highest[taken]])
    return torch.cat(chosen)


def _far_starts(main: Scale, generator: torch.Generator) -> torch.Tensor:
    x = torch.randn(_FAR_STARTS, len(main.center), dtype=torch.float64, generator=generator)
    radii = 10 ** torch.linspace(3, 6, _FAR_STARTS, dtype=torch.float64)[:, None]
    return main.center + (radii * x / x.norm(dim=-1, keepdim=True)) @ main.root.mT


def _relabelled(density: LogDensity, mode: torch.Tensor) -> torch.Tensor:
    """Images of a mode under exchanges that often are symmetries of a model without being ones of the guide."""
    images = [-mode]
    sites = density.sites
    for site in sites:
        part = mode[site.slice]
        if len(part) > 1:
            for moved in (part.flip(0), part.roll(1), -part):
                image = mode.clone()
                image[site.slice] = moved
                images.append(image)
    for a in range(len(sites)):
        for b in range(a):
            if sites[a].unconstrained_shape == sites[b].unconstrained_shape and len(images) < 64:
                image = mode.clone()
                image[sites[a].slice], image[sites[b].slice] = mode[sites[b].slice], mode[sites[a].slice]
                images.append(image)
    return torch.stack(images)


def _ascend(density: LogDensity, main: Scale, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Batched ascent in coordinates whitened by the main mode; a step that does not climb is quartered."""

    def evaluate(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        value, gradient = density.value_and_grad(main.center + x @ main.root.mT)
        gradient = gradient @ main.root
        bad = ~(torch.isfinite(value) & torch.isfinite(gradient).all(-1))
        return torch.where(bad, -torch.inf, value), torch.where(bad[:, None], 0.0, gradient)

    x = whiten(main, starts - main.center)
    value, gradient = evaluate(x)
    known = evaluate(torch.zeros_like(x[:1]))[0]
    step = 0.1 * (1 + x.norm(dim=-1)) / gradient.norm(dim=-1).clamp_min(1e-300)
    for _ in range(_STEPS):
        # still climbing, and not on the way into the known mode already
        elsewhere = (x.norm(dim=-1) > 0.5) | (value > known + _SPIKE)
        moving = ((step * gradient.norm(dim=-1) > 1e-3) & elsewhere).nonzero()[:, 0]
        if len(moving) == 0:
            break
        here, there, pace = x[moving], gradient[moving], step[moving]
        cap = (1 + here.norm(dim=-1)) / there.norm(dim=-1).clamp_min(1e-300)
        trial = here + torch.minimum(pace, cap)[:, None] * there
        new_value, new_gradient = evaluate(trial)
        climbed = new_value >= value[moving]
        dx, dg = trial - here, new_gradient - there
        curvature = -(dx * dg).sum(-1)
        secant = torch.where(curvature > 0, dx.square().sum(-1) / curvature.clamp_min(1e-300), 2 * pace)
        step[moving] = torch.where(climbed, secant, pace / 4)
        x[moving] = torch.where(climbed[:, None], trial, here)
        value[moving] = torch.where(climbed, new_value, value[moving])
        gradient[moving] = torch.where(climbed[:, None], new_gradient, there)
    return main.center + x @ main.root.mT, value
