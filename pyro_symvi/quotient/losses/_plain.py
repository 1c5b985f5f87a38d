"""Regression on the data as they lie."""

from __future__ import annotations

from dataclasses import dataclass

from ._loss import Loss


@dataclass(frozen=True, eq=False, repr=False)
class Plain(Loss):
    """|w(t) (D - x_1)|^2: denoising score matching. Minimiser: E[x_1 | x_t]."""

    unbiased = True
