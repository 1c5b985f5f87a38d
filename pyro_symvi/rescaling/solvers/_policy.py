"""Policy iteration for equal ranges: exact in finitely many steps."""

from __future__ import annotations

import numpy as np

from ..criteria import L2Problem, RangeProblem, Vector
from ..criteria._range import Policy
from ._solution import Solution, Track, Watch


def policy_iteration(
    problem: RangeProblem, *, tolerance: float = 1e-8, max_iterations: int | None = None, watch: Watch | None = None
) -> Solution:
    """Which entry is the largest into and out of each unit is guessed; the equations are linear then, and solved.

    Both choices are made anew at each solution (Newton's method for equations with corners); should that go on for
    long, one is held while the other is improved until it stays (Hoffman and Karp 1966), which ends after finitely
    many steps where the units have no cycle. With cycles: sweeps from the point of least energy.
    """
    limit = 1000 if max_iterations is None else max_iterations
    start = np.zeros(problem.units)
    track = Track(problem, start, tolerance, limit, watch)
    if track.done or not limit:
        return track.solution()
    if not problem.graph.acyclic:
        z = cyclic_start(problem)
        for _ in range(limit):
            if track.done:
                break
            z = problem.sweep(z)
            track.add(z)
        return track.solution()
    z = start
    for _ in range(3):
        z = problem.sweep(z)
    for _ in range(min(limit, 40)):
        into, out = problem.policies(z)
        z = problem.improve(into, out)
        if problem.residual(z) <= tolerance:
            break
    else:
        z = _alternate(problem, z, tolerance, limit)
    track.add(z)
    return track.solution()


def cyclic_start(problem: RangeProblem) -> Vector:
    """The point of least energy: sweeps begin there if ranges alone leave a choice, which then depends on the orbit."""
    from ._newton import newton

    return newton(L2Problem(problem.network, problem.logs, 2.0), tolerance=1e-12).z


def _alternate(problem: RangeProblem, z: Vector, tolerance: float, limit: int) -> Vector:
    """The largest entries out of units are held while those into them are improved until they stay."""
    into, out = problem.policies(z)
    for _ in range(limit):
        for _ in range(limit):
            z = problem.improve(into, out)
            better = problem.policies(z)[0]
            if not _better(into, better, z):
                break
            into = better
        if problem.residual(z) <= tolerance:
            break
        out = problem.policies(z)[1]
    return z


def _better(old: Policy, new: Policy, z: Vector) -> bool:
    y = np.append(z / 2, 0.0)
    return bool((new.value > old.log - old.degree * y[old.other] + 1e-12).any())
