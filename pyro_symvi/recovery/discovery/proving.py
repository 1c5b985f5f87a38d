"""Proofs of affine symmetries: the exact map is put into the exact expression of log p."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ...density import LogDensity
from ..analysis import Analysis, analyze
from ..analysis.driver import read
from ..analysis.expressions import BUDGET, Expressions
from ..analysis.invariance import is_invariant
from ..analysis.polynomials import Polynomial
from ..analysis.refusals import Refused
from .maps import AffineMap

_DENOMINATOR = 2000
_CLOSE = 1e-11
_MOST_PROOFS = 400


class Prover:
    """The exact expression of one target, and what was proved of it.

    Only the function as it is counts: nothing idealised, with a gradient of its own.

    Args:
        density: The target.
    """

    def __init__(self, density: LogDensity) -> None:
        self.analysis: Analysis = analyze(density)
        self._expression: tuple[Expressions, Polynomial] | None = None
        self._tried = 0
        if self.analysis.is_plain:
            try:
                table, p, gradient, _ = read(density._reading.log_prob, density.dim)
            except (Refused, RecursionError):
                return
            if gradient and not table.idealisations:
                self._expression = table, p
        self.centers: dict[int, list[Fraction]] = {}
        for part in (*self.analysis.blocks, *self.analysis.reflections):
            for j, c in zip(part.coordinates, part.center or (), strict=False):
                self.centers.setdefault(j, []).append(c)

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
        images = {}
        for j in given.moved:
            row = self._row(given, j)
            if row is None:
                return False
            coefficients, constant = row
            terms = [(a, table.coordinate(k)) for k, a in coefficients.items()]
            images[j] = table.combination([*terms, (constant, table.one)] if constant else terms)
        self._tried += 1
        table.allow(BUDGET)
        return is_invariant(table, p, images)

    def _row(self, given: AffineMap, j: int) -> tuple[dict[int, Fraction], Fraction] | None:
        coefficients = {}
        for k, value in enumerate(given.matrix[j].tolist()):
            exact = rational(value)
            if exact is None:
                return None
            if exact:
                coefficients[k] = exact
        constant = float(given.offset[j])
        known = self.centers.get(j, []) if coefficients == {j: Fraction(-1)} else []
        for c in known:
            if abs(float(2 * c) - constant) <= 1e-7 * max(1.0, abs(constant)):
                return coefficients, 2 * c
        exact = rational(constant)
        return coefficients, Fraction(constant) if exact is None else exact


def rational(value: float) -> Fraction | None:
    """The fraction of small denominator that a number rounds, if there is one."""
    found = Fraction(value).limit_denominator(_DENOMINATOR)
    return found if abs(float(found) - value) <= _CLOSE * max(1.0, abs(value)) else None
