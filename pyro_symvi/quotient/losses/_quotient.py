"""Regression on what is horizontal."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .._context import Context
from .._process import Diffusion
from ._loss import Loss


@dataclass(frozen=True, eq=False, repr=False)
class Quotient(Loss):
    """|P_{x_t} w(t) (D - x_1)|^2: errors along the orbit of x_t are free.

    Minimiser: P E[x_1 | x_t] plus any vertical vector (for clouds omega x x_n, an infinitesimal rotation of the
    *input*; a finite rotation of the output is not free). Use samplers with ``horizontal=True``, which ignore that
    vector. (Under a harmonic prior with bridge noise the weight w is a matrix, and the free part of D is w^-1 times
    a vertical vector.) P depends on x_t alone, so no gradient passes through it. Of a random direction at high noise
    it removes the share dim G / dim M, 1 / (N - 1) for rotations of N centred points in space.

    Source: Xu et al., arXiv 2604.21809, section 3.3. Their general loss regresses on the velocity of the drawn pair;
    here its mean given x_1 and x_t stands for it, which has the same minimiser and, with bridge noise, less variance.
    """

    unbiased = True

    def _counted(self, diffusion: Diffusion, xt: Tensor, error: Tensor, context: Context | None) -> Tensor:
        return diffusion.project(xt, error, context)
