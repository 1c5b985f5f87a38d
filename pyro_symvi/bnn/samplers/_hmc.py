"""Hamiltonian Monte Carlo."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ._adjusted import AdjustedSampler
from ._integrators import Moved, hamiltonian_leapfrog
from ._sampler import ChainState, Target, Tuning


@dataclass(frozen=True, eq=False, repr=False)
class HMC(AdjustedSampler):
    """Hamiltonian Monte Carlo with trajectories of varied length (Neal 2011): exact.

    From a fresh normal momentum, leapfrog steps, accepted with probability min(1, exp(-Delta H)). Mean length of a
    trajectory: 1.3 sqrt(mean of variances), in time.
    """

    def _length(self, variance: Tensor) -> float:
        return 1.3 * float(variance.double().mean().sqrt())

    def _first_step(self, microcanonical: float, dim: int) -> float:
        return microcanonical / math.sqrt(dim)

    def _trajectory(self, target: Target, state: ChainState, tuning: Tuning, steps: int) -> Moved:
        return hamiltonian_leapfrog(target, state, tuning.step_size, tuning.scale, steps)
