"""Regression on data aligned to the noisy point."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._context import Context
from .._process import Diffusion
from ._loss import Loss


@dataclass(frozen=True, eq=False, repr=False)
class GeoDiffAligned(Loss):
    """|w(t) (D - A_{x_t}(x_1))|^2, A_y(x) the point of x's orbit closest to y. A baseline.

    Minimiser: E[A_{x_t}(x_1) | x_t]. It does not shrink as E[x_1 | x_t] does, so that no velocity or score follows
    from it: samplers that use it are biased, however many steps they take.

    Source: Xu et al., GeoDiff, arXiv 2203.02923, section 4.2.
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
        return aligned(diffusion, x1, xt, context)


def aligned(diffusion: Diffusion, x: Tensor, y: Tensor, context: Context | None) -> Tensor:
    """A_y(x), the point of x's orbit closest to y; padding at zero."""
    action = diffusion.action_for(context)
    return diffusion.centre(action.act(action.align(x, y), x), context)
