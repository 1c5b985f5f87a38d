"""Hamiltonian Monte Carlo."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ._adjusted import AdjustedSampler
from ._integrators import Moved, hamiltonian_leapfrog
from ._refresh import mixed
from ._sampler import ChainState, Target


@dataclass(frozen=True, eq=False, repr=False)
class HMC(AdjustedSampler):
    """Hamiltonian Monte Carlo with trajectories of varied length (Neal 2011): exact.

    From a normal momentum, leapfrog steps, accepted with probability min(1, exp(-Delta H)). Mean length of a
    trajectory: 1.3 sqrt(mean of variances), in time, unless that is more than ``max_steps`` / 2 steps.
    """

    def _refresh(self, momentum: Tensor, normal: Tensor, memory: Tensor) -> Tensor:
        return mixed(momentum, normal, memory)

    def _length(self, distance: float, dim: int) -> float:
        return 1.3 * distance / math.sqrt(dim)

    def _first_step(self, microcanonical: Tensor, dim: int) -> Tensor:
        return 0.5 * microcanonical / math.sqrt(dim)

    def _trajectory(self, target: Target, state: ChainState, step_size: Tensor, scale: Tensor, steps: int) -> Moved:
        return hamiltonian_leapfrog(target, state, step_size, scale, steps)
