"""Energy outside the target's sector that only the last block removes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._evidence import Evidence
from ._finding import Finding, Repair
from ._mode import FailureMode, called

OUTSIDE = 0.3
"""Much energy outside the target, in the layer that feeds the head."""
CLEANED = 0.1
"""The output holds at most this part of it."""
MIXED = 0.1
"""Channels that mix sectors: components of irreps don't, however many sectors a layer has."""


@dataclass(frozen=True)
class LateCleanUp(FailureMode):
    """Much energy outside the target until the head, in channels that mix sectors, and little in the output.

    The head subtracts large parts from one another, and its error is what remains of them.
    """

    outside: float = OUTSIDE
    cleaned: float = CLEANED
    mixed: float = MIXED
    name: ClassVar[str] = "late clean-up"

    def find(self, evidence: Evidence) -> Finding | None:
        layer = evidence.feeding
        if not layer or evidence.error is None:
            return None
        before, after, mixed = evidence.outside(layer), evidence.outside(evidence.output.name), evidence.mixed(layer)
        if before < self.outside or after > self.cleaned * before or mixed < self.mixed:
            return None
        if evidence.wrong_copies > after:
            return None
        return Finding(
            self.name,
            layer,
            f"{before:.1%} of the energy lies outside {called(evidence.target)} in the layer that feeds the head, "
            f"{after:.2g} of it in the output: the last block alone cleans up.",
            {"outside_before": before, "outside_after": after, "mixed": mixed, "relative": evidence.relative},
            (
                Repair("symmetrize", "symmetrize(model, group, rho_in, rho_out)", "an average over the group, exact"),
                Repair(
                    "SectorPenalty",
                    f"SectorPenalty(group, {list(evidence.target)!r}, rho_in)",
                    "holds down the energy outside the target in training",
                ),
            ),
        )
