"""Equal ranges: the largest weight into each unit as large as the largest out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import Tensor

from ..tracing import TracedNetwork
from ._block import Block, Index, Vector
from ._blocks import blocks_of
from ._criterion import Criterion, Problem, log_magnitudes
from ._live import LiveGraph


@dataclass(frozen=True, eq=False, repr=False)
class RangeCriterion(Criterion):
    """max_in |theta| = max_out |theta| for each unit (Nagel et al. 2019: cross-layer equalisation; biases enter).

    Read as y_h = (max_out + min_in) / 2 over neighbours it is the value of a game of two players (tug of war, Peres,
    Schramm, Sheffield and Wilson 2009). Where the units have no cycle it has exactly one solution: were z of another
    one largest on a set of units, the largest weight out of each of them would have to lead into the set again. It is
    then the limit of the l_p points as p grows, the max-balanced scaling of Schneider and Schneider (1991). Where ties
    make a cycle (sums with identity shortcuts) the ranges alone leave a choice: sweeps from the point of least energy
    make it, which depends on the orbit alone.

    The objective is the largest |theta_i| among the weights that a free unit touches; it never rises.
    """

    def _problem(self, network: TracedNetwork, theta: Tensor) -> RangeProblem:
        return RangeProblem(network, log_magnitudes(theta))


class Policy(NamedTuple):
    """The entry that is the largest into (or out of) each unit, all ``[H + 1]``.

    Attributes:
        value: its log at z = 0 of the unit itself (all others as they are).
        log: its log weight.
        other: the unit at its other end.
        degree: its k.
    """

    value: Vector
    log: Vector
    other: Index
    degree: Vector


class RangeProblem(Problem):
    """Ranges for given log |theta|; the equations are those of :class:`RangeCriterion`."""

    def __init__(self, network: TracedNetwork, logs: Vector) -> None:
        self.units, self.network, self.logs = network.action.units, network, logs
        blocks = blocks_of(network, logs, largest=True)
        self.graph = LiveGraph.of(blocks, self.units)
        dropped = np.append(self.graph.frozen, False)
        self.blocks = tuple(b.without(dropped) for b in blocks)
        into, out = (~dropped[i.numpy()] for i in (network.action.enters, network.action.leaves))
        self.count = int(((logs > -np.inf) & into & out).sum())

    def _padded(self, z: Vector) -> Vector:
        return np.append(z / 2, 0.0)

    def policies(self, z: Vector) -> tuple[Policy, Policy]:
        """The largest entries into and out of each unit at z."""
        y, zero = self._padded(z), np.zeros(self.units + 1)
        into, out = _nothing(self.units), _nothing(self.units)
        for block in self.blocks:
            values = block.moved(zero, -block.degree * y)
            _offer(into, block, values, rows=True)
        for block in self.blocks:
            values = block.moved(y, zero)
            _offer(out, block, values, rows=False, own=-(block.degree) * y)
        return into, out

    def value(self, z: Vector) -> float:
        if not (~self.frozen).any():
            return float(np.exp(self.logs.max(initial=-np.inf)))
        into, out = self._ranges(z)
        return float(np.exp(np.maximum(into, out)[~self.frozen].max()))

    def _ranges(self, z: Vector) -> tuple[Vector, Vector]:
        """Logs of the largest weight into and out of each unit, ``[H]``."""
        y = self._padded(z)
        into, out = np.full(self.units + 1, -np.inf), np.full(self.units + 1, -np.inf)
        for block in self.blocks:
            values = block.moved(y, -block.degree * y)
            into[block.heads] = np.maximum(into[block.heads], block.row_maxima(values))
            out[block.tails] = np.maximum(out[block.tails], block.column_maxima(values))
        return into[:-1], out[:-1]

    def gradient(self, z: Vector) -> Vector:
        """Log max_in - log max_out, ``[H]``: no gradient of the objective, but what vanishes."""
        into, out = self._ranges(z)
        with np.errstate(invalid="ignore"):
            return np.where(self.frozen, 0.0, into - out)

    def imbalance(self, z: Vector) -> Vector:
        return self.gradient(z)

    def distance(self, z: Vector) -> float:
        """Zero: without cycles, imbalances add up along paths at most, with them ranges leave a choice."""
        return 0.0

    def jacobian(self, into: Policy, out: Policy) -> sparse.csc_matrix:
        """Derivative of the equations for given largest entries, on the free units."""
        free = np.flatnonzero(~self.frozen)
        rows = np.concatenate([free, free, free])
        columns = np.concatenate([free, into.other[free], out.other[free]])
        values = np.concatenate([1 + out.degree[free], -into.degree[free], -np.ones(len(free))]) / 2
        inner = columns < self.units
        full = sparse.csr_matrix((values[inner], (rows[inner], columns[inner])), shape=(self.units, self.units))
        return full[free][:, free].tocsc()

    def hessian(self, z: Vector) -> Vector:
        free = np.flatnonzero(~self.frozen)
        result = np.zeros((self.units, self.units))
        result[np.ix_(free, free)] = self.jacobian(*self.policies(z)).toarray()
        return result

    def solve(self, z: Vector, v: Vector, tolerance: float = 1e-12, damping: float = 0.0) -> Vector:
        """As for the others, without damping; RuntimeError where ties make a cycle and the matrix is singular."""
        return self._solve(self.policies(z), v)

    def _solve(self, policies: tuple[Policy, Policy], v: Vector) -> Vector:
        free = np.flatnonzero(~self.frozen)
        result = np.zeros(self.units)
        if len(free):
            result[free] = splu(self.jacobian(*policies)).solve(v[free])
        return result

    def improve(self, into: Policy, out: Policy) -> Vector:
        """The z that solves the equations for given largest entries: one step of policy iteration."""
        return self._solve((into, out), (out.log - into.log)[:-1])

    def update(self, z: Vector, chosen: Index) -> Vector:
        """The largest d among (log O_k - log I) / (1 + k), in logs of weights."""
        y = self._padded(z)
        mark = np.zeros(self.units + 1, bool)
        mark[chosen] = True
        into = np.full(self.units + 1, -np.inf)
        out: dict[float, Vector] = {}
        for block in self.blocks:
            if not (mark[block.heads].any() or mark[block.tails].any()):
                continue
            values = block.moved(y, -block.degree * y)
            into[block.heads] = np.maximum(into[block.heads], block.row_maxima(values))
            leaving = out.setdefault(block.degree, np.full(self.units + 1, -np.inf))
            leaving[block.tails] = np.maximum(leaving[block.tails], block.column_maxima(values))
        steps = np.stack([(o[chosen] - into[chosen]) / (1 + k) for k, o in out.items()])
        return z[chosen] + 2 * steps.max(0)

    def sweep_units(self, z: Vector) -> Vector:
        z = z.copy()
        for unit in np.flatnonzero(~self.frozen):
            z[unit] = self.update(z, np.array([unit]))[0]
        return z


def _nothing(units: int) -> Policy:
    size = units + 1
    return Policy(np.full(size, -np.inf), np.zeros(size), np.full(size, units), np.ones(size))


def _offer(policy: Policy, block: Block, values: Vector, *, rows: bool, own: Vector | None = None) -> None:
    """Take the largest value of each row (column) of a block where it is larger than what is known."""
    units, others = (block.heads, block.tails) if rows else (block.tails, block.heads)
    if block.pattern is None:
        place = values.argmax(1 if rows else 0)
        index = (np.arange(len(units)), place) if rows else (place, np.arange(len(units)))
        top, logs, other = values[index], block.logs[index], others[place]
        unit = units
    else:
        row = np.repeat(np.arange(len(block.heads)), np.diff(block.pattern.indptr))
        line, cross = (row, block.pattern.indices) if rows else (block.pattern.indices, row)
        order = np.lexsort((values, line))
        last = order[np.append(np.flatnonzero(np.diff(line[order])), len(order) - 1)] if len(order) else order
        top, logs, unit, other = values[last], block.logs[last], units[line[last]], others[cross[last]]
    if own is not None:
        top = top + own[unit]
    better = top > policy.value[unit]
    chosen = unit[better]
    policy.value[chosen], policy.log[chosen] = top[better], logs[better]
    policy.other[chosen], policy.degree[chosen] = other[better], block.degree
