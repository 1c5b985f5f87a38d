"""What `noise_sensitivity` finds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .._plain import plain
from ..links import Link, Parity

Exponent = int | float | None
"""An exponent: a whole number, ``math.inf`` (proved), or None (none found up to the largest power tried)."""


@dataclass(frozen=True, eq=False, repr=False)
class NoiseSensitivity:
    """The noise sensitivity of an activation; printed, a table.

    Attributes:
        link: The activation, standardised, with its quadrature.
        exponent: The noise sensitivity exponent: the least b with E[sigma^b (z^2 - 1)] != 0. ``math.inf`` where that is
            proved (sigma takes few values, and no power of it sees the second Hermite polynomial); None where no power
            up to ``max_power`` does.
        coefficient: That expectation c_b; 0 where there is none.
        second_moments: c_b for b = 1, ..., as far as was looked.
        first_moment_exponent: The least b with E[sigma^b z] != 0; ``math.inf`` for even sigma.
        first_moment_coefficient: That expectation; 0 where there is none.
        information_exponent: The least k >= 1 with mu_k != 0; None where none is found among ``hermite``.
        hermite: Coefficients mu_0, mu_1, ... on the normalised Hermite polynomials.
        parity: "even", "odd" or "none".
        error: Estimated quadrature error of ``coefficient``, from panels cut in two.
        crossover_snr: Below this signal-to-noise ratio the leading power tells more than any later one that was looked
            at; ``math.inf`` where it always does. Read the exponent as a statement on noise only if yours is below.
        warnings: What to know before the numbers are used.
    """

    link: Link
    exponent: Exponent
    coefficient: float
    second_moments: tuple[float, ...]
    first_moment_exponent: Exponent
    first_moment_coefficient: float
    information_exponent: Exponent
    hermite: tuple[float, ...]
    parity: Parity
    error: float
    crossover_snr: float
    warnings: tuple[str, ...]

    @property
    def binding(self) -> str:
        """Which of the two moments sets how a single unit is found, in words."""
        first, second = self.first_moment_exponent, self.exponent
        if first == 1:
            return (
                "the first moment: a linear estimate finds one unit at any n/d; the second moment counts for telling "
                "several units apart"
            )
        if first is not None and first != math.inf:
            tail = "" if second is None or second == math.inf else f"; it grows near n/d ~ snr^-{second}"
            return f"the first moment of sigma^{first}: the overlap is of order snr^{first} at any n/d{tail}"
        if second is not None and second != math.inf:
            return f"the second moment: spectral and message passing methods find one unit from n/d ~ snr^-{second}"
        return "neither: no power that was looked at sees the direction in its first or second moment"

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each line of the table."""
        mu = ", ".join(f"{_cleared(v):.5g}" for v in self.hermite[1:7])
        breaks = ", ".join(f"{b:.6g}" for b in self.link.breaks) or "none"
        return [
            ("noise sensitivity exponent", shown(self.exponent)),
            ("coefficient E[sigma^b (z^2 - 1)]", f"{self.coefficient:.6g}  (quadrature error {self.error:.0e})"),
            ("first moment exponent", shown(self.first_moment_exponent)),
            ("coefficient E[sigma^b z]", f"{self.first_moment_coefficient:.6g}"),
            ("information exponent", shown(self.information_exponent)),
            ("Hermite coefficients mu_1 to mu_6", mu),
            ("parity", self.parity),
            ("kinks and jumps", breaks),
            ("mean, standard deviation before standardising", f"{_cleared(self.link.mean):.6g}, {self.link.scale:.6g}"),
            ("what binds", self.binding),
        ]

    def report(self) -> str:
        """The table as text, warnings below it."""
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"noise sensitivity of {self.link.name}", *(f"  {name:<{width}}  {value}" for name, value in rows)]
        return "\n".join([*lines, *(f"  note: {warning}" for warning in self.warnings)])

    def to_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON; an infinite exponent is the string "infinity"."""
        return {
            "activation": self.link.name,
            "exponent": plain(self.exponent),
            "coefficient": self.coefficient,
            "second_moments": list(self.second_moments),
            "first_moment_exponent": plain(self.first_moment_exponent),
            "first_moment_coefficient": self.first_moment_coefficient,
            "information_exponent": plain(self.information_exponent),
            "hermite": list(self.hermite),
            "parity": self.parity,
            "error": self.error,
            "crossover_snr": plain(self.crossover_snr),
            "breaks": list(self.link.breaks),
            "mean": self.link.mean,
            "scale": self.link.scale,
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        return (
            f"NoiseSensitivity({self.link.name!r}, exponent={shown(self.exponent)}, coefficient={self.coefficient:.6g})"
        )


def shown(exponent: Exponent) -> str:
    """An exponent in words."""
    if exponent is None:
        return "none found"
    return "infinity" if exponent == math.inf else str(exponent)


def _cleared(value: float) -> float:
    """Rounding errors as zero."""
    return 0.0 if abs(value) < 1e-12 else value
