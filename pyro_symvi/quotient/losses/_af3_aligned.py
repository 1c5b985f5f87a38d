"""Regression on data aligned to the prediction."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ._geodiff_aligned import aligned
from ._loss import Case, Loss


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

    def _target(self, case: Case) -> Tensor:
        return aligned(case, case.denoised)
