"""The verdict on the fitted covariance matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from ...density._importance import RELIABLE
from ..evidence.exploration import Exploration
from ..report.entry import Entry
from ..theorems import SUPPORT
from ..theorems.pinned import GAUSSIAN_COVARIANCE, REFLECTION_COVARIANCE, WEIGHTED_COVARIANCE
from ..verdicts import Evidence, Premise, Verdict
from .base import ESTABLISHED, Claim, Statistic, judge, unknown
from .facts import Facts

WIDEST = 0.5
"""A covariance that may be off by more than this many products of standard deviations is not bounded."""
_WEIGHT_ERRORS = 3.0


class Covariance(Statistic):
    r"""Cov(z_i, z_j): the inverse precision of a Gaussian block whose precision is constant; zero across a reflection.

    Otherwise bounded by weighted draws, in units of :math:`\mathrm{sd}(z_i)\,\mathrm{sd}(z_j)`. Symmetry alone never
    pins a covariance: an elliptical block fixes its shape, not its scale.
    """

    name: ClassVar[str] = "covariance"
    needs_shape: ClassVar[bool] = False
    square: ClassVar[bool] = True

    def _entries(self, facts: Facts) -> Sequence[tuple[int, Entry]]:
        dim = facts.subject.density.dim
        fitted = facts.subject.covariance
        return [
            (i, _entry(facts, i, j, math.nan if fitted is None else float(fitted[i, j])))
            for i in range(dim)
            for j in range(dim)
        ]


def _entry(facts: Facts, i: int, j: int, value: float) -> Entry:
    names = facts.subject.density.coordinates
    label = f"covariance of {names[i]}, {names[j]}" if i != j else f"variance of {names[i]}"
    if facts.subject.kind != "target" and math.isnan(value):
        return unknown(label, value, "the fitted law has no covariance")
    unit = facts.unit(i) * facts.unit(j)
    constant = facts.proofs.constant_covariance((i, j))
    if constant is not None:
        group = facts.names(constant.coordinates)
        claim = Claim(
            exact=constant.at(i, j),
            premises=(facts.proofs.constant(group), facts.moments(2, (i, j), constant.moments)),
            theorem=GAUSSIAN_COVARIANCE,
            why=f"normal in ({group}) with constant precision",
            unit=unit,
            unit_name=" sd product",
            widest=WIDEST,
            proof=True,
        )
        return judge(facts, label, value, claim)
    apart = facts.separation(i, j)
    if apart is not None:
        claim = Claim(
            exact=0.0,
            premises=(apart.invariance, facts.moments(2, (i, j))),
            theorem=REFLECTION_COVARIANCE,
            why=f"even in ({apart.group})",
            unit=unit,
            unit_name=" sd product",
            widest=WIDEST,
            proof=apart.proof is not None,
        )
        return judge(facts, label, value, claim)
    found = facts.exploration
    if found is None:
        return unknown(label, value, "no covariance was proved; nothing else was looked at (numerics=True does)")
    if facts.subject.kind == "target":
        return unknown(label, value, "symmetry pins no scale")
    return _weighted(found, facts.moments(2, (i, j)), i, j, label, value)


def _weighted(found: Exploration, moments: Premise, i: int, j: int, label: str, value: float) -> Entry:
    """Distance from the estimate by weighted draws, and three standard errors of that."""
    draws = found.draws
    if not draws.reliable or not bool((draws.k_second[[i, j]] < RELIABLE).all()):
        return unknown(label, value, f"importance weights are unreliable (Pareto k-hat {draws.k:.2f})", (moments,))
    if moments.evidence not in ESTABLISHED:
        return unknown(label, value, "second moments are not established", (moments,))
    weights = draws.log_weights.softmax(0)
    centred = draws.z - weights @ draws.z
    product = centred[:, i] * centred[:, j]
    estimate = float(weights @ product)
    error = float((weights.square() @ (product - estimate).square()).sqrt())
    unit = float(draws.sd_low[i] * draws.sd_low[j])
    gap, noise = (value - estimate) / unit, error / unit
    bound = abs(gap) + _WEIGHT_ERRORS * noise
    seen = Premise(
        SUPPORT,
        Evidence.VERIFIED,
        f"the draws represent the posterior: Pareto k-hat {draws.k:.2f} < {RELIABLE} on {found.num_draws} draws; mass "
        "where none fell, such as a narrow or far mode, is not counted",
    )
    reason = f"weighted draws give {estimate:.4g} +- {error:.1g}: off by {gap:+.2g} +- {noise:.1g} sd products"
    if bound > WIDEST:
        return unknown(label, value, f"{reason}, too far to be called a bound", (moments, seen))
    return Entry(label, Verdict.BOUNDED, value, bound, reason, WEIGHTED_COVARIANCE.name, (moments, seen))
