"""Path conditioning: the diagonal of the path-magnitude matrix as even as it can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..path_lifting import path_weights
from ..tracing import TracedNetwork
from ._criterion import Criterion, Problem
from ._exponential_sum import ExponentialSum, Vector


@dataclass(frozen=True, eq=False, repr=False)
class PathCriterion(Criterion):
    """F(z) = n log(mean_i g_i e^{(Bz)_i}) - 1^T B z - sum_i log g_i, n times log(arithmetic / geometric mean) of g.

    g_i is the diagonal of J^T J, J the Jacobian of the path lifting (Lebeurrier, Vayer and Gribonval 2026, arXiv
    2602.19799). F >= 0, 0 where all g are equal; strictly convex.
    """

    def problem(self, network: TracedNetwork, theta: Tensor) -> PathProblem:
        return PathProblem(network, path_weights(network, theta).detach().numpy())


class PathProblem(Problem):
    """F for given g."""

    def __init__(self, network: TracedNetwork, g: Vector) -> None:
        live = g > 0
        self.units, self.n = network.action.units, int(live.sum())
        self.sum = ExponentialSum.of(network.action, np.where(live, g, 0.0), 1.0)
        counts = ExponentialSum.of(network.action, live.astype(float), 1.0)
        self.linear = counts.gradient(np.zeros(self.units))  # B^T 1
        into, out = (
            np.bincount(i.numpy()[i.numpy() >= 0], minlength=self.units)
            for i in (network.action.enters, network.action.leaves)
        )
        self.fans = into + out
        self.log_g = float(np.log(g[live]).sum())

    def value(self, z: Vector) -> float:
        return self.n * np.log(self.sum.value(z) / self.n) - float(self.linear @ z) - self.log_g

    def gradient(self, z: Vector) -> Vector:
        return self.n * self.sum.gradient(z) / self.sum.value(z) - self.linear

    def hessian(self, z: Vector) -> Vector:
        p = self.sum.gradient(z) / self.sum.value(z)
        return self.n * (self.sum.hessian(z).toarray() / self.sum.value(z) - np.outer(p, p))

    def residual(self, z: Vector) -> float:
        return float(np.abs(self.gradient(z)).max(initial=0.0) / self.fans.min(initial=self.n))
