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
        distance: of z from the optimum, to first order (see ``Problem.distance``); inf where it was not asked for,
            because the residual is above the tolerance.
        converged: the residual is within the tolerance, and the distance within a hundred times that (1e-8 at least).
    """

    z: Vector
    history: tuple[float, ...]
    residual: float
    distance: float
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
        self.at(z)

    def at(self, z: Vector) -> None:
        """Stand at z."""
        self.z, self.residual = z, self.problem.residual(z)
        self._distance: float | None = None

    @property
    def balanced(self) -> bool:
        """Whether the residual is within the tolerance."""
        return self.residual <= self.tolerance

    @property
    def distance(self) -> float:
        """From the optimum, to first order; inf where units are not balanced."""
        if self._distance is None:
            self._distance = self.problem.distance(self.z) if self.balanced else math.inf
        return self._distance

    @property
    def done(self) -> bool:
        """Whether both certificates hold."""
        return self.balanced and self.distance <= 100 * max(self.tolerance, 1e-10)

    def add(self, z: Vector) -> None:
        """One iteration more."""
        self.history.append(min(self.problem.value(z), self.history[-1]))
        self.at(z)
        if self.watch is not None:
            self.watch(len(self.history) - 1, self.history[-1], self.residual)

    def solution(self) -> Solution:
        """The result, where the run stands."""
        return Solution(self.z, tuple(self.history), self.residual, self.distance, self.done)
