"""A heuristic in wide use, as a baseline: align the state to the denoised one at each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import positive_int
from ._lift import Run
from ._sampler import Sampler, check_number


@dataclass(frozen=True, eq=False, repr=False)
class AlignedSampler(Sampler):
    """The plain sampler of the total space, where each step first moves x along its orbit to be closest to D(x, t).

    For comparison: models whose targets were aligned in training are sampled like this. Nothing is known to make it
    draw from the law of the data, because the formula for v holds for E[x_1 | x_t] and not for aligned targets, and
    its bias does not fall with more steps. With an exact denoiser and independent points it is Euler's method, x being
    aligned to D already; not under a harmonic prior.

    Args:
        steps: at least 1.
        noise: eta(t) = noise (1 - t) as in ``SDESampler``; 0, the default, for the ODE by Euler's method.
        until: time after which no noise is added.

    Needs an action with a closed-form ``align``: clouds, U(1), tori, matrices under conjugation.

    Source: what Boltz-1 (Wohlwend et al., 2024) does by default when it samples.
    """

    steps: int = 50
    noise: float = 0.0
    until: float = 0.98

    def __post_init__(self) -> None:
        positive_int(self.steps, "steps")
        check_number(self.noise, "noise", 0.0, math.inf)
        check_number(self.until, "until", 0.0, 1.0)

    def _step(self, run: Run, x: Tensor, t: float, end: float) -> Tensor:
        denoised, time = run.denoise(x, t), x.new_tensor(t)
        if end >= 1:
            return denoised
        action = run.diffusion.action_for(run.context)
        x = run.settle(action.act(action.align(x, denoised), x))
        drift = run.diffusion.velocity(x, time, denoised, run.context) * (end - t)
        if self.noise == 0 or t >= self.until:
            return run.settle(x + drift)
        limit = run.smallest_variance(x, t) / 2
        tau = torch.minimum(limit, limit.new_tensor(self.noise * (1 - t) * (end - t)))
        return run.diffuse(x, drift + tau * run.diffusion.score(x, time, denoised, run.context), tau)
