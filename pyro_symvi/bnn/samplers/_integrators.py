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

from ._fused import fused
from ._refresh import column, partial_refresh, unit
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
    lost = -torch.expm1(-angle)
    decay = 1 - lost
    half = 0.5 * (cosine - 1) * lost * (1 + decay)
    whole = 1 + half
    along = lost * (1 + decay + cosine * lost) / (2 * whole * norm)
    turned = torch.addcmul(momentum * (decay / whole)[:, None], gradient, along[:, None])
    return turned, dof * (angle + torch.log1p(half))


def turn_and_move(
    momentum: Tensor, gradient: Tensor, position: Tensor, time: Tensor, travel: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A B-step for ``time``, then an A-step for ``travel``: momentum, kinetic energy gained, position."""
    momentum, gained = turn(momentum, gradient * scale, time)
    return momentum, gained, torch.addcmul(position, momentum, column(travel) * scale)


def turn_last(
    momentum: Tensor, gradient: Tensor, time: Tensor, scale: Tensor, kinetic: Tensor, value: Tensor, before: Tensor
) -> tuple[Tensor, Tensor]:
    """The last B-step and the energy error: ``kinetic`` was gained so far, the log density was ``before``."""
    momentum, gained = turn(momentum, gradient * scale, time)
    return momentum, kinetic + gained - (value - before)


def minimal_norm(target: Target, state: ChainState, step_size: Tensor, scale: Tensor) -> Moved:
    """One step B(b) A(1/2) B(1 - 2b) A(1/2) B(b) of microcanonical dynamics; two gradients.

    The energy error is O(step_size^3), its variance O(step_size^6).
    """
    push, finish = fused(target, turn_and_move), fused(target, turn_last)
    outer, inner, half = MINIMAL_NORM * step_size, (1 - 2 * MINIMAL_NORM) * step_size, 0.5 * step_size
    momentum, kinetic, position = push(state.momentum, state.gradient, state.position, outer, half, scale)
    _, gradient = target.value_and_grad(position)
    momentum, gained, position = push(momentum, gradient, position, inner, half, scale)
    value, gradient = target.value_and_grad(position)
    momentum, error = finish(momentum, gradient, outer, scale, kinetic + gained, value, state.log_density)
    return Moved(ChainState(position, value, gradient, momentum), error)


def microcanonical_leapfrog(target: Target, state: ChainState, step_size: Tensor, scale: Tensor, steps: int) -> Moved:
    """``steps`` steps B(1/2) A(1) B(1/2), neighbouring B merged; one gradient a step."""
    push, finish, half = fused(target, turn_and_move), fused(target, turn_last), 0.5 * step_size
    position, value, gradient = state.position, state.log_density, state.gradient
    momentum, kinetic = state.momentum, torch.zeros_like(value)
    for k in range(steps):
        momentum, gained, position = push(momentum, gradient, position, step_size if k else half, step_size, scale)
        kinetic = kinetic + gained
        value, gradient = target.value_and_grad(position)
    momentum, error = finish(momentum, gradient, half, scale, kinetic, value, state.log_density)
    return Moved(ChainState(position, value, gradient, momentum), error)


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
    """Which chains ended at a finite density and gradient, ``[chains]``: else the last B-step makes the energy nan."""
    return torch.isfinite(moved.energy_error)


class Stepped(NamedTuple):
    """A step of Langevin dynamics: where it ends, the energy error of each chain and whether all of it was finite."""

    state: ChainState
    energy_error: Tensor
    usable: Tensor


def langevin(
    target: Target, state: ChainState, step_size: Tensor, length: Tensor, scale: Tensor, normal: Tensor
) -> Stepped:
    """A minimal-norm step, then the momentum is partly refreshed with ``normal`` ``[chains, dim]``.

    A chain that came to an infinite density, gradient or energy stays, with a new momentum.
    """
    moved = minimal_norm(target, state, step_size, scale)
    *parts, usable = fused(target, _settle)(*moved.state, moved.energy_error, *state[:3], normal, step_size, length)
    return Stepped(ChainState(*parts), moved.energy_error, usable)


def _settle(
    position: Tensor,
    value: Tensor,
    gradient: Tensor,
    momentum: Tensor,
    error: Tensor,
    old_position: Tensor,
    old_value: Tensor,
    old_gradient: Tensor,
    normal: Tensor,
    step_size: Tensor,
    length: Tensor,
) -> tuple[Tensor, ...]:
    moved = ChainState(position, value, gradient, momentum)
    usable = finite(Moved(moved, error))
    turned = moved._replace(momentum=partial_refresh(momentum, normal, step_size, length))
    old = ChainState(old_position, old_value, old_gradient, unit(normal))
    return (*choose(usable, turned, old), usable)
