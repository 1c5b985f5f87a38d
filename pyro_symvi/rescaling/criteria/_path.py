"""Path conditioning: the diagonal of the path-magnitude matrix as even as it can be."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from ...groups import UnsupportedError
from ..path_lifting import log_path_weights
from ..tracing import TracedNetwork
from ._block import Index, Vector
from ._blocks import blocks_of, counts_of
from ._criterion import Criterion, log_magnitudes
from ._live import LiveGraph
from ._single import SingleUnits
from ._smooth import SmoothProblem
from ._updates import positive_root


@dataclass(frozen=True, eq=False, repr=False)
class PathCriterion(Criterion):
    """F(z) = n log(mean_i g_i e^{(Bz)_i}) - 1^T B z - sum_i log g_i, n times log(arithmetic / geometric mean) of g.

    g_i is the diagonal of J^T J, J the Jacobian of the path lifting (Lebeurrier, Vayer and Gribonval 2026, arXiv
    2602.19799). F >= 0, and 0 where all g are equal; strictly convex. Entries with g_i = 0 do not count.

    Its problem raises UnsupportedError where an activation has another degree than 1.
    """

    def _problem(self, network: TracedNetwork, theta: Tensor) -> PathProblem:
        degrees = network.action.degrees
        if degrees is not None and not bool((degrees == 1).all()):
            raise UnsupportedError(
                "expected activations of degree 1 (ReLU, abs) for the path criterion, got other powers, because "
                'path products are not multilinear then; try criterion="l2"'
            )
        problem = PathProblem(network, log_path_weights(network, theta).numpy())
        if problem.frozen.any():
            problem.explain(LiveGraph.of(blocks_of(network, log_magnitudes(theta)), problem.units))
        return problem


class PathProblem(SmoothProblem):
    """F for given log g."""

    def __init__(self, network: TracedNetwork, logs: Vector) -> None:
        super().__init__(network.action.units, 1.0, blocks_of(network, logs))
        chosen = self.counted(network.action.enters.numpy(), network.action.leaves.numpy(), logs > -np.inf)
        fan_in, fan_out, self.linear = counts_of(network.action, chosen)  # linear = B^T 1
        self.fans = fan_in + fan_out
        self.count = len(logs) if chosen is None else int(chosen.sum())
        self.sum_of_logs = float((logs if chosen is None else logs[chosen]).sum())

    def explain(self, weights: LiveGraph) -> None:
        """Take the reasons of frozen units from the graph of weights that are not 0: g_i leaves out weight i."""
        known = {u: weights.reasons.get(u, reason) for u, reason in self.graph.reasons.items()}
        self.graph = replace(self.graph, reasons=known)

    def value(self, z: Vector) -> float:
        if not self.count:
            return 0.0
        log_mean = self.sum.flows(z).log_total - np.log(self.count)
        return float(self.count * (log_mean - (float(self.linear @ z) + self.sum_of_logs) / self.count))

    def rounding(self, value: float) -> float:
        return 1e-13 * (abs(value) + self.count)

    def gradient(self, z: Vector) -> Vector:
        flows = self.sum.flows(z)
        excess = (flows.weighted_out() - flows.into)[:-1]
        return self._free(self.count * excess / flows.total - self.linear)

    def hessian(self, z: Vector) -> Vector:
        curvature = self.sum.curvature(z)
        mean = self._mean(curvature.flows.weighted_out() - curvature.flows.into, curvature.flows.total)
        result = self.count * (curvature.dense() / curvature.flows.total - np.outer(mean, mean))
        result[self.frozen], result[:, self.frozen] = 0.0, 0.0
        return result

    def _mean(self, excess: Vector, total: float) -> Vector:
        """The mean of the rows of B under the weights g e^{Bz} / S, ``[H]``."""
        return self._free(excess[:-1] / total)

    def solve(self, z: Vector, v: Vector, tolerance: float = 1e-12, damping: float = 0.0) -> Vector:
        curvature = self.sum.curvature(z)
        total = curvature.flows.total
        mean = self._mean(curvature.flows.weighted_out() - curvature.flows.into, total)
        scale = total / self.count
        return self._solve(curvature, v * scale, mean, damping * scale * self.fans.astype(float), tolerance)

    def imbalance(self, z: Vector) -> Vector:
        """dF/dz_h divided by the least fan, min_h (|in_h| + |out_h|)."""
        return self.gradient(z) / max(1, self.fans[~self.frozen].min(initial=self.count))

    def update(self, z: Vector, chosen: Index) -> Vector:
        """Exact for S/n held fixed: F(z) = min_s [e^{-s} S(z) - 1^T B z + n s] + constant, convex in (z, s)."""
        return z[chosen] + self._step(*self._logs(z, chosen), chosen, self.sum.flows(z).log_total)

    def _step(self, into: Vector, out: dict[float, Vector], chosen: Index, log_total: float) -> Vector:
        log_mean = log_total - np.log(self.count)
        return positive_root(out[1.0] - log_mean, -self.linear[chosen], into - log_mean)

    def sweep(self, z: Vector) -> Vector:
        z, log_total = z.copy(), self.sum.flows(z).log_total
        for layer in self.layers:
            into, out = self._logs(z, layer)
            step = self._step(into, out, layer, log_total)
            z[layer] += step
            with np.errstate(over="ignore", invalid="ignore"):  # the change of S is that of the terms at the layer
                change = np.exp(into - log_total) * np.expm1(-step) + np.exp(out[1.0] - log_total) * np.expm1(step)
            ratio = 1 + float(change.sum())
            log_total = log_total + np.log(ratio) if 0.1 < ratio < 10 else self.sum.flows(z).log_total
        return z

    def sweep_units(self, z: Vector) -> Vector:
        """The published update: the minimiser of F over one z_h, a quadratic equation in e^{z_h}."""
        units = SingleUnits(self.sum, z)
        log_total = self.sum.flows(z).log_total
        for unit in np.flatnonzero(~self.frozen).tolist():
            into, out = (np.log(x) + units.shift for x in units.flows(unit))
            excess = -float(self.linear[unit])  # |in| - |out|
            rest = max(1 - math.exp(into - log_total) - math.exp(out - log_total), 0.0)
            a = np.asarray(math.log(self.count + excess) + out - log_total)
            c = np.asarray(math.log(self.count - excess) + into - log_total)
            d = float(positive_root(a, np.asarray(excess * rest), c))
            units.move(unit, d)
            log_total += math.log(rest + math.exp(into - d - log_total) + math.exp(out + d - log_total))
        return units.z
