"""Coming up from a bad start: ascent of the log density, each chain by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ._integrators import choose
from ._sampler import ChainState, Target

_FIRST, _LAST = 0.1, 0.01
_MEMORY = 0.9
_LARGEST_GRADIENT = 100.0


def ascend(target: Target, state: ChainState, steps: int, report: Callable[[int], None] | None = None) -> ChainState:
    """``steps`` steps of Adam with a falling rate (Kingma and Ba 2015); each chain ends at the best point it saw.

    Gradients of length over 100 sqrt(dim) are shortened to that, and squares are forgotten as fast as means, so that a
    start at a draw of the prior, where a gradient may be 1e12, leaves no trace. A step to an infinite density goes
    back to the best point. One gradient a step.
    """
    best = state
    mean, square = torch.zeros_like(state.position), torch.zeros_like(state.position)
    position, gradient = state.position, state.gradient
    limit = _LARGEST_GRADIENT * state.position.shape[1] ** 0.5
    for k in range(steps):
        norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
        gradient = gradient * (limit / norm.clamp_min(limit))
        mean = _MEMORY * mean + (1 - _MEMORY) * gradient
        square = _MEMORY * square + (1 - _MEMORY) * gradient.square()
        unbiased = (1 - _MEMORY ** (k + 1)) ** 0.5
        rate = _FIRST * (_LAST / _FIRST) ** (k / steps) / unbiased
        position = position + rate * mean / (square.sqrt() + torch.finfo(square.dtype).tiny)
        value, gradient = target.value_and_grad(position)
        usable = torch.isfinite(value) & torch.isfinite(gradient).all(-1)
        best = choose(usable & (value > best.log_density), ChainState(position, value, gradient, state.momentum), best)
        position = torch.where(usable[:, None], position, best.position)
        gradient = torch.where(usable[:, None], gradient, best.gradient)
        if report is not None:
            report(k + 1)
    return best
