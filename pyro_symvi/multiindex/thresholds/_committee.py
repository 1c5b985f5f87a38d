"""Thresholds at which the units of a committee are told apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..._value import positive_int
from ..channels._number import positive_number
from ..links import Link
from ._constants import many_units_limit
from ._single import single_index_thresholds
from ._specialisation import specialisation_exponent
from ._sums import committee_information
from ._unspecialised import instability, told
from ._words import WithAsymptotes, table, unsettled, with_asymptote

_NOTHING = 1e-24
_LARGE_P = (
    "information-theoretic: known for many units only, as p times a constant of the replica potential (our "
    "derivation, not proved); at this p it is an estimate"
)


@dataclass(frozen=True, eq=False, repr=False)
class CommitteeThresholds(WithAsymptotes):
    """Sample ratios n / d at which the units of a committee are told apart; printed, a table.

    Attributes:
        activation: Name of the activation.
        units: Number of units p.
        noise: Variance Delta of the noise.
        information: From here on the Bayes estimate has its units specialised; for p > 1 from the limit of many units,
            and no larger than ``algorithmic``. Infinite where units are never told apart.
        algorithmic: From here on the solution with all units alike is unstable under message passing, which begins to
            specialise. How far it gets is not computed: as for one unit, the overlap may be small at first.
        mean_overlap: Overlap of the mean direction just below ``algorithmic``; 0 for even activations.
        jump: Overlap of each unit just above ``information``, in the limit of many units; 0 where continuous.
        transition: "continuous" or "first-order", in the same limit; None where there is none.
        exponent: ``algorithmic`` grows like p to this power, see `specialisation_exponent`.
        asymptotes: "algorithmic" and "information" for many units.
        error: Relative quadrature error of ``algorithmic``, from a rule with panels of half the width.
        notes: What to know before the numbers are used.
    """

    activation: str
    units: int
    noise: float
    information: float
    algorithmic: float
    mean_overlap: float
    jump: float
    transition: str | None
    exponent: int | float | None
    asymptotes: dict[str, float]
    error: float
    notes: tuple[str, ...]

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each line of the table."""
        grows = f"p^{self.exponent}" if self.exponent is not None else "not known"
        return [
            ("information-theoretic", with_asymptote("information", self.information, self.asymptotes)),
            ("algorithmic", with_asymptote("algorithmic", self.algorithmic, self.asymptotes)),
            *([("algorithmic grows like", grows)] if self.units > 1 and self.exponent != math.inf else []),
            ("transition", f"{self.transition or 'none'}, overlap of each unit {self.jump:.3f} just above"),
            ("quadrature error", f"{self.error:.0e} of the algorithmic value"),
        ]

    def report(self) -> str:
        """The table as text, notes below it."""
        title = f"committee of {self.units}, {self.activation}, noise variance {self.noise:.5g}: thresholds in n/d"
        return table(title, self.rows(), self.notes)

    def __repr__(self) -> str:
        return (
            f"CommitteeThresholds({self.activation!r}, units={self.units}, noise={self.noise:.4g}, "
            f"information={self.information:.4g}, algorithmic={self.algorithmic:.4g})"
        )


