"""Steps on gradients alone, from where a line search on values stops to the rounding of the gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._sample_objective import HUGE

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
_LARGEST = 200


def broyden(objective: Objective, x: np.ndarray, size: int, most: int = 30) -> tuple[np.ndarray, float]:
    """Broyden's method on the first ``size`` entries of the gradient, from the identity; the final gradient norm.

    In whitened coordinates the location's Hessian is near the identity, so a few steps bring the location from where a
    line search on values stops (the square root of their rounding error) to the rounding of the gradient itself. Steps
    are kept while the gradient shrinks. The inverse Jacobian is the identity plus at most ``most`` rank-one terms.
    """
    _, gradient = objective(x)
    terms: list[tuple[np.ndarray, np.ndarray]] = []
    failures = 0
    for _ in range(most):
        step = np.zeros_like(x)
        step[:size] = -_times(terms, gradient[:size])
        candidate = x + step
        value, trial = objective(candidate)
        if not np.isfinite(trial).all() or value >= HUGE:
            break
        moved = _times(terms, trial[:size] - gradient[:size])
        denominator = step[:size] @ moved
        if denominator != 0:
            row = step[:size] + sum((step[:size] @ u) * v for u, v in terms)
            terms.append(((step[:size] - moved) / denominator, row))
        if np.linalg.norm(trial[:size]) < np.linalg.norm(gradient[:size]):
            x, gradient, failures = candidate, trial, 0
        else:
            failures += 1
        if failures == 2 or np.linalg.norm(step) < 1e-15:
            break
    return x, float(np.linalg.norm(gradient))


def _times(terms: list[tuple[np.ndarray, np.ndarray]], vector: np.ndarray) -> np.ndarray:
    """(I + sum u v^T) vector."""
    return vector + sum((v @ vector) * u for u, v in terms) if terms else vector


def newton(
    objective: Objective, x: np.ndarray, size: int, hessian: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Newton steps on the first ``size`` gradient entries; the final gradient norm.

    The Jacobian is ``hessian`` where given, else by differences of the gradient.
    """
    _, gradient = objective(x)
    norm = float(np.linalg.norm(gradient))
    if (size > _LARGEST and hessian is None) or not np.isfinite(norm) or norm > 1e-2:
        return x, norm
    jacobian = _differences(objective, x, gradient, size) if hessian is None else hessian
    if not np.isfinite(jacobian).all() or np.linalg.cond(jacobian) > 1e10:
        return x, norm
    for _ in range(6):
        candidate = x.copy()
        candidate[:size] -= np.linalg.solve(jacobian, gradient[:size])
        value, trial = objective(candidate)
        if value >= HUGE or not np.linalg.norm(trial[:size]) < np.linalg.norm(gradient[:size]):
            break
        x, gradient = candidate, trial
    return x, float(np.linalg.norm(gradient))


def _differences(objective: Objective, x: np.ndarray, gradient: np.ndarray, size: int) -> np.ndarray:
    step = 1e-5
    jacobian = np.empty((size, size))
    for i in range(size):
        moved = x.copy()
        moved[i] += step
        jacobian[:, i] = (objective(moved)[1][:size] - gradient[:size]) / step
    return jacobian
