"""The base class of moves made between the steps of a sampler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from ..._value import Value, positive_int
from ..samplers import ChainState, Target


class Move(Value, ABC):
    """A Markov kernel of its own that leaves the posterior invariant, made after every ``every``-th step.

    Write ``_check`` (what the target must be) and ``_move`` (the new position and momentum). Random numbers of a chain
    come from that chain's own generator, and so many of them whatever the state.
    """

    every: int

    def __post_init__(self) -> None:
        positive_int(self.every, "every")

    def check(self, target: Target) -> None:
        """Raise where the move does not leave the target invariant, or cannot know."""
        self._check(target)

    def apply(self, target: Target, state: ChainState, generators: Sequence[torch.Generator]) -> ChainState:
        """All chains moved; density and gradient are computed anew (one gradient a chain)."""
        position, momentum = self._move(target, state.position, state.momentum, generators)
        value, gradient = target.value_and_grad(position)
        return state._replace(position=position, log_density=value, gradient=gradient, momentum=momentum)

    @abstractmethod
    def _check(self, target: Target) -> None: ...

    @abstractmethod
    def _move(
        self, target: Target, position: Tensor, momentum: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        """New position and momentum, each ``[chains, dim]``."""


def uniforms(generators: Sequence[torch.Generator], shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Uniform numbers in float64, ``[chains, *shape]``, each chain's from its own generator."""
    columns = [torch.rand(*shape, generator=g, dtype=torch.float64, device=g.device) for g in generators]
    return torch.stack(columns).to(like.device)
