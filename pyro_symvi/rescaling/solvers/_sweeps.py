"""Sweeps over layers or over single units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..criteria import Problem, RangeProblem, Vector
from ._policy import cyclic_start
from ._solution import Solution, Track, Watch


def layer(
    problem: Problem, *, tolerance: float = 1e-8, max_iterations: int | None = None, watch: Watch | None = None
) -> Solution:
    """Sweeps that update one layer at a time, all its units at once: 4 n multiplications a sweep.

    For the path criterion, on the convex function of z and the log s of the mean whose minimum over s is F. Converges
    linearly: tens of sweeps where widths vary, hundreds in deep nets of constant width.
    """
    return _sweeps(problem, problem.sweep, tolerance, 10_000 if max_iterations is None else max_iterations, watch)


def coordinate(
    problem: Problem, *, tolerance: float = 1e-8, max_iterations: int | None = None, watch: Watch | None = None
) -> Solution:
    """Cyclic coordinate descent, one unit at a time: as published for the path criterion, Osborne's (1960) for l2.

    Published with 10 sweeps (Lebeurrier, Vayer and Gribonval 2026), not enough for a canonical form; here it goes on
    until the certificate holds.
    """
    return _sweeps(problem, problem.sweep_units, tolerance, 10_000 if max_iterations is None else max_iterations, watch)


def _sweeps(
    problem: Problem, sweep: Callable[[Vector], Vector], tolerance: float, max_iterations: int, watch: Watch | None
) -> Solution:
    z = np.zeros(problem.units)
    track = Track(problem, z, tolerance, max_iterations, watch)
    if isinstance(problem, RangeProblem) and not problem.graph.acyclic and not track.done:
        z = cyclic_start(problem)
    ask = 0
    for k in range(max_iterations):
        if track.balanced and k >= ask:  # the distance costs as much as many sweeps
            if track.done:
                break
            ask = k + 1 + k // 10
        z = sweep(z)
        track.add(z)
    return track.solution()
