"""Pseudo-tensors that nothing in the network can make, or only its last layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._evidence import Evidence
from ._finding import Finding, Repair
from ._mode import FailureMode

LATE = 2 / 3
"""Layers from this share of the depth on are late."""


@dataclass(frozen=True)
class MissingParity(FailureMode):
    """A target with sigma = -1, nothing of that kind in any layer before the last third, an output that isn't right.

    Functions of one vector have sigma = +1 alone: (1, -1) takes two vectors (a cross product), (0, -1) three (a triple
    product). Rotations don't tell the two signs apart: augmentation without inversions leaves both in the output.
    """

    missing: float = 0.01
    shortfall: float = 0.01
    late: float = LATE
    name: ClassVar[str] = "missing parity"

    def find(self, evidence: Evidence) -> Finding | None:
        improper = [label for label in evidence.target if evidence.is_improper(label)]
        if not improper or not evidence.feeding or evidence.shortfall < self.shortfall:
            return None
        hidden = evidence.hidden[: evidence.hidden.index(evidence.feeding) + 1]
        shares = [evidence.improper(name) for name in hidden]
        first = next((i for i, share in enumerate(shares) if share >= self.missing), None)
        if first is not None and first < self.late * len(hidden):
            return None
        label = improper[0]
        where = f"before {hidden[first]}" if first is not None else "in any layer"
        return Finding(
            self.name,
            evidence.feeding,
            f"The target {label} changes sign under inversion otherwise than its degree says, and there is nothing of "
            f"sigma = -1 {where} ({shares[-1]:.2%} in the one that feeds the head).",
            {"share": shares[-1], "largest_share": max(shares), "layers_without": float(first or len(hidden))},
            (
                Repair(
                    "TensorBasisHead",
                    f"TensorBasisHead(width, TensorBasis({label!r}))",
                    "cross and triple products in its basis",
                ),
                Repair("", "", "cross or triple products of the inputs as features"),
                Repair("Augmentation", "Augmentation(Orthogonal(3), rho_in, rho_out)", "inversions in training too"),
            ),
        )
