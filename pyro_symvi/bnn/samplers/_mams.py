"""Metropolis-adjusted microcanonical dynamics."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ._adjusted import AdjustedSampler
from ._integrators import Moved, microcanonical_leapfrog
from ._mclmc import check_dim
from ._refresh import unit
from ._sampler import ChainState, Target, Tuning


@dataclass(frozen=True, eq=False, repr=False)
class MAMS(AdjustedSampler):
    """Metropolis-adjusted microcanonical sampler (Robnik, Cohn-Gordon and Seljak 2025): exact.

    From a fresh uniform unit momentum, leapfrog steps of microcanonical dynamics, accepted with probability
    min(1, exp(-Delta E)). Mean length of a trajectory: 1.3 sqrt(sum of variances).
    """

    def _initial_momentum(self, normal: Tensor) -> Tensor:
        return unit(normal)

    def _length(self, variance: Tensor) -> float:
        return 1.3 * float(variance.double().sum().sqrt())

    def _first_step(self, microcanonical: float, dim: int) -> float:
        return microcanonical

    def _trajectory(self, target: Target, state: ChainState, tuning: Tuning, steps: int) -> Moved:
        check_dim(state.position.shape[1])
        return microcanonical_leapfrog(target, state, tuning.step_size, tuning.scale, steps)
