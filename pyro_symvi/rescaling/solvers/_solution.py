"""Where a solver ended, and the certificate that it is the optimum."""

from __future__ import annotations

from dataclasses import dataclass

from ..criteria import Vector


@dataclass(frozen=True)
class Solution:
    """The result of a solver.

    Attributes:
        z: log scales ``[H]``.
        history: the objective at the start and after each iteration (or sweep); it never rises.
        residual: of the optimality condition at z (see ``Problem.residual``).
        converged: the residual is within the tolerance.
    """

    z: Vector
    history: tuple[float, ...]
    residual: float
    converged: bool
