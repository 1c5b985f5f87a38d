"""Regression on data aligned to the noisy point."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ._loss import Case, Loss


@dataclass(frozen=True, eq=False, repr=False)
class GeoDiffAligned(Loss):
    """|w(t) (D - A_{x_t}(x_1))|^2, A_y(x) the point of x's orbit closest to y. A baseline.

    Minimiser: E[A_{x_t}(x_1) | x_t]. It does not shrink as E[x_1 | x_t] does, so that no velocity or score follows
    from it: samplers that use it are biased, however many steps they take.

    Source: Xu et al., GeoDiff, arXiv 2203.02923, section 4.2.
    """

    unbiased = False

    def _target(self, case: Case) -> Tensor:
        return aligned(case, case.xt)


def aligned(case: Case, y: Tensor) -> Tensor:
    """A_y(x_1), the point of x_1's orbit closest to y; padding at zero."""
    action = case.diffusion.action_for(case.context)
    return case.diffusion.centre(action.act(action.align(case.x1, y), case.x1), case.context)
