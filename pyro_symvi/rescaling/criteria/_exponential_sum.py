"""S(z) = sum_i w_i exp(t (B z)_i): what the smooth criteria are made of, with its derivatives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._block import Block, Index, Vector

_FAR = 60.0
"""Largest exponent of a factor before the matrices are made anew at the current point."""


class Flows(NamedTuple):
    """Sums of the terms of S by unit, divided by exp(``shift``).

    Attributes:
        into: I_h, over the entries that enter h ``[H + 1]``; the last one stands for the outside.
        out: O_h by degree: sums over the entries of degree k that leave h ``[H + 1]``.
        shift: log of the common factor.
    """

    into: Vector
    out: dict[float, Vector]
    shift: float

    @property
    def total(self) -> float:
        """S exp(-shift)."""
        return float(self.into.sum())

    @property
    def log_total(self) -> float:
        """Log S."""
        return float(np.log(self.into.sum())) + self.shift

    def weighted_out(self, power: int = 1) -> Vector:
        """Sum over degrees of k^power O_h, ``[H + 1]``."""
        result = np.zeros_like(self.into)
        for k, out in self.out.items():
            result += k**power * out
        return result


class ExponentialSum:
    """A sum over entries in blocks; B z = k z_tail - z_head.

    The terms are kept as matrices A at a base point, and at z they are u_i A_ij v_j with factors by unit: sums and
    products with the second derivative are products of A with vectors, 2 n multiplications each and no memory of
    size n. Far from the base the matrices are made anew from the logs, so that no z overflows.

    Attributes:
        units: H.
        rate: t.
        blocks: log weights.
    """

    def __init__(self, units: int, rate: float, blocks: tuple[Block, ...]) -> None:
        self.units, self.rate, self.blocks = units, rate, blocks
        self._base = np.zeros(units + 1)
        self._matrices: list[Any] = []
        self._shift = 0.0

    def padded(self, z: Vector) -> Vector:
        """Z with the zero of the outside, ``[H + 1]``."""
        return np.append(z, 0.0)

    def factors(self, z: Vector) -> list[tuple[Block, Any, Vector, Vector]]:
        """Each block with A, u and v: the terms at z are exp(shift) u_i A_ij v_j."""
        moved = self.rate * (self.padded(z) - self._base)
        largest = float(np.abs(moved).max()) * max((b.degree for b in self.blocks), default=1.0)
        if not self._matrices or largest > _FAR:
            self._rebase(z)
            moved = np.zeros_like(moved)
        enter = np.exp(-moved)
        leave = {k: np.exp(k * moved) for k in {b.degree for b in self.blocks}}
        return [
            (b, a, enter[b.heads], leave[b.degree][b.tails]) for b, a in zip(self.blocks, self._matrices, strict=True)
        ]

    @property
    def shift(self) -> float:
        """Log of the common factor of the matrices as they are now."""
        return self._shift

    def rebase(self, z: Vector) -> None:
        """Make the matrices anew at z."""
        self._rebase(z)

    def _rebase(self, z: Vector) -> None:
        self._base = self.padded(z)
        logs = [b.moved(-self.rate * self._base, self.rate * b.degree * self._base) for b in self.blocks]
        self._shift = max((float(x.max(initial=-np.inf)) for x in logs), default=0.0)
        self._shift = self._shift if np.isfinite(self._shift) else 0.0
        for x in logs:
            np.exp(np.subtract(x, self._shift, out=x), out=x)
        self._matrices = [b.matrix(x) for b, x in zip(self.blocks, logs, strict=True)]

    def flows(self, z: Vector) -> Flows:
        """Sums by unit at z."""
        parts = self.factors(z)
        into = np.zeros(self.units + 1)
        out: dict[float, Vector] = {1.0: np.zeros(self.units + 1)}
        for block, a, u, v in parts:
            into[block.heads] += u * (a @ v)
            out.setdefault(block.degree, np.zeros(self.units + 1))[block.tails] += v * (a.T @ u)
        return Flows(into, out, self._shift)

    def log_flows(self, z: Vector, chosen: Index | None = None) -> tuple[Vector, dict[float, Vector]]:
        """Logs of I and O ``[H + 1]`` at z, each sum with a factor of its own (nothing under- or overflows).

        With ``chosen``, only blocks that touch these units are visited.
        """
        padded = self.rate * self.padded(z)
        into = np.full(self.units + 1, -np.inf)
        out = {1.0: into.copy()}
        for block in self.touching(chosen):
            values = block.moved(-padded, block.degree * padded)
            into[block.heads] = np.logaddexp(into[block.heads], block.log_row_sums(values))
            leaving = out.setdefault(block.degree, np.full(self.units + 1, -np.inf))
            leaving[block.tails] = np.logaddexp(leaving[block.tails], block.log_column_sums(values))
        return into, out

    def some_flows(self, z: Vector, chosen: Index) -> tuple[Vector, dict[float, Vector], float]:
        """I and O of the chosen units alone ``[len(chosen)]``, and the shift; about half the work of :meth:`flows`."""
        mark = np.zeros(self.units + 1, bool)
        mark[chosen] = True
        into = np.zeros(self.units + 1)
        out: dict[float, Vector] = {1.0: np.zeros(self.units + 1)}
        for block, a, u, v in self.factors(z):
            if mark[block.heads].any():
                into[block.heads] += u * (a @ v)
            if mark[block.tails].any():
                out.setdefault(block.degree, np.zeros(self.units + 1))[block.tails] += v * (a.T @ u)
        return into[chosen], {k: o[chosen] for k, o in out.items()}, self._shift

    def touching(self, chosen: Index | None) -> list[Block]:
        """The blocks that touch some of these units."""
        if chosen is None:
            return list(self.blocks)
        mark = np.zeros(self.units + 1, bool)
        mark[chosen] = True
        return [b for b in self.blocks if mark[b.heads].any() or mark[b.tails].any()]

    def curvature(self, z: Vector) -> Curvature:
        """The second derivative of S at z, without t^2."""
        return Curvature(self, z)


class Curvature:
    """L = sum_i w_i e^{t (Bz)_i} b_i b_i^T exp(-shift) at one z, b_i the rows of B: a matrix like a graph Laplacian."""

    def __init__(self, total: ExponentialSum, z: Vector) -> None:
        self.units = total.units
        self.parts = total.factors(z)
        flows = total.flows(z)
        self.flows = flows
        self.diagonal = (flows.into + flows.weighted_out(2))[:-1]

    def times(self, x: Vector) -> Vector:
        """The product L x, ``[H]``."""
        padded = np.append(x, 0.0)
        result = np.zeros(self.units + 1)
        for block, a, u, v in self.parts:
            result[block.heads] += block.degree * u * (a @ (v * padded[block.tails]))
            result[block.tails] += block.degree * v * (a.T @ (u * padded[block.heads]))
        return self.diagonal * x - result[:-1]

    def dense(self) -> Vector:
        """L as a matrix ``[H, H]``."""
        result = np.zeros((self.units + 1, self.units + 1))
        for block, a, u, v in self.parts:
            if block.pattern is None:
                terms = block.degree * u[:, None] * a * v
                result[np.ix_(block.heads, block.tails)] -= terms
                result[np.ix_(block.tails, block.heads)] -= terms.T
            else:
                tail, head = block.tails[a.indices], np.repeat(block.heads, np.diff(a.indptr))
                terms = block.degree * u[head] * a.data * v[tail]
                result[head, tail] -= terms  # each place occurs once
                result[tail, head] -= terms
        result = result[:-1, :-1]
        result[np.diag_indices(self.units)] = self.diagonal
        return result
