"""Units of decaying weight: when each is learnt. From a preprint only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ..._value import positive_int
from ..links import Link
from ..sensitivity import noise_sensitivity
from ._specialisation import specialisation_exponent
from ._sums import weighted_information
from ._words import Printed, shown, table

PREPRINT = (
    "preprint only: stated in arXiv 2603.17896 v1 and absent from the abstract of the published version; the "
    "information-theoretic exponent is a conjecture there"
)
_MOST = 64


@dataclass(frozen=True, eq=False, repr=False)
class HierarchicalThresholds(Printed):
    """Exponents of the hierarchical model; preprint only (arXiv 2603.17896 v1). Printed, a table.

    Attributes:
        activation: Name of the activation.
        decay: Unit k has the weight k^-decay.
        noise: Variance Delta of the noise.
        units: Number of units K that the exact values below are for.
        algorithmic_exponent: Unit k is learnt by message passing at n / d ~ k to this power, 2 decay beta.
        information_exponent: And can be learnt at n / d ~ k to this power, 2 decay (conjecture).
        algorithmic_error_exponent, information_error_exponent: The mean squared error falls like n / d to this power.
        algorithmic: Exact n / d at which an estimate that knows nothing becomes unstable in unit k, all K units being
            there: our derivation; None for activations that are not even.
        slope: Of log ``algorithmic`` against log k, over the later half of the units: a check on the exponent.
        error: Largest relative quadrature error of ``algorithmic``.
        notes: What to know before the numbers are used.
    """

    activation: str
    decay: float
    noise: float
    units: int
    algorithmic_exponent: float | None
    information_exponent: float
    algorithmic_error_exponent: float | None
    information_error_exponent: float
    algorithmic: tuple[float, ...] | None
    slope: float | None
    error: float | None
    notes: tuple[str, ...]

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each line of the table."""
        first = ", ".join(f"{v:.4g}" for v in self.algorithmic[:6]) if self.algorithmic else "not known"
        return [
            ("status", "preprint only (arXiv 2603.17896 v1)"),
            ("unit k learnt, algorithmic", _power(self.algorithmic_exponent)),
            ("unit k learnt, information-theoretic", f"n/d ~ k^{shown(self.information_exponent)}  (conjecture)"),
            ("error, algorithmic", _falls(self.algorithmic_error_exponent)),
            ("error, information-theoretic", f"~ (n/d)^{shown(self.information_error_exponent)}  (conjecture)"),
            ("n/d of units 1, 2, ... (our derivation)", first),
            ("slope found over the later half", shown(self.slope)),
        ]

    def report(self) -> str:
        """The table as text, notes below it."""
        title = (
            f"hierarchical model (preprint only), {self.activation}, weights k^-{self.decay:.4g}, noise variance "
            f"{self.noise:.4g}, {self.units} units"
        )
        return table(title, self.rows(), self.notes)

    def to_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        return {"status": PREPRINT, **super().to_dict()}

    def __repr__(self) -> str:
        return (
            f"HierarchicalThresholds({self.activation!r}, decay={self.decay:.4g}, preprint only, algorithmic_exponent="
            f"{shown(self.algorithmic_exponent)}, information_exponent={shown(self.information_exponent)})"
        )


def _power(exponent: float | None) -> str:
    return "at no n/d of order one in d" if exponent == math.inf else f"n/d ~ k^{shown(exponent)}"


def _falls(exponent: float | None) -> str:
    return "stays" if exponent == 0 else f"~ (n/d)^{shown(exponent)}"


def hierarchical_exponents(
    activation: str | Callable[[Tensor], Tensor] | Link, decay: float, noise: float, units: int
) -> HierarchicalThresholds:
    r"""Exponents of y = sum_k k^{-gamma} sigma(w_k . x) + sqrt(Delta) xi, gamma > 1/2. Preprint only.

    As stated in arXiv 2603.17896 v1 (Defilippis, Krzakala, Loureiro and Maillard 2026), and not in the abstract of the
    published version: unit k is learnt at n / d of order k^{2 gamma beta} by message passing, beta the noise
    sensitivity exponent, and of order k^{2 gamma} information-theoretically (conjecture); the mean squared error falls
    with the powers -(1 / beta)(1 - 1 / (2 gamma)) and -(1 - 1 / (2 gamma)). The reason is that unit k has a signal to
    noise ratio of order k^{-2 gamma}.

    Beside them, for even activations, the exact ratio 1 / E[a_k(y)^2], a_k(y) = E[z_k^2 - 1 | y], at which weights that
    know nothing become unstable in unit k (our derivation), and its slope in k.

    Args:
        activation: A name, a function of a tensor, a module, or a `Link`; it is standardised.
        decay: The exponent gamma > 1/2.
        noise: Variance Delta > 0 of the noise.
        units: Number of units, 4 to 64.

    Raises:
        TypeError, ValueError: as `Link.of`; numbers out of range.

    Example:
        >>> hierarchical_exponents("b4", decay=1.0, noise=0.5, units=8)
        HierarchicalThresholds('b4', decay=1, preprint only, algorithmic_exponent=4, information_exponent=2)
    """
    if not 0.5 < decay < math.inf:
        raise ValueError(
            f"expected decay above 1/2, got {decay}, because the outputs have no variance otherwise; try 1"
        )
    if not 0 < noise < math.inf:
        raise ValueError(f"expected a noise variance above 0, got {noise}, because it sets the scale; try 0.01")
    positive_int(units, "units", 4)
    if units > _MOST:
        raise ValueError(f"expected at most {_MOST} units, got {units}, because each is integrated; try {_MOST}")
    link = Link.of(activation)
    beta = noise_sensitivity(link).exponent
    left = 1 - 1 / (2 * decay)
    notes = [PREPRINT]
    values, slope, error = None, None, None
    if link.parity == "even":
        weights = [k**-decay for k in range(1, units + 1)]
        seen, fine = (weighted_information(link, weights, noise, finer) for finer in (0, 1))
        values = tuple(1 / v if v > 1e-24 else math.inf for v in seen)
        error = max(abs(a / b - 1) for a, b in zip(seen, fine, strict=True))
        later = np.arange(units // 2, units)
        if all(math.isfinite(values[k]) for k in later):
            slope = float(np.polyfit(np.log(later + 1.0), np.log(np.array(values)[later]), 1)[0])
        else:
            notes.append("an n/d is called infinite where outputs tell less of the unit than rounding leaves")
        notes.append("the n/d of single units hold with all other units unknown; those learnt before would lower them")
    else:
        notes.append("the n/d of single units are given for even activations only: others see a mean direction first")
        told = specialisation_exponent(link).exponent
        if told != beta:
            notes.append(
                f"units of equal weight are told apart with the exponent {shown(told)} in place of {shown(beta)} once "
                "their mean direction is known (our derivation, see specialisation_exponent): the algorithmic "
                "exponents here may be too large"
            )
    return HierarchicalThresholds(
        activation=link.name,
        decay=float(decay),
        noise=float(noise),
        units=units,
        algorithmic_exponent=2 * decay * beta if beta is not None else None,
        information_exponent=2 * decay,
        algorithmic_error_exponent=(0.0 if beta == math.inf else -left / beta) if beta is not None else None,
        information_error_exponent=-left,
        algorithmic=values,
        slope=slope,
        error=error,
        notes=tuple(notes),
    )
