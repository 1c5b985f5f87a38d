"""Regression on data aligned to the prediction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._context import Context
from .._process import Diffusion
from ._geodiff_aligned import aligned
from ._loss import Loss


@dataclass(frozen=True, eq=False, repr=False)
class AF3Aligned(Loss):
    """|w(t) (D - A_D(x_1))|^2 with D held fixed in A, the point of x_1's orbit closest to D. A baseline.

    Minimiser: a mean of shapes y = E[A_y(x_1) | x_t], turned at will; with one shape it is E[A_{x_t}(x_1) | x_t], with
    several that only nearly. Any rotation of an output does as well as the output itself, also one that depends on
    x_t, and velocities depend on it: a sampler that uses such a denoiser is biased. An equivariant network has less of
    that freedom.

    Source: Abramson et al., Nature 630 (2024) 493, supplement, algorithm 28 and equation 2.
    """

    unbiased = False

    def _target(
        self,
        diffusion: Diffusion,
        x1: Tensor,
        xt: Tensor,
        t: Tensor,
        denoised: Tensor,
        context: Context | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        return aligned(diffusion, x1, denoised, context)
