"""Metropolis-adjusted microcanonical dynamics."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ._adjusted import AdjustedSampler
from ._integrators import Moved, microcanonical_leapfrog
from ._mclmc import check_dim
from ._refresh import mixed_unit, unit
from ._sampler import ChainState, Target


@dataclass(frozen=True, eq=False, repr=False)
class MAMS(AdjustedSampler):
    """Metropolis-adjusted microcanonical sampler (Robnik, Cohn-Gordon and Seljak 2025): exact.

    From a unit momentum, leapfrog steps of microcanonical dynamics, accepted with probability min(1, exp(-Delta E)).
    Mean length of a trajectory: 1.3 sqrt(sum of variances), unless that is more than ``max_steps`` / 2 steps.
    """

    def _initial_momentum(self, normal: Tensor) -> Tensor:
        return unit(normal)

    def _refresh(self, momentum: Tensor, normal: Tensor, memory: Tensor) -> Tensor:
        return mixed_unit(momentum, normal, memory)

    def _length(self, distance: float, dim: int) -> float:
        return 1.3 * distance

    def _first_step(self, microcanonical: Tensor, dim: int) -> Tensor:
        return 0.5 * microcanonical

    def _trajectory(self, target: Target, state: ChainState, step_size: Tensor, scale: Tensor, steps: int) -> Moved:
        check_dim(state.position.shape[1])
        return microcanonical_leapfrog(target, state, step_size, scale, steps)
