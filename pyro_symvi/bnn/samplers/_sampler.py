"""The base class of samplers: many chains advanced together, each on random numbers of its own."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ..._value import Value

_GOLDEN = 0.5 * (math.sqrt(5) - 1)


class Target(Protocol):
    """What a sampler needs to know: a :class:`~pyro_symvi.bnn.NetworkPosterior` is one."""

    @property
    def dim(self) -> int:
        """Length of a point."""

    def value_and_grad(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Log density ``[chains]`` and gradient ``[chains, dim]`` at ``[chains, dim]``."""


class ChainState(NamedTuple):
    """Where the chains are: all there is to know to go on."""

    position: Tensor
    """``[chains, dim]``"""
    log_density: Tensor
    """``[chains]``"""
    gradient: Tensor
    """``[chains, dim]``"""
    momentum: Tensor
    """``[chains, dim]``; unit vectors for microcanonical samplers"""


class Tuning(NamedTuple):
    """What warm-up finds; tensors, so that they can be stored."""

    step_size: Tensor
    """``[]`` or ``[chains]``"""
    length: Tensor
    """Length of a trajectory, or over which momentum is forgotten, ``[]`` or ``[chains]``"""
    scale: Tensor
    """``[dim]``, diagonal preconditioner: the sampler works in position / scale"""
    steps: Tensor = torch.ones(())
    """``[]``, mean number of integrator steps a trajectory; 1 for samplers without trajectories"""


class StepInfo(NamedTuple):
    """What one step tells."""

    energy_error: Tensor
    """``[chains]``, change of the total energy, before acceptance"""
    acceptance: Tensor
    """``[chains]``, probability of acceptance; 1 for unadjusted samplers"""
    gradients: int
    """Gradient evaluations a chain"""


@dataclass(frozen=True)
class WarmUp:
    """What a warm-up leaves: the state, the tuning, and a record of how it came about."""

    state: ChainState
    tuning: Tuning
    record: dict[str, Any] = field(default_factory=dict)


class Sampler(Value, ABC):
    """A Markov chain on R^dim; a frozen value holding its options.

    Write ``_noise_shapes``, ``_step`` and ``_warm_up``. Random numbers are made before each step, for each chain from
    its own generator, so that a chain's path does not depend on which other chains it is batched with.
    """

    #: Whether the target is invariant (up to rounding), so that only Monte Carlo error remains.
    exact: bool = True

    def start(self, target: Target, position: Tensor, generators: Sequence[torch.Generator]) -> ChainState:
        """The state at ``position`` ``[chains, dim]``; one generator a chain."""
        if position.ndim != 2 or position.shape[1] != target.dim or len(position) != len(generators):
            raise ValueError(
                f"expected positions [chains, {target.dim}] and a generator a chain, got {list(position.shape)} and "
                f"{len(generators)} generators"
            )
        value, gradient = target.value_and_grad(position)
        _check_answer(value, gradient, position)
        bad = ~(torch.isfinite(value) & torch.isfinite(gradient).all(-1))
        if bool(bad.any()):
            raise ValueError(
                f"expected a finite density and gradient at the start, got chain {int(bad.nonzero()[0])} with log "
                f"density {float(value[bad][0])}; try to start from draws of the prior or from a deep ensemble"
            )
        momentum = torch.stack(
            [torch.randn(target.dim, generator=g, dtype=position.dtype, device=g.device) for g in generators]
        ).to(position)
        return ChainState(position, value, gradient, self._initial_momentum(momentum))

    def noise(
        self,
        generators: Sequence[torch.Generator],
        steps: int,
        dim: int,
        like: Tensor,
        shared: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Random numbers of ``steps`` steps, ``[steps, chains, ...]`` each, by name.

        Shared ones, equal for all chains, are the fractional parts of offset + golden ratio * step: uniform, and well
        spread over any run of steps. ``shared`` draws the offset: give it the same key, such as (seed, block), in
        whatever batch a chain runs; without it the offset is 1/2 in each call, which leaves the target invariant too.
        """
        result = {}
        for name, (law, shape) in self._noise_shapes(dim).items():
            if law == "shared":
                offset = 0.5 if shared is None else float(torch.rand((), generator=shared, dtype=torch.float64))
                sequence = (offset + _GOLDEN * torch.arange(steps, dtype=torch.float64)) % 1.0
                result[name] = sequence.to(like)[:, None].expand(steps, len(generators))
                continue
            draw: Callable[..., Tensor] = torch.randn if law == "normal" else torch.rand
            columns = [draw(steps, *shape, generator=g, dtype=like.dtype, device=g.device) for g in generators]
            result[name] = torch.stack(columns, 1).to(like.device)
        return result

    def step(
        self, target: Target, state: ChainState, tuning: Tuning, noise: dict[str, Tensor]
    ) -> tuple[ChainState, StepInfo]:
        """One step of all chains, with the random numbers of that step ``[chains, ...]``."""
        return self._step(target, state, tuning, noise)

    def warm_up(
        self,
        target: Target,
        state: ChainState,
        steps: int,
        generators: Sequence[torch.Generator],
        report: Callable[[int], None] | None = None,
    ) -> WarmUp:
        """Find a tuning in ``steps`` steps, by averages over the chains; ``report(done)`` is called now and then."""
        return self._warm_up(target, state, steps, generators, report or (lambda done: None))

    def _initial_momentum(self, normal: Tensor) -> Tensor:
        return normal

    @abstractmethod
    def _noise_shapes(self, dim: int) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Name to ("normal", "uniform" or "shared", shape of one chain's numbers in one step; () for shared)."""

    @abstractmethod
    def _step(
        self, target: Target, state: ChainState, tuning: Tuning, noise: dict[str, Tensor]
    ) -> tuple[ChainState, StepInfo]: ...

    @abstractmethod
    def _warm_up(
        self,
        target: Target,
        state: ChainState,
        steps: int,
        generators: Sequence[torch.Generator],
        report: Callable[[int], None],
    ) -> WarmUp: ...


def _check_answer(value: Tensor, gradient: Tensor, position: Tensor) -> None:
    """One density a chain, and nothing left for autograd."""
    if value.shape != position.shape[:1] or gradient.shape != position.shape:
        raise ValueError(
            f"expected log densities {list(position.shape[:1])} and gradients {list(position.shape)}, got "
            f"{list(value.shape)} and {list(gradient.shape)}, because each chain has its own; try sum(-1) in "
            "value_and_grad"
        )
    if value.requires_grad or gradient.requires_grad or position.requires_grad:
        raise ValueError(
            "expected numbers from value_and_grad, got tensors that require grad, because their graph would grow with "
            "each step; try to work on theta.detach().requires_grad_() and to return value.detach()"
        )
