"""An error that is rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors._result import SIGNIFICANCE
from ._evidence import Evidence
from ._finding import Finding
from ._mode import FailureMode


@dataclass(frozen=True)
class RoundingFloor(FailureMode):
    """A <= 3 times the floor: the output is equivariant as far as its precision can tell."""

    name: ClassVar[str] = "nothing to mend"
    alone: ClassVar[bool] = True

    def find(self, evidence: Evidence) -> Finding | None:
        if not evidence.at_floor or evidence.error is None:
            return None
        error = evidence.error
        return Finding(
            self.name,
            evidence.output.name,
            f"The error {error.A:.2g} is at most {SIGNIFICANCE:g} times the rounding floor {error.noise_floor:.2g}; "
            "this says nothing of accuracy.",
            {"A": error.A, "relative": error.relative, "noise_floor": error.noise_floor},
            mends=False,
        )
