"""Proofs of affine symmetries: the exact map is put into the exact expression of log p."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ...density import LogDensity
from ..analysis import Analysis, analyze
from ..analysis.affine_maps import prove_map
from ..analysis.expressions import BUDGET, Expressions
from ..analysis.polynomials import Polynomial
from .maps import AffineMap

_DENOMINATOR = 2000
_CLOSE = 1e-11
_SAME = 1e-9
_MOST_PROOFS = 400


class Prover:
    """The exact expression of one target, and what was proved of it.

    Only the function as it is counts: nothing idealised, with a gradient of its own.

    Args:
        density: The target.
    """

    def __init__(self, density: LogDensity) -> None:
        self.analysis: Analysis = analyze(density)
        self._tried = 0
        plain = self.analysis.is_plain
        self._expression: tuple[Expressions, Polynomial] | None = self.analysis.reading if plain else None
        self.centers: dict[int, list[Fraction]] = {}
        self._rows: dict[int, list[tuple[list[Fraction], Fraction]]] = {}
        parts: list[Any] = [*self.analysis.blocks, *self.analysis.ellipses, *self.analysis.reflections]
        for part in parts:
            for j, c in zip(part.coordinates, part.center or (), strict=False):
                self.centers.setdefault(j, []).append(c)
                self._reflected(j, (), (), c, density.dim)
        affine = [*(b.affine_center for b in self.analysis.blocks), *self.analysis.affine_centers]
        for center in (c for c in affine if c is not None):
            for j, slope, start in zip(center.coordinates, center.slope, center.intercept, strict=True):
                self._reflected(j, center.on, slope, start, density.dim)

    def _reflected(self, j: int, on: Sequence[int], slope: Sequence[Fraction], intercept: Fraction, dim: int) -> None:
        """Keep the exact row of z_j -> 2 (a + B y) - z_j."""
        row = [Fraction(0)] * dim
        row[j] = Fraction(-1)
        for k, b in zip(on, slope, strict=True):
            row[k] = 2 * b
        self._rows.setdefault(j, []).append((row, 2 * intercept))

    @property
    def reads(self) -> bool:
        """Whether there is an expression to prove anything of."""
        return self._expression is not None

    def invariant(self, maps: Sequence[AffineMap]) -> bool:
        """Whether log p is proved unchanged by exact maps that round to these, each of determinant +-1."""
        return self.reads and all(self._one(m) for m in maps)

    def _one(self, given: AffineMap) -> bool:
        if self._expression is None or self._tried >= _MOST_PROOFS:
            return False
        table, p = self._expression
        d = len(given.offset)
        matrix = [[Fraction(int(i == j)) for i in range(d)] for j in range(d)]
        offset = [Fraction(0)] * d
        for j in given.moved:
            row = self._row(given, j)
            if row is None:
                return False
            matrix[j], offset[j] = row
        self._tried += 1
        table.allow(BUDGET)
        return prove_map(table, p, matrix, offset)[0]

    def _row(self, given: AffineMap, j: int) -> tuple[list[Fraction], Fraction] | None:
        """Row j of the matrix and of the offset, exact; None where the matrix has no simple fractions."""
        values, constant = given.matrix[j].tolist(), float(given.offset[j])
        for exact, shift in self._rows.get(j, []):
            if _alike([*values, constant], [*exact, shift]):
                return exact, shift
        row = [rational(value) for value in values]
        if any(x is None for x in row):
            return None
        simple = rational(constant)
        return [x or Fraction(0) for x in row], Fraction(constant) if simple is None else simple


def _alike(values: Sequence[float], exact: Sequence[Fraction]) -> bool:
    """Whether numbers agree to 1e-9 of the largest."""
    size = max(1.0, *(abs(value) for value in values))
    return all(abs(value - float(x)) <= _SAME * size for value, x in zip(values, exact, strict=True))


def rational(value: float) -> Fraction | None:
    """The fraction of small denominator that a number rounds, if there is one."""
    found = Fraction(value).limit_denominator(_DENOMINATOR)
    return found if abs(float(found) - value) <= _CLOSE * max(1.0, abs(value)) else None
