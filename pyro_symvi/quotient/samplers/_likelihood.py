"""Log-densities of what the probability flow draws, on the total space and on the quotient."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..._value import positive_int
from .._context import Context
from .._process import Denoiser, Diffusion, metric
from ._lift import Run
from ._sampler import check_before_data, check_flag, check_number, check_points, check_shape, fit_context

SPACES = ("quotient", "total")
DIVERGENCES = ("exact", "hutchinson")
Rate = Callable[[Tensor, float], tuple[Tensor, Tensor]]
"""Velocity and its divergence at (x, t)."""
_ROOM = 4_000_000
"""Coordinates of directions that are projected at once."""


def log_likelihood(
    diffusion: Diffusion,
    denoiser: Denoiser,
    x: Tensor,
    context: Context | None = None,
    *,
    space: str = "quotient",
    steps: int = 30,
    divergence: str = "exact",
    probes: int = 1,
    horizontal: bool = True,
    gap: float = 1e-3,
    generator: torch.Generator | None = None,
    progress: bool = False,
) -> Tensor:
    """The log density at x of the law that the probability flow carries the prior to, ``[*batch]``.

    log p(x) = log p_0(x_0) - integral over t of div(P v)(x_t, t), along the flow dx = P v dt that ends in x, where
    div(P v) = tr(P grad v) - <H, v>. For an equivariant v that is div v, since div of its vertical part is 0.

    - ``space="total"``: p, the density on the space of x, with respect to its Riemannian volume: for clouds, Lebesgue
      measure of centred clouds (dimension (N - 1) d) in orthonormal coordinates of sum_n w_n |v_n|^2.
    - ``space="quotient"``: log p + log_orbit_volume, the log density on M / G with respect to the Riemannian volume
      of M / G, up to a constant of the action. Where log_orbit_volume is log det(V^T V) / 2 as it stands (clouds,
      spheres, U(1), tori), exp(result) times vol(G) / vol(stabiliser) integrates to 1 over M / G, the group's volume
      being that in which the action's Lie algebra basis is orthonormal: 2 pi for SO(2) and U(1), (2 pi)^k for a
      torus, 8 pi^2 for SO(3).

    The flow is integrated from t = 1 - ``gap`` to 0 by the classical Runge-Kutta method, on steps that shrink towards
    data, after one Euler step across the gap, where v is singular in form. So data whose density has details finer
    than ``gap`` times the prior's scale (a finite set of shapes has nothing else) get no meaningful value.

    Args:
        diffusion: action, path and prior.
        denoiser: an estimate of E[x_1 | x_t] that autograd can differentiate.
        x: ``[*batch, *event_shape]``.
        context: of the points.
        space: "quotient" or "total".
        steps: Runge-Kutta steps, of four calls of the denoiser each; double them to see the error.
        divergence: "exact", one backward pass for each coordinate of an event, or "hutchinson", an unbiased estimate
            E[z^T grad v P z] with random signs z, the same along the whole path, of one backward pass a probe.
        probes: how many z.
        horizontal: the flow of P v, for ``ODESampler(horizontal=True)``; False for that of v.
        gap: in (0, 0.1].
        generator: of the probes.
        progress: whether to show a bar.

    Raises:
        ValueError: for shapes that do not fit, points that are not finite, a denoiser without a gradient.

    On singular orbits (straight clouds in space, equal eigenvalues), a set of measure zero, the volume is that of
    the smaller orbit and the value jumps.

    Source: Chen et al., Neural ordinary differential equations, arXiv 1806.07366; Grathwohl et al., FFJORD, arXiv
    1810.01367.
    """
    if space not in SPACES:
        raise ValueError(f'expected space "quotient" or "total", got {space!r}')
    if divergence not in DIVERGENCES:
        raise ValueError(f'expected divergence "exact" or "hutchinson", got {divergence!r}')
    positive_int(steps, "steps")
    positive_int(probes, "probes")
    check_flag(horizontal, "horizontal")
    check_number(gap, "gap", 1e-12, 0.1)
    shape = check_shape(diffusion, denoiser, tuple(getattr(x, "shape", ())))
    context = fit_context(context, shape)
    points = check_points(x, shape, "x")
    check_before_data(1 - gap, points, "1 - gap")
    run = Run(diffusion, denoiser, context, generator, horizontal)
    state = run.settle(points)
    if divergence == "exact":
        directions = list(coordinates(state, len(diffusion.action.event_shape)))
    else:
        signs = [torch.randint(0, 2, shape, generator=generator, device=x.device) for _ in range(probes)]
        directions = [2 * s.to(state) - 1 for s in signs]
    share = 1.0 if divergence == "exact" else 1 / probes

    def rate(at: Tensor, t: float) -> tuple[Tensor, Tensor]:
        velocity, trace = _velocity_and_divergence(run, at, t, directions)
        return velocity, share * trace if share != 1 else trace

    result = flowed_log_density(run, rate, state, steps, gap, progress=progress)
    return result if space == "total" else result + diffusion.log_orbit_volume(points, context)


def flowed_log_density(run: Run, rate: Rate, x: Tensor, steps: int, gap: float, *, progress: bool = False) -> Tensor:
    """Log p_0 where the flow through x started, less the divergence integrated along it, ``[*batch]``.

    ``rate(x, t)`` gives velocity and divergence; time runs from 1 - ``gap`` to 0 after an Euler step across the gap.
    """
    velocity, total = rate(x, 1 - gap)
    state, total = x - gap * velocity, gap * total
    times = [(1 - gap) * (1 - (k / steps) ** 2) for k in range(steps + 1)]
    for t, end in tqdm(list(itertools.pairwise(times)), desc="log-likelihood", disable=not progress):
        move, grown = _runge_kutta(rate, state, t, end)
        state, total = run.settle(state + move), total - grown
    return _log_prior(run.diffusion, state, run.context) - total


def _velocity_and_divergence(run: Run, x: Tensor, t: float, directions: list[Tensor]) -> tuple[Tensor, Tensor]:
    """P v and sum over directions e of e^T (grad v) P e, less <H, v>: shapes of x and ``[*batch]``."""
    diffusion, context = run.diffusion, run.context
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        at = run.settle(leaf)
        denoised = run.denoise(at, t)
        if not denoised.requires_grad:
            raise ValueError(
                "expected a denoiser that autograd can differentiate, got one whose output has no gradient, because a "
                "density needs the divergence of the flow; try it without torch.no_grad and detach"
            )
        v = diffusion.velocity(at, x.new_tensor(t), denoised, context)
    trace = x.new_zeros(x.shape[: x.ndim - len(diffusion.action.event_shape)])
    chunk = max(1, _ROOM // max(1, x.numel()))
    for first in range(0, len(directions), chunk):
        some = torch.stack([e.expand(x.shape) for e in directions[first : first + chunk]])
        rows = [torch.autograd.grad(v, leaf, e, retain_graph=True)[0] for e in some]
        trace = trace + _sum(diffusion, torch.stack(rows) * run.project(x, run.settle(some))).sum(0)
    velocity = run.project(x, v.detach())
    if run.horizontal:
        h = diffusion.mean_curvature(x, context)
        trace = trace - metric(diffusion.action_for(context), torch.where(torch.isfinite(h), h, 0.0), velocity)
    return velocity, trace


def _runge_kutta(rate: Rate, x: Tensor, t: float, end: float) -> tuple[Tensor, Tensor]:
    """The change of the state and the integral of the divergence from t to ``end``, by four stages."""
    dt = end - t
    v1, d1 = rate(x, t)
    v2, d2 = rate(x + dt / 2 * v1, t + dt / 2)
    v3, d3 = rate(x + dt / 2 * v2, t + dt / 2)
    v4, d4 = rate(x + dt * v3, end)
    return dt / 6 * (v1 + 2 * v2 + 2 * v3 + v4), dt / 6 * (d1 + 2 * d2 + 2 * d3 + d4)


def _log_prior(diffusion: Diffusion, x: Tensor, context: Context | None) -> Tensor:
    """The log density of N(0, Sigma) on centred points, in orthonormal coordinates of the metric, ``[*batch]``."""
    whitened = diffusion.prior.apply(lambda s: 1 / s, x, context)
    rank = _sum(diffusion, torch.zeros_like(x))
    log_det = torch.zeros_like(rank)
    for e in coordinates(x, len(diffusion.action.event_shape)):
        inside = diffusion.centre(e.expand(x.shape), context)
        rank = rank + _sum(diffusion, e * inside)
        log_det = log_det + _sum(diffusion, e * diffusion.prior.apply(torch.log, inside, context))
    square = metric(diffusion.action_for(context), x, whitened)
    return -(square + log_det + rank * math.log(2 * math.pi)) / 2


def coordinates(x: Tensor, event: int) -> Iterator[Tensor]:
    """The unit vectors of an event, each of the event's shape."""
    sizes = x.shape[x.ndim - event :]
    for index in range(math.prod(sizes)):
        e = x.new_zeros(math.prod(sizes))
        e[index] = 1.0
        yield e.reshape(sizes)


def _sum(diffusion: Diffusion, v: Tensor) -> Tensor:
    """The sum over the dimensions of an event."""
    return v.sum(tuple(range(-len(diffusion.action.event_shape), 0)))
