"""Single units one after another: the sums of one unit by one row and one column."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ._block import Vector
from ._exponential_sum import ExponentialSum


class SingleUnits:
    """Log scales z that move one at a time.

    Attributes:
        z: as moved so far ``[H]``.
        shift: log of the factor that the sums lack.
    """

    def __init__(self, total: ExponentialSum, z: Vector) -> None:
        total.rebase(z)
        self.z, self.rate = z.copy(), total.rate
        self.parts = [(b, a, u.copy(), v.copy()) for b, a, u, v in total.factors(z)]
        self.shift = total.shift
        self.columns = [a.tocsc() if sparse.issparse(a) else a for _, a, _, _ in self.parts]
        self.rows_of: list[list[tuple[int, int]]] = [[] for _ in range(total.units + 1)]
        self.columns_of: list[list[tuple[int, int]]] = [[] for _ in range(total.units + 1)]
        for number, (block, a, _, _) in enumerate(self.parts):
            rows, columns = list(range(len(block.heads))), list(range(len(block.tails)))
            if block.pattern is not None:
                rows = np.flatnonzero(np.diff(a.indptr)).tolist()
                columns = np.flatnonzero(np.diff(self.columns[number].indptr)).tolist()
            for i in rows:
                self.rows_of[block.heads[i]].append((number, i))
            for j in columns:
                self.columns_of[block.tails[j]].append((number, j))

    def flows(self, unit: int) -> tuple[float, float]:
        """I and O of a unit, all degrees together, without the factor exp(shift)."""
        into, out = self.flows_by_degree(unit)
        return into, sum(out.values())

    def flows_by_degree(self, unit: int) -> tuple[float, dict[float, float]]:
        """I of a unit, and O by degree."""
        into = 0.0
        out: dict[float, float] = {}
        for number, i in self.rows_of[unit]:
            _, a, u, v = self.parts[number]
            into += u[i] * _dot(a, i, v)
        for number, j in self.columns_of[unit]:
            block, _, u, v = self.parts[number]
            column = self.columns[number]
            sums = column[:, j] @ u if block.pattern is None else _dot(column, j, u)
            out[block.degree] = out.get(block.degree, 0.0) + v[j] * sums
        return into, out

    def move(self, unit: int, step: float) -> None:
        """Add to the log scale of a unit."""
        self.z[unit] += step
        for number, i in self.rows_of[unit]:
            self.parts[number][2][i] *= np.exp(-self.rate * step)
        for number, j in self.columns_of[unit]:
            self.parts[number][3][j] *= np.exp(self.parts[number][0].degree * self.rate * step)


def _dot(a: Any, i: int, x: Vector) -> float:
    """Major row i times a vector."""
    if not sparse.issparse(a):
        return float(a[i] @ x)
    part = slice(a.indptr[i], a.indptr[i + 1])
    return float(a.data[part] @ x[a.indices[part]])
