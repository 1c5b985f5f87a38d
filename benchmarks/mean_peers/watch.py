"""What one run of a peer came to, and the eye on its iterates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .targets import Target


@dataclass(frozen=True)
class Run:
    """One setting of one peer.

    Attributes:
        first: Seconds until all means were within tolerance for the first time, even if they left it again; inf if the
            cap came first. It takes someone who knows the truth to stop there.
        settled: Seconds until they were within for good: half as long again, at least. inf if the cap came first.
        steps: Optimiser steps or draws made.
        error: Largest error at the end, in posterior sds.
        compilation: Seconds of compilation, in neither.
        extrapolated: Whether ``settled`` is a prediction.
    """

    label: str
    first: float
    settled: float
    steps: int
    error: float
    compilation: float = 0.0
    extrapolated: bool = False

    def show(self, cap: float) -> str:
        """One line of the table."""

        def seconds(value: float, mark: str = " ") -> str:
            return f"{value:9.2f} s{mark}" if math.isfinite(value) else f"  >{cap:6.0f} s "

        compiled = f"{self.compilation:6.1f} s" if self.compilation else "       -"
        times = f"{seconds(self.first)} {seconds(self.settled, '*' if self.extrapolated else ' ')}"
        return f"  {self.label:56s} {times} {compiled}  {self.steps:>7d}  {self.error:8.1e}"


class Watch:
    """Sees every iterate and keeps the time at which the means were within tolerance, first and for good.

    Two estimates are watched, the iterate itself and the average of the latter half of all iterates, and a peer is
    given the better of the two.
    """

    def __init__(self, target: Target, tolerance: float) -> None:
        self.target, self.tolerance = target, tolerance
        self.spent, self.steps, self.error = 0.0, 0, math.inf
        self.first = math.inf
        self._sums = np.zeros((1, target.width))
        self._since = [(0, 0.0), (0, 0.0)]  # steps and seconds up to the last iterate outside, for the two estimates

    def see(self, iterates: np.ndarray, seconds: float) -> bool:
        """Takes ``iterates[m, k]`` and what they cost; whether one estimate has settled."""
        steps = self.steps + np.arange(1, len(iterates) + 1)
        times = self.spent + seconds * np.arange(1, len(iterates) + 1) / len(iterates)
        if steps[-1] >= len(self._sums):
            self._sums = np.concatenate([self._sums, np.empty((steps[-1] + 1, self.target.width))])
        self._sums[steps] = self._sums[self.steps] + iterates.cumsum(0)
        averages = (self._sums[steps] - self._sums[steps // 2]) / (steps - steps // 2)[:, None]
        self.error = math.inf
        for i, estimate in enumerate((iterates, averages)):
            errors = self.target.error(estimate)
            inside = errors <= self.tolerance
            if inside.any():
                self.first = min(self.first, float(times[inside.argmax()]))
            if not inside.all():
                last = len(inside) - 1 - int((~inside[::-1]).argmax())
                self._since[i] = (int(steps[last]), float(times[last]))
            self.error = min(self.error, float(errors[-1]))
        self.steps, self.spent = int(steps[-1]), float(times[-1])
        return math.isfinite(self.settled)

    @property
    def settled(self) -> float:
        """Seconds until within tolerance for good; inf if that is not so yet."""
        return min((time for steps, time in self._since if 1.5 * steps <= self.steps), default=math.inf)

    def run(self, label: str, compilation: float = 0.0) -> Run:
        """The record."""
        return Run(label, self.first, self.settled, self.steps, self.error, compilation)
