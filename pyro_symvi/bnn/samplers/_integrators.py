"""Integrators: how position and momentum move along the gradient, and what energy the discretisation adds.

Microcanonical dynamics of a unit momentum u in dim d (Robnik, De Luca, Silverstein and Seljak 2023):
x' = u, u' = (I - u u^T) g / (d - 1) with g the gradient of the log density. Its kinetic part changes by
(d - 1) d log(cosh s + u.e sinh s), and minus that is the log Jacobian of the momentum's move, so that the energy error
Delta E = Delta K - Delta log density is what a Metropolis test needs. All functions take positions ``[chains, dim]``
and work in position / scale.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._refresh import column
from ._sampler import ChainState, Target

#: Minimal-norm coefficient of McLachlan (1995), which makes the leading error of B A B A B smallest.
MINIMAL_NORM = 0.1931833275037836


class Moved(NamedTuple):
    """Where a trajectory ends and what energy it added, ``[chains]``."""

    state: ChainState
    energy_error: Tensor


def turn(momentum: Tensor, gradient: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """The B-step: unit momentum under a constant gradient for ``time``, and the kinetic energy gained ``[chains]``.

    With e = g / |g|, m = u.e, s = time |g| / (d - 1): u <- (u + e (sinh s + m (cosh s - 1))) / (cosh s + m sinh s),
    Delta K = (d - 1) log(cosh s + m sinh s), written with exp(-s) so that no size of the gradient overflows.
    """
    dof = momentum.shape[-1] - 1
    norm = torch.linalg.vector_norm(gradient, dim=-1).clamp_min(torch.finfo(gradient.dtype).tiny)
    cosine = (torch.linalg.vecdot(momentum, gradient) / norm).clamp(-1, 1)
    angle = norm * (time / dof)
    decay, lost = torch.exp(-angle), -torch.expm1(-angle)
    half = 0.5 * (1 - cosine) * torch.expm1(-2 * angle)
    whole = 1 + half
    along = lost * (1 + decay + cosine * lost) / (2 * whole * norm)
    turned = torch.addcmul(momentum * (decay / whole)[:, None], gradient, along[:, None])
    return turned, dof * (angle + torch.log1p(half))


def minimal_norm(target: Target, state: ChainState, step_size: Tensor, scale: Tensor) -> Moved:
    """One step B(b) A(1/2) B(1 - 2b) A(1/2) B(b) of microcanonical dynamics; two gradients.

    The energy error is O(step_size^3), its variance O(step_size^6).
    """
    move = column(step_size) * (0.5 * scale)
    momentum, kinetic = turn(state.momentum, state.gradient * scale, MINIMAL_NORM * step_size)
    position = torch.addcmul(state.position, momentum, move)
    value, gradient = target.value_and_grad(position)
    momentum, gained = turn(momentum, gradient * scale, (1 - 2 * MINIMAL_NORM) * step_size)
    kinetic = kinetic + gained
    position = torch.addcmul(position, momentum, move)
    value, gradient = target.value_and_grad(position)
    momentum, gained = turn(momentum, gradient * scale, MINIMAL_NORM * step_size)
    error = kinetic + gained - (value - state.log_density)
    return Moved(ChainState(position, value, gradient, momentum), error)


def microcanonical_leapfrog(target: Target, state: ChainState, step_size: Tensor, scale: Tensor, steps: int) -> Moved:
    """``steps`` steps B(1/2) A(1) B(1/2), neighbouring B merged; one gradient a step."""
    move = column(step_size) * scale
    position, value, gradient = state.position, state.log_density, state.gradient
    momentum, kinetic = turn(state.momentum, gradient * scale, 0.5 * step_size)
    for k in range(steps):
        position = torch.addcmul(position, momentum, move)
        value, gradient = target.value_and_grad(position)
        momentum, gained = turn(momentum, gradient * scale, step_size if k + 1 < steps else 0.5 * step_size)
        kinetic = kinetic + gained
    return Moved(ChainState(position, value, gradient, momentum), kinetic - (value - state.log_density))


def hamiltonian_leapfrog(target: Target, state: ChainState, step_size: Tensor, scale: Tensor, steps: int) -> Moved:
    """``steps`` leapfrog steps of H = |p|^2 / 2 - log density in position / scale; one gradient a step."""
    move, push = column(step_size) * scale, column(step_size) * scale
    position, value, gradient = state.position, state.log_density, state.gradient
    momentum = torch.addcmul(state.momentum, gradient, 0.5 * push)
    for k in range(steps):
        position = torch.addcmul(position, momentum, move)
        value, gradient = target.value_and_grad(position)
        momentum = torch.addcmul(momentum, gradient, push if k + 1 < steps else 0.5 * push)
    before = 0.5 * state.momentum.square().sum(-1) - state.log_density
    after = 0.5 * momentum.square().sum(-1) - value
    return Moved(ChainState(position, value, gradient, momentum), after - before)


def choose(kept: Tensor, new: ChainState, old: ChainState) -> ChainState:
    """The new state of chains where ``kept`` ``[chains]``, the old one of others."""
    row = kept[:, None]
    return ChainState(
        torch.where(row, new.position, old.position),
        torch.where(kept, new.log_density, old.log_density),
        torch.where(row, new.gradient, old.gradient),
        torch.where(row, new.momentum, old.momentum),
    )


def finite(moved: Moved) -> Tensor:
    """Which chains ended at a finite density, gradient and energy, ``[chains]``."""
    state = moved.state
    return (
        torch.isfinite(state.log_density)
        & torch.isfinite(moved.energy_error)
        & torch.isfinite(state.gradient).all(-1)
        & torch.isfinite(state.momentum).all(-1)
    )
