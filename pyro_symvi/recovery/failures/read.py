"""Failures of a statistic that is no location: a contrast, a correlation, a scale, a mean after a transform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .displaced import Displaced
from .failure import Optimum


@dataclass(frozen=True, kw_only=True)
class Read(Displaced):
    """A number read off the optimum that is not the target's.

    Attributes:
        read: The number, from an optimum.
        truth: That of the target.
        unit: What errors are measured in.
        unit_name: Its name.
    """

    read: Callable[[Optimum], float] = field(repr=False, compare=False)
    truth: float
    unit: float = 1.0
    unit_name: str = "standard deviations"

    def error(self) -> float:
        """Distance of the number read from the target's at the worst optimum, in units."""
        return max(abs(self.read(optimum) - self.truth) / self.unit for optimum in self.optima())

    @property
    def outcome(self) -> str:
        """The two numbers."""
        worst = max(self.optima(), key=lambda optimum: abs(self.read(optimum) - self.truth))
        by = f" ({self.error():.2g} {self.unit_name} off)" if self.unit_name else ""
        return f"{self.truth + 0.0:.3g}, and the guide says {self.read(worst) + 0.0:.3g}{by}"


__all__ = ["Read"]
