"""The ODE sampler's map from noise to shapes, with gradients."""

from __future__ import annotations

from torch import Tensor

from .._context import Context
from .._process import Denoiser, Diffusion
from ..samplers import ODESampler
from ..samplers._lift import Run


def flow(
    diffusion: Diffusion, denoiser: Denoiser, start: Tensor, context: Context | None, sampler: ODESampler
) -> Tensor:
    """The steps that ``sampler.sample(start=start)`` takes, ``[*batch, N, d]``, none of them detached.

    Memory grows with the number of steps: the graph of each is kept for the backward pass.
    """
    run = Run(diffusion, denoiser, context, None, sampler.horizontal)
    x = start
    for k in range(sampler.steps):
        x = sampler._step(run, x, k / sampler.steps, (k + 1) / sampler.steps)
    return x
