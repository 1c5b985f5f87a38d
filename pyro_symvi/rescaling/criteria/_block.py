"""Weights between two lists of units, in logarithms: the piece that every sum over parameters is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Vector = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Log weights l ``[r, c]`` of the entries that lead from units ``tails[j]`` into units ``heads[i]``.

    Each unit occurs once in either list; the number H stands for whatever has no free scale.

    Attributes:
        heads: units entered ``[r]``.
        tails: units left ``[c]``.
        degree: k of the units left: an entry is scaled by exp(t (k z_tail - z_head)).
        logs: l, dense, or as the data of ``pattern``; -inf where no entry is.
        pattern: None for a dense block, else a sparse matrix with the places of the data.
    """

    heads: Index
    tails: Index
    degree: float
    logs: Vector
    pattern: sparse.csr_matrix | None = None

    def moved(self, a: Vector, b: Vector) -> Vector:
        """The values l_ij + a_i + b_j, in the places of ``logs``; a and b are indexed by unit ``[H + 1]``."""
        if self.pattern is None:
            return self.logs + a[self.heads][:, None] + b[self.tails]
        rows = np.repeat(np.arange(len(self.heads)), np.diff(self.pattern.indptr))
        return self.logs + a[self.heads[rows]] + b[self.tails[self.pattern.indices]]

    def matrix(self, values: Vector) -> Any:
        """Values in the places of ``logs`` as a matrix that multiplies vectors."""
        if self.pattern is None:
            return values
        return sparse.csr_matrix((values, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape)

    def edges(self) -> tuple[Index, Index, Vector]:
        """Tail, head and log weight of each live entry."""
        if self.pattern is None:
            rows, columns = np.nonzero(self.logs > -np.inf)
            return self.tails[columns], self.heads[rows], self.logs[rows, columns]
        rows = np.repeat(np.arange(len(self.heads)), np.diff(self.pattern.indptr))
        live = self.logs > -np.inf
        return self.tails[self.pattern.indices[live]], self.heads[rows[live]], self.logs[live]

    def is_full(self) -> bool:
        """Whether the block is dense and all its entries are live."""
        return self.pattern is None and bool(self.logs.min(initial=0.0) > -np.inf)

    def row_maxima(self, values: Vector) -> Vector:
        """The largest of the values of each row, -inf for none ``[r]``."""
        if self.pattern is None:
            return values.max(1, initial=-np.inf)
        return group_max(values, self.pattern.indptr)

    def column_maxima(self, values: Vector) -> Vector:
        """The largest of the values of each column, -inf for none ``[c]``."""
        if self.pattern is None:
            return values.max(0, initial=-np.inf)
        result = np.full(len(self.tails), -np.inf)
        np.maximum.at(result, self.pattern.indices, values)
        return result

    def log_row_sums(self, values: Vector) -> Vector:
        """Log of the sum of exp over each row, ``[r]``."""
        top = np.maximum(self.row_maxima(values), -1e300)
        if self.pattern is None:
            sums = np.exp(values - top[:, None]).sum(1)
        else:
            rows = np.repeat(np.arange(len(self.heads)), np.diff(self.pattern.indptr))
            sums = np.bincount(rows, np.exp(values - top[rows]), len(self.heads))
        return _log(sums) + top

    def log_column_sums(self, values: Vector) -> Vector:
        """Log of the sum of exp over each column, ``[c]``."""
        top = np.maximum(self.column_maxima(values), -1e300)
        if self.pattern is None:
            sums = np.exp(values - top).sum(0)
        else:
            columns = self.pattern.indices
            sums = np.bincount(columns, np.exp(values - top[columns]), len(self.tails))
        return _log(sums) + top

    def without(self, dropped: NDArray[np.bool_]) -> Block:
        """The block without the entries that touch units marked in ``dropped`` ``[H + 1]``."""
        if not (dropped[self.heads].any() or dropped[self.tails].any()):
            return self
        mark = np.where(dropped, -np.inf, 0.0)
        return Block(self.heads, self.tails, self.degree, self.moved(mark, mark), self.pattern)


def group_max(values: Vector, starts: Index) -> Vector:
    """Maxima of values[starts[i]:starts[i + 1]], -inf for empty ranges."""
    result = np.full(len(starts) - 1, -np.inf)
    some = np.diff(starts) > 0
    if some.any():
        result[some] = np.maximum.reduceat(values, starts[:-1][some])
    return result


def _log(x: Vector) -> Vector:
    with np.errstate(divide="ignore"):
        return np.log(x)
