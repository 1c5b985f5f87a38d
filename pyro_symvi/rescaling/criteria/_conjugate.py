"""Conjugate gradients with the diagonal as preconditioner, stopped unit by unit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._block import Vector


def conjugate_gradients(
    times: Callable[[Vector], Vector], v: Vector, diagonal: Vector, tolerance: float, max_iterations: int
) -> tuple[Vector, bool]:
    """X with A x = v for a positive definite A, until max_h |(A x - v)_h| / A_hh <= tolerance max_h |v_h| / A_hh.

    The norm is taken unit by unit, since units may differ by many orders of magnitude: in the usual norm small ones
    would count for nothing. Returns x, and whether the tolerance was reached.
    """
    x = np.zeros_like(v)
    residual = v.copy()
    target = tolerance * float(np.abs(v / diagonal).max(initial=0.0))
    scaled = residual / diagonal
    direction = scaled.copy()
    energy = float(residual @ scaled)
    for iteration in range(max_iterations):
        if float(np.abs(scaled).max(initial=0.0)) <= target or energy <= 0:
            return x, True
        image = times(direction)
        curvature = float(direction @ image)
        if curvature <= 0:
            break
        step = energy / curvature
        x += step * direction
        residual = v - times(x) if iteration % 50 == 49 else residual - step * image
        scaled = residual / diagonal
        energy, previous = float(residual @ scaled), energy
        direction = scaled + (energy / previous) * direction
    return x, False
