"""Energy beyond the cutoff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._evidence import Evidence
from ._finding import Finding, Repair
from ._mode import FailureMode

LEAK = 0.02
"""A residual larger than this leaves the spectrum of a layer incomplete."""
GROWTH = 2.0
"""Growth with depth: the largest residual by the first layer's."""


@dataclass(frozen=True)
class Leakage(FailureMode):
    """A residual 1 - sum of fractions that grows with depth: a short cutoff, a short rule, or discontinuities.

    Each nonlinearity widens the band. Sharp ones (neighbours that come and go, sorting, argmax) have no band at all.
    """

    leak: float = LEAK
    growth: float = GROWTH
    name: ClassVar[str] = "leakage"
    explains: ClassVar[bool] = False

    def find(self, evidence: Evidence) -> Finding | None:
        names = list(evidence.spectrum)
        residuals = {name: abs(evidence.spectrum[name].residual) for name in names}
        worst = max(names, key=lambda name: residuals[name])
        first, largest = residuals[names[0]], residuals[worst]
        if largest < self.leak or largest < self.growth * first:
            return None
        layer = worst
        rule = "" if evidence.converged else " (or the rule too short: converge says which)"
        return Finding(
            self.name,
            layer,
            f"Irreps through the cutoff leave {largest:.1%} of this layer's energy unexplained, {first:.2%} of the "
            f"first one's: its band is beyond the cutoff{rule}, or it has jumps.",
            {"residual": largest, "first_residual": first},
            (
                Repair("", "cutoff", "a larger one, with degree at least twice that"),
                Repair("", "", "smooth cutoffs in place of neighbour lists that change with orientation"),
            ),
        )
