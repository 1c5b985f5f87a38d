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
        seconds: Until all means were within tolerance; inf if the cap came first.
        steps: Optimiser steps or draws made.
        error: Largest error at the end, in posterior sds.
        compilation: Seconds of compilation, not in ``seconds``.
        extrapolated: Whether ``seconds`` is a prediction.
    """

    label: str
    seconds: float
    steps: int
    error: float
    compilation: float = 0.0
    extrapolated: bool = False

    def show(self, cap: float) -> str:
        """One line of the table."""
        compiled = f"{self.compilation:8.1f} s" if self.compilation else "         -"
        if self.extrapolated:
            time = f"{self.seconds:9.1f} s*"
        else:
            time = f"{self.seconds:9.2f} s " if math.isfinite(self.seconds) else f"  >{cap:6.0f} s "
        return f"  {self.label:52s} {time} {compiled}  {self.steps:>8d}  {self.error:9.1e}"


class Watch:
    """Sees every iterate; says when the means are within tolerance: the iterate's own, or an average of iterates.

    The average runs from the last power of two of steps on, so that it forgets the way there: what iterate averaging
    with a good burn-in would return. A peer is given the better of the two, and the first moment counts even if it is
    left again.
    """

    def __init__(self, target: Target, tolerance: float) -> None:
        self.target, self.tolerance = target, tolerance
        self.steps, self.error = 0, math.inf
        self._sum, self._count = np.zeros(target.width), 0

    def see(self, iterates: np.ndarray) -> int | None:
        """Takes ``iterates[m, k]``; the index of the first that is within tolerance, or None."""
        for i, (iterate, alone) in enumerate(zip(iterates, self.target.error(iterates), strict=True)):
            self.steps += 1
            if self.steps & (self.steps - 1) == 0:
                self._sum, self._count = np.zeros_like(self._sum), 0
            self._sum = self._sum + iterate
            self._count += 1
            self.error = min(float(alone), float(self.target.error(self._sum / self._count)))
            if self.error <= self.tolerance:
                return i
        return None
