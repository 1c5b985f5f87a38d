"""A large error that no other mode explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._evidence import Evidence
from ._finding import Finding, Repair
from ._mode import FailureMode

LARGE = 0.1
"""A relative error from which on an output is not equivariant."""


@dataclass(frozen=True)
class NotLearnt(FailureMode):
    """A relative error of 10 % and more, that nothing else explains: asked last."""

    large: float = LARGE
    name: ClassVar[str] = "symmetry not learnt"
    last: ClassVar[bool] = True

    def find(self, evidence: Evidence) -> Finding | None:
        if evidence.error is None or not evidence.relative >= self.large:
            return None
        outside = evidence.outside(evidence.output.name)
        return Finding(
            self.name,
            evidence.output.name,
            f"The relative error is {evidence.relative:.2g}, and {outside:.1%} of the output's energy lies outside the "
            "target; the layers looked at do not say why.",
            {"relative": evidence.relative, "outside": outside, "wrong_copies": evidence.wrong_copies},
            (
                Repair("Augmentation", "Augmentation(group, rho_in, rho_out)", "random images in every training step"),
                Repair("symmetrize", "symmetrize(model, group, rho_in, rho_out)", "an average over the group, exact"),
                Repair("EquivariancePenalty", "EquivariancePenalty(group, rho_in, rho_out)", "A^2 in the loss"),
            ),
        )