def committee_thresholds(
    activation: str | Callable[[Tensor], Tensor] | Link, units: int, noise: float, *, conditioned: bool = True
) -> CommitteeThresholds:
    r"""Thresholds in n / d of y = p^{-1/2} sum_k sigma(w_k . x) + sqrt(Delta) xi with p weights of independent law.

    Below ``algorithmic`` the estimate of message passing has all units alike. Let g(y) be what an output tells of
    E[(z_1 - z_2)^2] / 2 - 1, with the mean direction known as far as n / d lets it be; then

    .. math:: \alpha_{alg} = 1 / E[g^2],

    exact at every p for state evolution (our derivation; for even sigma g = E[z_1^2 - 1 | y], the mean direction not
    being seen). The asymptote is p^exponent / rate of `specialisation_exponent`. The information-theoretic threshold is
    p times

    .. math:: \inf_{0 < q < 1} \frac{-q - \log(1 - q)}{\log(R / (R - g_2(q)))}, \qquad R = \Delta + 1 - \mu_1^2,
        \quad g_2(q) = \sum_{k \ge 2} \mu_k^2 q^k,

    the limit of many units (our derivation, replica method), capped by ``algorithmic``. One unit is a single-index
    model: `single_index_thresholds` at lambda = 1 / Delta.

    Args:
        activation: A name, a function of a tensor, a module, or a `Link`; it is standardised.
        units: Number of units p.
        noise: Variance Delta > 0 of the noise, on the scale where the noise-free output has variance 1.
        conditioned: Count what is known of the mean direction. Without it, the ratio at which an estimate that knows
            nothing at all becomes unstable; no difference for even activations.

    Raises:
        TypeError, ValueError: as `Link.of`; numbers out of range.

    Source: Defilippis, Krzakala, Loureiro and Maillard (2026), arXiv 2603.17896, for the powers of p with even sigma.

    Example:
        >>> found = committee_thresholds("b4", units=4, noise=0.5)
        >>> round(found.algorithmic, 2), round(found.information, 2), found.transition
        (20.99, 11.48, 'first-order')
    """
    positive_int(units, "units")
    noise = positive_number(noise, "a noise variance", "it sets the scale; try 0.01")
    link = Link.of(activation)
    exponent = specialisation_exponent(link, noise=noise)
    if units == 1:
        return _one(link, noise, exponent.exponent)
    limit = many_units_limit(link, noise)
    if exponent.exponent == math.inf:
        note = "the activation is linear: only the sum of the weights enters, and units are never told apart"
        return CommitteeThresholds(
            link.name, units, noise, math.inf, math.inf, 1.0, 0.0, None, math.inf, {}, 0.0, (note,)
        )
    notes = [_LARGE_P]
    even = link.parity == "even"
    if even or not conditioned:
        seen, fine = (committee_information(link, units, noise, finer) for finer in (0, 1))
        algorithmic = 1 / seen if seen > _NOTHING else math.inf
        known = 0.0
    else:
        algorithmic, known = instability(link, units, noise)
        seen = 1 / algorithmic
        fine = told(link, units, noise, known, finer=1).differences if math.isfinite(algorithmic) else 0.0
        notes.append(
            f"algorithmic: by our derivation for activations that are not even, with the overlap {known:.4f} of the "
            "mean direction that this n/d gives"
        )
    if not math.isfinite(algorithmic):
        notes.append("no output tells the units apart at n/d of order one: message passing does not specialise")
    information = min(units * limit.value, algorithmic)
    if information < units * limit.value:
        notes.append("the limit of many units lies above the algorithmic threshold, which bounds it at this p")
    asymptotes = {"information": units * limit.value}
    if exponent.rate and (even or conditioned):
        asymptotes["algorithmic"] = units**exponent.exponent / exponent.rate if exponent.exponent else math.inf
    error = abs(seen / fine - 1) if fine > 0 and math.isfinite(algorithmic) else 0.0
    return CommitteeThresholds(
        activation=link.name,
        units=units,
        noise=float(noise),
        information=information,
        algorithmic=algorithmic,
        mean_overlap=known,
        jump=limit.overlap,
        transition="first-order" if limit.overlap > 0 else "continuous",
        exponent=exponent.exponent,
        asymptotes=asymptotes,
        error=error,
        notes=(*notes, *unsettled(error)),
    )


def _one(link: Link, noise: float, exponent: int | float | None) -> CommitteeThresholds:
    single = single_index_thresholds(link, 1 / noise)
    note = "one unit: the thresholds of a single-index model, exact; there are no units to tell apart"
    return CommitteeThresholds(
        activation=link.name,
        units=1,
        noise=float(noise),
        information=single.information,
        algorithmic=single.algorithmic,
        mean_overlap=0.0,
        jump=single.jump,
        transition=single.transition,
        exponent=exponent,
        asymptotes={},
        error=single.error,
        notes=(note, *single.notes),
    )
