"""Numbers that a longer rule changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._evidence import Evidence
from ._finding import Finding, Repair
from ._mode import FailureMode


@dataclass(frozen=True)
class NotConverged(FailureMode):
    """The rule two degrees longer gives other numbers: energies beyond the rule's band are folded into the others."""

    name: ClassVar[str] = "not converged"
    alone: ClassVar[bool] = True

    def find(self, evidence: Evidence) -> Finding | None:
        if evidence.converged is not False:
            return None
        degree = evidence.spectrum.degree
        return Finding(
            self.name,
            evidence.output.name,
            "The numbers change with the degree of the rule and can't be read yet.",
            {"degree": float(degree), "residual": evidence.output.residual},
            (
                Repair("", f"degree={2 * max(1, int(degree))}" if 0 <= degree < 1e6 else "degree", "a longer rule"),
                Repair("MonteCarlo", "rule=MonteCarlo(4096)", "estimates with standard errors, where no degree does"),
            ),
        )
