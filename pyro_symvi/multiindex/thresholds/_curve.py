"""The stationary curve of Bayes-optimal learning of one unit: which sample ratio goes with which overlap."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

from ..channels import GaussianChannel

_STEP = 0.35
_EVEN_START, _START, _LOWEST, _STOP = -4.0, -13.0, -36.0, math.log(1e6)
_TOL = 1e-7
_LOWER = 1e-5


@dataclass(frozen=True)
class Fold:
    """A first-order transition between two branches of non-zero overlap, with the logits where the curve turns."""

    spinodal: float
    information: float
    end: float
    jump: float
    low_at: float = 0.0
    high_at: float = 0.0


@dataclass
class Curve:
    """Overlaps q, by their logits, with the sample ratio at which each is stationary.

    State evolution stands still at q where alpha(q) = q / ((1 - q) E g^2): no iteration is needed. Integrals at an
    overlap are computed once.
    """

    channel: GaussianChannel
    logits: np.ndarray = field(init=False)
    start: float = field(init=False)
    _known: dict[float, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start = self.channel.output_moments(0.0).log_likelihood
        self.logits = np.empty(0)

    def moments(self, at: float) -> tuple[float, float]:
        """E g^2, and the log-likelihood gained over q = 0."""
        at = float(at)
        if at not in self._known:
            found = self.channel.output_moments(float(expit(at)))
            self._known[at] = (found.information, found.log_likelihood - self.start)
        return self._known[at]

    def ratio(self, at: float) -> float:
        """The sample ratio n / d at which this overlap is stationary."""
        information = self.moments(at)[0]
        return math.exp(at) / information if information > 0 else math.inf

    def crossing(self, at: float) -> float:
        """The sample ratio at which this overlap has the free entropy of q = 0."""
        gained = self.moments(at)[1]
        q = float(expit(at))
        return (-q - math.log1p(-q)) / (2 * gained) if gained > 0 else math.inf

    def potential(self, at: float, ratio: float) -> float:
        """The free entropy per dimension, less that at q = 0."""
        q = float(expit(at))
        return 0.5 * (q + math.log1p(-q)) + ratio * self.moments(at)[1]

    def scan(self, even: bool) -> None:
        """Fill the grid, up to where alpha(q) >= q / ((1 - q) E g^2 at q -> 1) exceeds the least value found.

        E g^2 grows with q, so that no lower value can follow.
        """
        most = self.moments(_STOP)[0]
        found, least = [], math.inf
        grid = np.arange(_EVEN_START, _STOP, _STEP)
        if not even:
            low = [_START]
            while low[-1] > _LOWEST and self.ratio(low[-1]) > self.ratio(low[-1] + 2 * _STEP):
                low.append(low[-1] - 2 * _STEP)
            grid = np.concatenate([low[:0:-1], np.arange(_START, _EVEN_START, 2 * _STEP), grid])
        for at in grid:
            found.append(float(at))
            if at > 0 or even:
                least = min(least, self.ratio(at))
            if at > 2 and math.exp(at) / most > least:
                break
        self.logits = np.array(found)

    def lowest(self, crossing: bool) -> tuple[float, float]:
        """The least value of `crossing` or `ratio` on the grid, polished, and its logit."""
        return self._polish(self.crossing if crossing else self.ratio, 1.0)

    def _polish(
        self, call: Callable[[float], float], sign: float, first: int = 0, last: int | None = None
    ) -> tuple[float, float]:
        grid = self.logits[first:last]
        values = [sign * call(at) for at in grid]
        best = int(np.argmin(values))
        if best in (0, len(grid) - 1):
            return sign * values[best], float(grid[best])
        bounds = (float(grid[best - 1]), float(grid[best + 1]))
        found = minimize_scalar(lambda x: sign * call(x), bounds=bounds, method="bounded", options={"xatol": 1e-5})
        return sign * float(found.fun), float(found.x)

    def end_of_small_overlaps(self) -> float | None:
        """The largest local maximum of alpha(q): from there on no branch of smaller overlap is left; None without one.

        For even activations, whose curve begins at q = 0 with weak recovery.
        """
        early = np.arange(_START, _EVEN_START, 2 * _STEP)
        logits = np.concatenate([early, self.logits])
        values = np.array([self.ratio(at) for at in logits])
        least_after = np.minimum.accumulate(values[::-1])[::-1]
        turns = np.flatnonzero(values[:-1] > least_after[1:] * (1 + _LOWER))
        if not len(turns):
            return None
        top = int(turns[values[turns].argmax()])
        if top == 0:
            return None
        bounds = (float(logits[top - 1]), float(logits[top + 1]))
        found = minimize_scalar(lambda x: -self.ratio(x), bounds=bounds, method="bounded", options={"xatol": 1e-5})
        return -float(found.fun)

    def fold(self) -> Fold | None:
        """Where the curve turns back, if it does: the end of the low branch and the start of the high one."""
        values = np.array([self.ratio(at) for at in self.logits])
        falls = np.flatnonzero(values[1:] < values[:-1] * (1 - _TOL))
        if not len(falls):
            return None
        top = int(falls[0])
        if top == 0:
            return self._from_nothing()
        high, high_at = self._polish(self.ratio, -1.0, max(top - 2, 0), top + 3)
        low, low_at = self._polish(self.ratio, 1.0, top)
        information, at = self._equal(low, low_at, high, high_at)
        return Fold(
            spinodal=low, information=information, end=high, jump=float(expit(at)), low_at=low_at, high_at=high_at
        )

    def _from_nothing(self) -> Fold:
        """The branch of small overlaps is below all overlaps of the grid: as if it were at 0."""
        low, low_at = self.lowest(crossing=False)
        information, at = self.lowest(crossing=True)
        return Fold(low, information, math.inf, float(expit(at)), low_at, at)

    def _equal(self, low: float, low_at: float, high: float, high_at: float) -> tuple[float, float]:
        """The sample ratio at which both branches have the same free entropy, and the logit of the upper one."""
        first, last = float(self.logits[0]), float(self.logits[-1])

        def upper(ratio: float) -> float:
            above = last
            while self.ratio(above) < ratio and above < _STOP:
                above += _STEP
            return self._reached(ratio, low_at, above)

        def gap(ratio: float) -> float:
            below = 0.0  # the potential of an overlap too small for the grid
            if self.ratio(first) < ratio:
                below = self.potential(self._reached(ratio, first, high_at), ratio)
            return self.potential(upper(ratio), ratio) - below

        start, end = low + 1e-6 * (high - low) if high < 2 * low else low * (1 + 1e-6), high - 1e-6 * (high - low)
        stop = min(end, 1.3 * start)
        while stop < end and gap(stop) < 0:
            start, stop = stop, min(end, 1.3 * stop)
        found = float(brentq(gap, start, stop, xtol=1e-6 * start))
        return found, upper(found)

    def _reached(self, ratio: float, low: float, high: float) -> float:
        """The logit from ``low`` to ``high`` at which a rising alpha(q) comes to the ratio, between grid points."""
        places = [low, *(float(at) for at in self.logits if low < at < high), high]
        above = next((k for k in range(1, len(places) - 1) if self.ratio(places[k]) >= ratio), len(places) - 1)
        return float(brentq(lambda x: self.ratio(x) - ratio, places[above - 1], places[above], xtol=1e-4))
