"""Least energy: the point of the orbit with the smallest sum of squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..tracing import TracedNetwork
from ._criterion import Criterion, Problem
from ._exponential_sum import ExponentialSum, Vector


@dataclass(frozen=True, eq=False, repr=False)
class L2Criterion(Criterion):
    """E(z) = sum_i theta_i^2 e^{-(Bz)_i}; at its minimum each unit has as much energy coming in as going out (ENorm).

    Stock, Graham, Gribonval and Jegou (2019); as a problem on matrices, Osborne's (1960) balancing.
    """

    def problem(self, network: TracedNetwork, theta: Tensor) -> L2Problem:
        return L2Problem(ExponentialSum.of(network.action, theta.square().numpy(), -1.0))


class L2Problem(Problem):
    """E for given squares."""

    def __init__(self, energy: ExponentialSum) -> None:
        self.sum, self.units = energy, energy.units

    def value(self, z: Vector) -> float:
        return self.sum.value(z)

    def gradient(self, z: Vector) -> Vector:
        return self.sum.gradient(z)

    def hessian(self, z: Vector) -> Vector:
        return self.sum.hessian(z).toarray()

    def residual(self, z: Vector) -> float:
        return float(np.abs(self.gradient(z)).max(initial=0.0) / self.value(z))
