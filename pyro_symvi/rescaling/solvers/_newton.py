"""Damped Newton steps."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from ..criteria import Problem
from ._solution import Solution


def newton(problem: Problem, *, tolerance: float = 1e-8, max_iterations: int = 100) -> Solution:
    """Newton steps, halved until the objective falls enough; converges in about ten."""
    z = np.zeros(problem.units)
    history = [problem.value(z)]
    for _ in range(max_iterations):
        if problem.residual(z) <= tolerance:
            break
        gradient = problem.gradient(z)
        step = -linalg.solve(problem.hessian(z), gradient, assume_a="pos")
        slope, size = float(gradient @ step), 1.0
        while problem.value(z + size * step) > history[-1] + 0.1 * size * slope and size > 1e-12:
            size /= 2
        z = z + size * step
        history.append(problem.value(z))
    return Solution(z, tuple(history), problem.residual(z), problem.residual(z) <= tolerance)
