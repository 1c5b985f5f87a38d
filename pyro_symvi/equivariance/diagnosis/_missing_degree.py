"""A sector that the head has nothing to make from."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from ._evidence import Evidence
from ._finding import Finding, Repair
from ._mode import FailureMode, called, degree_of

MISSING = 0.01
"""Less of what varies in a layer than this is near nothing. One rectified linear layer holds 0.6 % at l = 4."""
MADE = 0.5
"""An output with this share of what varies in the target's label has been given it, past the layer that was asked."""
SHORTFALL = 0.01
"""A share of the output's energy that isn't equivariant, from which on the output isn't right: 10 % relative error."""


@dataclass(frozen=True)
class MissingDegree(FailureMode):
    """Near nothing at the target's label in the layer that feeds the head, and an output that isn't right.

    Linear maps between channels keep sectors apart, B_beta(W u) <= |W|^2 B_beta(u), so a linear head can't make one.
    Inputs carry degree 1; pointwise nonlinearities spread to higher degrees with fast decay. An output with the label
    all the same (half of what varies) has it from elsewhere, such as a tensor basis.
    """

    missing: float = MISSING
    shortfall: float = SHORTFALL
    made: float = MADE
    name: ClassVar[str] = "missing degree at input"

    def find(self, evidence: Evidence) -> Finding | None:
        if not evidence.feeding or evidence.shortfall < self.shortfall:
            return None
        trivial = evidence.spectrum.labels[0]
        layer = evidence.feeding
        for label in evidence.target:
            share = evidence.varying(layer, label)
            made = evidence.varying(evidence.output.name, label) >= self.made
            if label == trivial or share >= self.missing or made or self._is_parity(evidence, label):
                continue
            best = max(evidence.hidden, key=lambda name: evidence.varying(name, label))
            return Finding(
                self.name,
                layer,
                f"{share:.2%} of what varies in the layer that feeds the head lies in {called((label,))}, and "
                f"{evidence.shortfall:.1%} of the output's energy isn't equivariant.",
                {"share": share, "largest_share": evidence.varying(best, label), "shortfall": evidence.shortfall},
                self._repairs(evidence, label),
            )
        return None

    def _is_parity(self, evidence: Evidence, label: Hashable) -> bool:
        """Nothing at all of sigma = -1: then the degree is not what is missing."""
        return evidence.is_improper(label) and evidence.improper(evidence.feeding) < self.missing

    @staticmethod
    def _repairs(evidence: Evidence, label: Hashable) -> tuple[Repair, ...]:
        degree = degree_of(label, evidence.spectrum.group)
        if degree is None:
            return (Repair("", "", f"functions of the inputs that transform as {label}, as features"),)
        pair = label if isinstance(label, tuple) else (degree, 1)
        return (
            Repair("HarmonicFeatures", f"HarmonicFeatures({degree})", "degree-l functions of the inputs, appended"),
            Repair(
                "TensorBasisHead", f"TensorBasisHead(width, TensorBasis({pair}))", "coefficients times a tensor basis"
            ),
        )
