"""Control variates that leave one particle out."""

from collections.abc import Callable

import torch
from torch import Tensor

_CHUNK = 1 << 22
"""Largest number of entries of the K x K table of left-out sets that is held at a time."""


def leave_one_out_weights(
    objective: Callable[[Tensor], Tensor], log_weights: Tensor, constant_slope: bool = True
) -> Tensor:
    """``v_k`` with ``grad E J = E sum_k v_k grad log q(z_k)`` for an objective J of ``l_k = log p(z_k) - log q(z_k)``.

    ``v_k = J(l) - J(l_(-k)) - dJ/dl_k + b_k``, where ``l_(-k)`` has l_k replaced by the mean of the others. The first
    difference is the score with its baseline, ``-dJ/dl_k`` the dependence of l on theta. ``b_k`` is its baseline: the
    mean of all slopes dJ/dl_j if their sum is the same for all weights, as it is where a shift of l shifts J by a
    constant; otherwise the mean of the other slopes, which must not depend on z_k (J a mean over particles).

    Args:
        objective: symmetric in the particles, ``(K, *batch) -> batch``.
        log_weights: ``(K, *batch)``, no gradient needed.
        constant_slope: whether the slopes have a constant sum.

    Raises:
        ValueError: fewer than two particles.
    """
    particles = log_weights.shape[0]
    if particles < 2:
        raise ValueError(
            f"expected at least two particles, got {particles}, because each one's baseline is made of the others; "
            "try num_particles=16"
        )
    with torch.enable_grad():
        l = log_weights.detach().requires_grad_()
        value = objective(l)
        (slopes,) = torch.autograd.grad(value.sum(), l)
    total = slopes.sum(0)
    baseline = total / particles if constant_slope else (total - slopes) / (particles - 1)
    l = l.detach()
    others = (l.sum(0) - l) / (particles - 1)
    return value.detach() - _replaced(objective, l, others) - slopes + baseline


def _replaced(objective: Callable[[Tensor], Tensor], l: Tensor, others: Tensor) -> Tensor:
    """``J`` with particle k replaced, for every k: ``(K, *batch)``."""
    particles = l.shape[0]
    step = max(1, _CHUNK // max(1, l.numel()))
    values = []
    with torch.no_grad():
        for start in range(0, particles, step):
            index = torch.arange(start, min(start + step, particles), device=l.device)
            table = l.unsqueeze(1).repeat(1, len(index), *[1] * (l.dim() - 1))
            table[index, torch.arange(len(index), device=l.device)] = others[index]
            values.append(objective(table))
    return torch.cat(values)
