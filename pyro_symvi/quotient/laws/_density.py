"""The log density of a flow, with gradients where something asks for them."""

from __future__ import annotations

import torch
from torch import Tensor

from .._context import Context
from .._process import Denoiser, Diffusion
from ..samplers import log_likelihood
from ..samplers._lift import Run
from ..samplers._likelihood import coordinates, flowed_log_density

GAP = 1e-3
"""The flow ends at t = 1 - GAP; the rest is one Euler step, as in ``log_likelihood``."""


def flow_log_density(
    diffusion: Diffusion,
    denoiser: Denoiser,
    x: Tensor,
    context: Context | None,
    *,
    space: str,
    steps: int,
    divergence: str,
    horizontal: bool,
) -> Tensor:
    """``log_likelihood``, differentiable in x, the denoiser's parameters and the context if one of them is."""
    if not _wants_gradient(diffusion, denoiser, x, context):
        return log_likelihood(
            diffusion,
            denoiser,
            x,
            context,
            space=space,
            steps=steps,
            divergence=divergence,
            horizontal=horizontal,
            gap=GAP,
        )
    total = _total_log_density(diffusion, denoiser, x, context, steps, divergence, horizontal)
    return total if space == "total" else total + diffusion.log_orbit_volume(x, context)


def _wants_gradient(diffusion: Diffusion, denoiser: Denoiser, x: Tensor, context: Context | None) -> bool:
    """A denoiser may be any function; whether it has parameters shows in what it returns."""
    if not torch.is_grad_enabled():
        return False
    if x.requires_grad:
        return True
    some = x.reshape(-1, *x.shape[-2:])[:1] if context is None else x
    return diffusion.denoise(denoiser, some, some.new_tensor(0.5), context).requires_grad


def _total_log_density(
    diffusion: Diffusion,
    denoiser: Denoiser,
    x: Tensor,
    context: Context | None,
    steps: int,
    divergence: str,
    horizontal: bool,
) -> Tensor:
    """The same steps as those of ``log_likelihood``, the divergence of P v differentiated as it stands."""
    run = Run(diffusion, denoiser, context, None, horizontal)
    state = run.settle(x)
    if divergence == "exact":
        directions = list(coordinates(state, 2))
    else:
        directions = [2 * torch.randint(0, 2, x.shape, device=x.device).to(x) - 1]

    def rate(at: Tensor, t: float) -> tuple[Tensor, Tensor]:
        leaf = at if at.requires_grad else at.detach().requires_grad_()
        velocity = run.velocity(run.settle(leaf), t)
        trace = torch.zeros_like(at[..., 0, 0])
        for e in directions:
            direction = e.expand(at.shape)
            (row,) = torch.autograd.grad(velocity, leaf, direction, create_graph=True)
            trace = trace + (row * direction).sum((-2, -1))
        return velocity, trace

    return flowed_log_density(run, rate, state, steps, GAP)
