"""An output that is pure, in another sector than declared."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from ._evidence import Evidence
from ._finding import Finding, Repair
from ._mode import FailureMode, called

PURE = 0.99
"""From this share of the energy on, an output lies in one sector."""


@dataclass(frozen=True)
class OtherSector(FailureMode):
    """Nearly all energy of the output in one irrep that isn't the target: most often a wrong declaration.

    A cross product declared as a polar vector does this.
    """

    pure: float = PURE
    name: ClassVar[str] = "another sector than declared"
    alone: ClassVar[bool] = True

    def find(self, evidence: Evidence) -> Finding | None:
        fractions = evidence.output.fractions
        top = int(fractions.argmax())
        label, share = evidence.spectrum.labels[top], float(fractions[top])
        if label in evidence.target or share < self.pure:
            return None
        return Finding(
            self.name,
            evidence.output.name,
            f"{share:.1%} of the output's energy lies in {label}, where {called(evidence.target)} was declared.",
            {"share": share, "target_share": evidence.share(evidence.output.name)},
            self._repairs(evidence, label),
        )

    @staticmethod
    def _repairs(evidence: Evidence, label: Hashable) -> tuple[Repair, ...]:
        if label == evidence.spectrum.labels[0]:
            return (
                Repair(
                    "", "", "a longer training: the output is a constant, and nothing has been learnt of the target"
                ),
                Repair("", "rho_out=None", "if the output ought to be invariant"),
            )
        return (Repair("", f"rho_out=IrrepAction(group, {label!r})", "if the declaration is wrong, and not the model"),)
