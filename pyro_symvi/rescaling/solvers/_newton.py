"""Damped Newton steps."""

from __future__ import annotations

import numpy as np

from ..criteria import Problem, RangeProblem, Vector
from ._policy import policy_iteration
from ._solution import Solution, Track, Watch

_LARGEST_STEP = 20.0
"""No log scale moves by more at once."""

_IDLE = 10
"""Iterations in a row that improve neither the objective nor the residual before the search ends."""

_POLISHING = 20
"""Newton steps, at most, once all units are balanced."""


def newton(
    problem: Problem, *, tolerance: float = 1e-8, max_iterations: int | None = None, watch: Watch | None = None
) -> Solution:
    """Newton steps after a few sweeps by layers; about ten as a rule, tens where weights differ by many orders.

    The equations are solved by a Cholesky factor for up to 200 units, else by conjugate gradients, as exactly as the
    residual asks for (by a factor again where those are slow). Where a step does not lower the objective, the Hessian
    is damped (Levenberg 1944) until it does, and a sweep by layers follows; where rounding decides (units whose energy
    is nothing beside that of others) the residual has to fall. For ranges, see :func:`policy_iteration`.
    """
    if isinstance(problem, RangeProblem):
        return policy_iteration(problem, tolerance=tolerance, max_iterations=max_iterations, watch=watch)
    limit = 500 if max_iterations is None else max_iterations
    z = np.zeros(problem.units)
    problem, level = problem.normalised()
    track = Track(problem, z, tolerance, limit, watch)
    if limit and not track.done:
        z = problem.start()
        track.add(z)
    damping, idle, best = 0.0, 0, (track.residual, z)
    for _ in range(limit - 1):
        if track.balanced or idle >= _IDLE:
            break
        z, damping = _step(problem, z, track.residual, tolerance, damping)
        before = track.history[-1]
        track.add(z)
        lower = track.history[-1] < before - problem.rounding(before)
        idle = 0 if lower or track.residual < 0.9 * best[0] else idle + 1
        if lower or track.residual < best[0]:
            best = (track.residual, z)
    if not track.balanced:
        track.at(best[1])
    elif not (problem.graph.acyclic and track.done):
        _polish(track, limit)
    if level:
        track.history = [float(np.exp(level) * value) for value in track.history]
    return track.solution()


def _polish(track: Track, limit: int) -> None:
    """Newton steps until they are small themselves, as long as units stay balanced (see ``Problem.distance``)."""
    problem = track.problem
    for _ in range(min(_POLISHING, limit + 1 - len(track.history))):
        step = -problem.solve(track.z, problem.gradient(track.z))
        largest = float(np.abs(step).max(initial=0.0))
        if not track.tolerance < largest <= _LARGEST_STEP:
            break
        trial, value = track.z + step, problem.value(track.z)
        if problem.value(trial) > value + problem.rounding(value) or problem.residual(trial) > track.tolerance:
            break
        track.add(trial)


def _step(problem: Problem, z: Vector, residual: float, tolerance: float, damping: float) -> tuple[Vector, float]:
    """The next point, and the damping to begin with there."""
    gradient, value = problem.gradient(z), problem.value(z)
    rounding = problem.rounding(value)
    for _ in range(12):
        step = -problem.solve(z, gradient, tolerance=min(0.1, max(residual, 1e-3 * tolerance)), damping=damping)
        slope, largest = float(gradient @ step), float(np.abs(step).max(initial=0.0))
        if largest <= _LARGEST_STEP and slope < 0:
            trial = z + step
            fall = problem.value(trial) - value
            if fall <= 0.1 * slope and fall < -rounding:
                return (problem.sweep(trial) if damping else trial), (damping / 10 if damping > 1e-6 else 0.0)
            if abs(fall) <= rounding and problem.residual(trial) < 0.5 * residual:
                return trial, 0.0
            if abs(fall) <= rounding:
                break
        damping = max(10 * damping, 1e-5)
    return problem.sweep(z), damping
