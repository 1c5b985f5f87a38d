"""The right sector, and yet not equivariant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._evidence import Evidence
from ._finding import Finding, Repair
from ._mode import FailureMode, called

COPIES = 0.9
"""From this share of A^2 on, it is wrong copies that make the error."""
RELATIVE = 1e-3
"""Relative errors below this are no finding."""


@dataclass(frozen=True)
class WrongCopy(FailureMode):
    """Energy in the target's sector alone and an error all the same: the components mix copies of the irrep.

    f(x) = M x has all its energy in (1, +1) for every matrix M and is equivariant for M = c I alone. A^2 divides into
    the energy outside the target and that in wrong copies; here nearly all is the second.
    """

    copies: float = COPIES
    relative: float = RELATIVE
    name: ClassVar[str] = "right sector, wrong copy"

    def find(self, evidence: Evidence) -> Finding | None:
        if evidence.error is None or evidence.relative < self.relative:
            return None
        share = evidence.wrong_copies / evidence.relative**2
        if share < self.copies:
            return None
        outside = evidence.outside(evidence.output.name)
        which = "this sector that turns otherwise"
        if len(evidence.target) > 1:
            which = "these sectors in wrong components or copies"
        return Finding(
            self.name,
            evidence.output.name,
            f"{1 - outside:.2%} of the output's energy lies in {called(evidence.target)}, but the relative error is "
            f"{evidence.relative:.2g}: {share:.1%} of its square is energy of {which}.",
            {"relative": evidence.relative, "wrong_copies": evidence.wrong_copies, "outside": outside},
            (
                Repair("", "rho_out", "are the components in the declared order? (Y_1 is y, z, x; a vector x, y, z)"),
                Repair("symmetrize", "symmetrize(model, group, rho_in, rho_out)", "an average over the group, exact"),
                Repair(
                    "EquivariancePenalty",
                    "EquivariancePenalty(group, rho_in, rho_out)",
                    "A^2 in the loss, as a sector penalty sees 0",
                ),
            ),
        )
