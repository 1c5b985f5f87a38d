"""Equivariance that training had and lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._evidence import Evidence
from ._finding import Finding, Repair
from ._mode import FailureMode

GAIN = 2.0
"""The last error by the least one, from which on it has been lost."""
RELATIVE = 1e-3
"""Relative errors below this are no finding."""


@dataclass(frozen=True)
class LostInTraining(FailureMode):
    """The error at the end is at least twice that of an earlier epoch."""

    gain: float = GAIN
    relative: float = RELATIVE
    name: ClassVar[str] = "lost in training"
    explains: ClassVar[bool] = False

    def find(self, evidence: Evidence) -> Finding | None:
        if len(evidence.history) < 2:
            return None
        (when, least), (end, last) = min(evidence.history, key=lambda pair: pair[1]), evidence.history[-1]
        if last < self.relative or last < self.gain * least:
            return None
        return Finding(
            self.name,
            evidence.output.name,
            f"The relative error was {least:.2g} at epoch {when:g} and is {last:.2g} at epoch {end:g}.",
            {"least": least, "epoch": when, "last": last},
            (
                Repair("Augmentation", "Augmentation(group, rho_in, rho_out)", "in every step, to the end of training"),
                Repair("EquivariancePenalty", "EquivariancePenalty(group, rho_in, rho_out)", "A^2 in the loss"),
            ),
        )
