"""Damped Newton steps."""

from __future__ import annotations

import numpy as np

from ..criteria import Problem, RangeProblem, Vector
from ._policy import policy_iteration
from ._solution import Solution, Track, Watch


def newton(
    problem: Problem, *, tolerance: float = 1e-8, max_iterations: int | None = None, watch: Watch | None = None
) -> Solution:
    """Newton steps after a few sweeps by layers; converges in about ten, whatever the network.

    The equations are solved by a Cholesky factor for up to 1,500 units, else by conjugate gradients, as exactly as the
    residual asks for. A step is halved until the objective falls; where rounding decides about that (units whose
    energy is nothing beside that of others) the residual has to fall, else a sweep takes its place. For ranges, see
    :func:`policy_iteration`.
    """
    if isinstance(problem, RangeProblem):
        return policy_iteration(problem, tolerance=tolerance, max_iterations=max_iterations, watch=watch)
    limit = 200 if max_iterations is None else max_iterations
    z = np.zeros(problem.units)
    track = Track(problem, z, tolerance, limit, watch)
    if limit and not track.done:
        z = problem.start()
        track.add(z)
    idle, best = 0, (track.residual, z)
    for _ in range(limit - 1):
        if track.done or idle >= 10:
            break
        moved = _newton_step(problem, z, track)
        if moved is None:
            moved = problem.sweep(z)
        z = moved
        track.add(z)
        idle = 0 if track.residual < 0.9 * best[0] else idle + 1
        if track.residual < best[0]:
            best = (track.residual, z)
    track.residual, z = best
    return track.solution(z)


def _newton_step(problem: Problem, z: Vector, track: Track) -> Vector | None:
    """The point after one step, or None where none of its fractions is better."""
    gradient = problem.gradient(z)
    accuracy = min(0.1, max(track.residual, 1e-3 * track.tolerance))
    step = -problem.solve(z, gradient, tolerance=accuracy)
    slope = float(gradient @ step)
    largest = float(np.abs(step).max(initial=0.0))
    if not np.isfinite(largest) or slope >= 0:
        return None
    value = problem.value(z)
    rounding = 1e-13 * (abs(value) + problem.count)
    size = min(1.0, 10.0 / largest) if largest else 1.0
    for _ in range(6):
        trial = z + size * step
        fall = problem.value(trial) - value
        if fall <= 0.1 * size * slope and fall < -rounding:
            return trial
        if abs(fall) <= rounding and problem.residual(trial) < 0.5 * track.residual:
            return trial
        size /= 2
    return None
