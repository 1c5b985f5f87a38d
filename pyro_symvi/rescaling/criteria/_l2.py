"""Least energy: the point of the orbit with the smallest sum of squares, or of other powers."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from ..tracing import TracedNetwork
from ._block import Index, Vector
from ._blocks import blocks_of
from ._criterion import Criterion, log_magnitudes
from ._exponential_sum import ExponentialSum, Flows
from ._single import SingleUnits
from ._smooth import SmoothProblem
from ._updates import balance


@dataclass(frozen=True, eq=False, repr=False)
class L2Criterion(Criterion):
    """E(z) = sum_i |theta_i|^p e^{-p (Bz)_i / 2}, least where each unit has as much coming in as going out (ENorm).

    At the minimum sum_in |theta|^p = k sum_out |theta|^p for each unit, k its degree (1 for ReLU). Stock, Graham,
    Gribonval and Jegou (2019); as a problem on matrices, Osborne's (1960) balancing. One layer by itself:
    z_h = (1/p) log(out_h / in_h).

    Attributes:
        power: p >= 1, 2 as a rule.

    Raises:
        ValueError: unless the power is finite and at least 1.
    """

    power: float = 2.0

    def __post_init__(self) -> None:
        if not (isinstance(self.power, int | float) and math.isfinite(self.power) and self.power >= 1):
            raise ValueError(
                f"expected a finite power >= 1, got {self.power!r}; try RangeCriterion() for the limit of large powers"
            )

    def _problem(self, network: TracedNetwork, theta: Tensor) -> L2Problem:
        return L2Problem(network, log_magnitudes(theta), float(self.power))


class L2Problem(SmoothProblem):
    """E for given log |theta|."""

    def __init__(self, network: TracedNetwork, logs: Vector, power: float) -> None:
        super().__init__(network.action.units, -power / 2, blocks_of(network, power * logs))
        counted = self.counted(network.action.enters.numpy(), network.action.leaves.numpy(), logs > -np.inf)
        self.count = len(logs) if counted is None else int(counted.sum())

    def value(self, z: Vector) -> float:
        with np.errstate(over="ignore", divide="ignore"):
            return float(np.exp(self.sum.flows(z).log_total))

    def _level(self, z: Vector) -> float:
        return self.sum.flows(z).log_total

    def normalised(self) -> tuple[L2Problem, float]:
        level = self._level(self.start()) if self.count else 0.0
        if not 300.0 < abs(level) < math.inf:
            return self, 0.0
        twin = copy.copy(self)
        blocks = tuple(replace(b, logs=b.logs - level) for b in self.sum.blocks)
        twin.sum = ExponentialSum(self.units, self.sum.rate, blocks)
        return twin, level

    def gradient(self, z: Vector) -> Vector:
        flows = self.sum.flows(z)
        return self.sum.rate * math.exp(flows.shift) * self._excess(flows)

    def _excess(self, flows: Flows) -> Vector:
        return self._free((flows.weighted_out() - flows.into)[:-1])

    def hessian(self, z: Vector) -> Vector:
        curvature = self.sum.curvature(z)
        result = self.sum.rate**2 * math.exp(curvature.flows.shift) * curvature.dense()
        result[self.frozen], result[:, self.frozen] = 0.0, 0.0
        return result

    def solve(self, z: Vector, v: Vector, tolerance: float = 1e-12, damping: float = 0.0) -> Vector:
        curvature = self.sum.curvature(z)
        scale = self.sum.rate**2 * math.exp(curvature.flows.shift)
        return self._solve(curvature, v / scale, None, damping * curvature.diagonal, tolerance)

    def imbalance(self, z: Vector) -> Vector:
        """(k O_h - I_h) / (k O_h + I_h), in [-1, 1]."""
        flows = self.sum.flows(z)
        through = (flows.weighted_out() + flows.into)[:-1]
        if bool((through[~self.frozen] > 1e-290).all()):
            return self._excess(flows) / np.where(self.frozen, 1.0, through)
        logs, leaving = self.sum.log_flows(z)
        total = np.logaddexp.reduce([np.log(k) + o for k, o in leaving.items()], axis=0)
        return self._free(np.tanh((np.nan_to_num(total - logs, nan=0.0) / 2)[:-1]))

    def update(self, z: Vector, chosen: Index) -> Vector:
        into, out = self._logs(z, chosen)
        return z[chosen] + balance(into, out, -self.sum.rate)

    def sweep_units(self, z: Vector) -> Vector:
        units = SingleUnits(self.sum, z)
        for unit in np.flatnonzero(~self.frozen).tolist():
            into, out = units.flows_by_degree(unit)
            with np.errstate(divide="ignore"):
                logs = {k: np.log(np.array([o])) for k, o in out.items()}
            units.move(unit, float(balance(np.log(np.array([into])), logs, -self.sum.rate)[0]))
        return units.z
