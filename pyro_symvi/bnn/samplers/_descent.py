"""Coming down from a bad start: monotone ascent of the log density, each chain by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ._integrators import choose
from ._sampler import ChainState, Target

_GROW, _SHRINK, _LARGEST, _SMALLEST = 1.2, 0.5, 0.2, 1e-8


def ascend(
    target: Target, state: ChainState, steps: int, first: float = 0.01, report: Callable[[int], None] | None = None
) -> ChainState:
    """``steps`` steps of resilient backpropagation that never lower a chain's log density (Riedmiller and Braun 1993).

    Only signs of gradients count, so that draws of the prior at which a gradient is 1e12 are no harder than others:
    a coordinate's step grows while the sign stays and shrinks when it turns; a move that lowers the density (or makes
    it infinite) is taken back and all steps of that chain are halved. One gradient a step.
    """
    size = torch.full_like(state.position, first)
    sign = torch.zeros_like(state.position)
    for k in range(steps):
        new_sign = state.gradient.sign()
        agree = sign * new_sign
        size = torch.where(agree > 0, size * _GROW, torch.where(agree < 0, size * _SHRINK, size))
        size = size.clamp(_SMALLEST, _LARGEST)
        position = torch.addcmul(state.position, size, new_sign)
        value, gradient = target.value_and_grad(position)
        better = torch.isfinite(value) & torch.isfinite(gradient).all(-1) & (value >= state.log_density)
        state = choose(better, ChainState(position, value, gradient, state.momentum), state)
        row = better[:, None]
        sign = torch.where(row, new_sign, torch.zeros_like(sign))
        size = torch.where(row, size, size * _SHRINK)
        if report is not None:
            report(k + 1)
    return state
