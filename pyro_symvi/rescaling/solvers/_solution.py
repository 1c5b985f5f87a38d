"""Where a solver ended, and the certificate that it is the optimum."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..criteria import Problem, Vector


@dataclass(frozen=True, eq=False)
class Solution:
    """The result of a solver.

    Attributes:
        z: log scales ``[H]``.
        history: the objective at the start and after each iteration (or sweep). It never rises: where an iteration
            changes it by rounding alone, the least value so far is kept.
        residual: of the optimality condition at z (see ``Problem.residual``).
        converged: the residual is within the tolerance.
    """

    z: Vector
    history: tuple[float, ...]
    residual: float
    converged: bool

    @property
    def iterations(self) -> int:
        """Number of iterations or sweeps."""
        return len(self.history) - 1


Watch = Callable[[int, float, float], object]
"""Called after each iteration with its number, the objective and the residual."""


class Track:
    """History of a run: values, and what watches it."""

    def __init__(self, problem: Problem, z: Vector, tolerance: float, max_iterations: int, watch: Watch | None) -> None:
        if not (isinstance(tolerance, int | float) and 0 < tolerance < math.inf):
            raise ValueError(f"expected a positive finite tolerance, got {tolerance!r}")
        if not isinstance(max_iterations, int) or isinstance(max_iterations, bool) or max_iterations < 0:
            raise ValueError(f"expected a number of iterations >= 0, got {max_iterations!r}")
        self.problem, self.tolerance, self.watch = problem, tolerance, watch
        self.history = [problem.value(z)]
        self.residual = problem.residual(z)

    @property
    def done(self) -> bool:
        """Whether the certificate holds."""
        return self.residual <= self.tolerance

    def add(self, z: Vector) -> None:
        """One iteration more."""
        self.history.append(min(self.problem.value(z), self.history[-1]))
        self.residual = self.problem.residual(z)
        if self.watch is not None:
            self.watch(len(self.history) - 1, self.history[-1], self.residual)

    def solution(self, z: Vector) -> Solution:
        """The result."""
        return Solution(z, tuple(self.history), self.residual, self.done)
