"""What the smooth criteria have in common: Newton equations and updates of units, from one exponential sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ._block import Block, Index, Vector
from ._conjugate import conjugate_gradients
from ._criterion import Problem
from ._exponential_sum import Curvature, ExponentialSum
from ._live import LiveGraph
from ._updates import balance

DENSE = 200
"""Units up to which the Newton equations are solved by a Cholesky factor at once."""

ITERATIONS = 200
"""Conjugate gradients beyond that many units: iterations before a factor is tried instead."""

LARGE = 4000
"""Units beyond which no factor is tried."""


class SmoothProblem(Problem):
    """An objective made of S(z) = sum_i w_i e^{t (Bz)_i}; entries of frozen units are taken out."""

    def __init__(self, units: int, rate: float, blocks: tuple[Block, ...]) -> None:
        self.units = units
        self.graph = LiveGraph.of(blocks, units)
        self.dropped = np.append(self.graph.frozen, False)
        if self.graph.frozen.any():
            blocks = tuple(b.without(self.dropped) for b in blocks)
        self.sum = ExponentialSum(units, rate, blocks)

    def counted(self, heads: Index, tails: Index, live: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Which entries are live and touch no frozen unit ``[dim]``; None for all."""
        if self.graph.frozen.any():
            live = live & ~self.dropped[heads] & ~self.dropped[tails]  # -1 reads the last place, the outside
        return None if bool(live.all()) else live

    def _free(self, x: Vector) -> Vector:
        return np.where(self.frozen, 0.0, x)

    def start(self) -> Vector:
        """Where sweeps that lower S alone come near its minimum; 0 where that is no better.

        S does not rise in any of them and sees only neighbours, so that points far away on the orbit come back after
        a few sweeps more than the network is deep.
        """
        z = np.zeros(self.units)
        for _ in range(100):
            largest = 0.0
            for layer in self.layers:
                step = balance(*self._logs(z, layer), -self.sum.rate)
                z[layer] += step
                largest = max(largest, float(np.abs(step).max()))
            if largest <= 3.0:
                break
        return z if self._level(z) < self._level(np.zeros(self.units)) else np.zeros(self.units)

    def _level(self, z: Vector) -> float:
        """The objective, or an increasing function of it, that does not overflow."""
        return self.value(z)

    def _solve(self, curvature: Curvature, v: Vector, mean: Vector | None, extra: Vector, tolerance: float) -> Vector:
        """The x with (L + diag(extra) - total m m^T) x = v on free units, L = ``curvature``, m = ``mean`` (None: 0)."""
        free = np.flatnonzero(~self.frozen)
        if not len(free):
            return np.zeros(self.units)
        total = curvature.flows.total
        mean = None if mean is None else self._free(mean)
        if len(free) > DENSE:

            def times(x: Vector) -> Vector:
                y = curvature.times(x) + extra * x
                return self._free(y if mean is None else y - total * (mean @ x) * mean)

            diagonal = np.where(self.frozen, 1.0, curvature.diagonal + extra)
            x, reached = conjugate_gradients(times, self._free(v), diagonal, tolerance, ITERATIONS)
            if reached or len(free) > LARGE:
                return x
        matrix = curvature.dense()[np.ix_(free, free)]
        matrix[np.diag_indices(len(free))] += extra[free]
        root = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
        sides = v[free][:, None] if mean is None else np.stack([v[free], mean[free]], 1)
        x = root[:, None] * _positive_solve(root[:, None] * matrix * root, root[:, None] * sides)
        if mean is not None:  # Sherman and Morrison
            gain = total / max(1 - total * float(mean[free] @ x[:, 1]), 1e-14)
            x = x[:, :1] + gain * (mean[free] @ x[:, 0]) * x[:, 1:]
        result = np.zeros(self.units)
        result[free] = x[:, 0]
        return result

    def _logs(self, z: Vector, chosen: Index) -> tuple[Vector, dict[float, Vector]]:
        """Logs of I and O of the chosen units at z, whatever their size."""
        into, out, shift = self.sum.some_flows(z, chosen)
        least = np.minimum(into, sum(out.values(), np.zeros(len(chosen))))
        if bool((least > 1e-200).all()):
            with np.errstate(divide="ignore"):
                return np.log(into) + shift, {k: np.log(o) + shift for k, o in out.items()}
        logs_in, logs_out = self.sum.log_flows(z, chosen)
        return logs_in[chosen], {k: o[chosen] for k, o in logs_out.items()}


def _positive_solve(matrix: Vector, sides: Vector) -> Vector:
    """Solution of a positive definite system; a little is added to the diagonal where rounding makes it indefinite."""
    for extra in (0.0, 1e-14, 1e-11, 1e-8):
        try:
            factor = linalg.cho_factor(matrix + extra * np.eye(len(matrix)), lower=True, check_finite=False)
        except linalg.LinAlgError:
            continue
        x = linalg.cho_solve(factor, sides, check_finite=False)
        return x + linalg.cho_solve(factor, sides - matrix @ x, check_finite=False)
    return sides
