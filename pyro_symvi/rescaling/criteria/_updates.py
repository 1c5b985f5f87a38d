"""The best scale of single units, all others held: closed forms in logs."""

from __future__ import annotations

import numpy as np

from ._block import Vector


def balance(into: Vector, out: dict[float, Vector], rate: float) -> Vector:
    """D that minimises I e^{r d} + sum_k O_k e^{-k r d}, from log I and log O_k: (log O - log I) / (2 r) for k = 1.

    With several degrees the equation log I + r d = log sum_k k O_k e^{-k r d} is solved by Newton steps: its slope
    lies between 1 + min k and 1 + max k and rises, so they converge from any start.
    """
    present = {k: o for k, o in out.items() if bool((o > -np.inf).any())}
    if len(present) == 1:
        ((k, o),) = present.items()
        return (np.log(k) + o - into) / ((1 + k) * rate)
    degrees = np.array(list(present))
    logs = np.stack([np.log(k) + o for k, o in present.items()])
    d = np.zeros_like(into)
    for _ in range(60):
        terms = logs - degrees[:, None] * d
        top = terms.max(0)
        weights = np.exp(terms - top)
        sums = weights.sum(0)
        slope = 1 + (degrees[:, None] * weights).sum(0) / sums
        step = (top + np.log(sums) - into - d) / slope
        d += step
        if float(np.abs(step).max(initial=0.0)) <= 1e-14:
            break
    return d / rate


def positive_root(log_a: Vector, b: Vector, log_c: Vector) -> Vector:
    """Log of the positive root x of a x^2 + b x - c = 0 for a, c > 0, without cancellation.

    x = sqrt(c / a) e^{-asinh(b / (2 sqrt(a c)))}.
    """
    half = (log_a + log_c) / 2
    with np.errstate(over="ignore", divide="ignore"):
        ratio = np.abs(b) / 2 * np.exp(-np.maximum(half, -300.0))
        size = np.where(half < -300.0, np.log(np.abs(b)) - half, np.arcsinh(ratio))
    return (log_c - log_a) / 2 - np.sign(b) * np.maximum(size, 0.0)
