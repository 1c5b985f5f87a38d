"""The verdict on each fitted mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from ..bounds import Bound, MeanBounds, ReflectionBound
from ..bounds.combine import seen
from ..bounds.conditional_gaussian import NAME as QUADRATURE
from ..evidence.exploration import Exploration
from ..report.entry import Entry
from ..report.witness import violation_of
from ..theorems import INVARIANCE, REFLECTION_BOUND, REFLECTION_MEAN
from ..verdicts import Evidence, Verdict
from .base import ESTABLISHED, Claim, Statistic, judge, unknown
from .facts import Facts, Pin

_WEAK = 0.3


class Mean(Statistic):
    """E z_j: the centre of a reflection, if the mean exists; else bounded by what the reflection misses."""

    name: ClassVar[str] = "mean"

    def _entries(self, facts: Facts) -> Sequence[tuple[int, Entry]]:
        bounds: list[MeanBounds] = []
        return [(i, _entry(facts, i, bounds)) for i in range(facts.subject.density.dim)]


def _entry(facts: Facts, i: int, made: list[MeanBounds]) -> Entry:
    subject = facts.subject
    pin = facts.pin(i)
    if pin is not None:
        return _pinned(facts, i, pin)
    density, symmetry = subject.density, facts.symmetry
    label, value = f"mean of {density.coordinates[i]}", subject.value(i)
    if symmetry is not None and i not in symmetry.resolve_coordinates(density.dim):
        return unknown(label, value, "the symmetry given does not move this coordinate")
    found = facts.exploration
    if found is None:
        return unknown(
            label, value, "no centre of symmetry was proved; nothing else was looked at (numerics=True does)"
        )
    if subject.kind == "target":
        return _unrecovered(found, i, label, value, "")
    if not made:
        made.append(MeanBounds(density, subject.loc, found.draws, found.proofs.analysis))
    bounds = made[0]
    best, computed = bounds.reflected(i), bounds.computed(i)
    if computed is not None and not (best.usable and best.bound < computed.at(i)):
        return _computed(label, value, i, computed, bounds)
    if best.usable:
        entry = _bounded(found, i, label, value, best)
        if entry is not None:
            return entry
        why = "; no bound: second moments are not established"
    else:
        why = f"; no bound: {best.refusal}"
    return _unrecovered(found, i, label, value, why)


def _pinned(facts: Facts, i: int, pin: Pin) -> Entry:
    """Inside a reflection that holds: the centre is right; is the fitted value the centre?"""
    moments = facts.moments(1, [i], None if pin.proof is None else pin.proof.moment(1))
    exists = moments.evidence in ESTABLISHED and facts.subject.has_mean
    label = f"{'mean' if exists else 'centre of symmetry'} of {facts.subject.density.coordinates[i]}"
    claim = Claim(
        exact=pin.center,
        premises=(pin.invariance, moments),
        theorem=REFLECTION_MEAN,
        why=f"even in ({pin.group})",
        unit=facts.unit(i, pin.center),
        unit_name=" sd",
        proof=pin.proof is not None,
        near=" about the fitted value",
        caveat="if the posterior is proper and its mean exists",
    )
    return judge(facts, label, facts.subject.value(i), claim)


def _computed(label: str, value: float, i: int, bound: Bound, bounds: MeanBounds) -> Entry:
    """A bound that uses no draws as an argument."""
    number = bound.at(i)
    reason = f"{'weak bound' if number > _WEAK else 'bound'} by {bound.name}: {bound.how}"
    moments = bounds.moments
    if moments is not None and bound.name == QUADRATURE:
        reason = f"{bound.how}: mean {float(moments.means[i]):.6g}, sd {float(moments.sds[i]):.3g}"
    return Entry(label, Verdict.BOUNDED, value, number, reason, bound.name, bound.premises)


def _bounded(found: Exploration, i: int, label: str, value: float, bound: ReflectionBound) -> Entry | None:
    known = found.proofs.analysis.moments.get(2) if found.proofs.trusted else None
    moments = found.proofs.moments(known, 2) or found.moments(2, bound.coordinates)
    if moments.evidence not in ESTABLISHED:
        return None
    position = bound.coordinates.index(i)
    sd = float(found.draws.sd[i])
    estimate, noise = float(bound.error[position]) / sd, float(bound.error_se[position]) / sd
    strength = "weak bound" if bound.bound > _WEAK else "bound"
    reason = f"{strength} from reflecting ({found.names(bound.coordinates)}); "
    reason += f"error estimated {estimate:+.2g} +- {noise:.1g} sd"
    return Entry(
        label, Verdict.BOUNDED, value, bound.bound, reason, REFLECTION_BOUND.name, (moments, seen(bound, found.draws))
    )


def _unrecovered(found: Exploration, i: int, label: str, value: float, why: str) -> Entry:
    """No theorem applies: the witness against the symmetry, or why it was not decided."""
    tests = [t for t in found.tests if i in (t.action.coordinates or ())]
    refuted = [t for t in tests if t.evidence is Evidence.REFUTED]
    undecided = [t for t in tests if t.evidence is Evidence.UNKNOWN]
    if undecided:
        test = undecided[-1]
        premise = test.premise(INVARIANCE, f"reflection of ({found.names(test.action.coordinates or ())})")
        return unknown(label, value, f"symmetry not decided: {test.doubt}{why}", (premise,))
    if refuted:
        test = refuted[-1]
        premise = test.premise(INVARIANCE, f"reflection of ({found.names(test.action.coordinates or ())})")
        reason = f"not symmetric: residual {test.witness_residual:.2g} nats at the witness{why}"
        if found.subject.kind == "target":
            return unknown(label, value, reason, (premise,))
        witness = tuple(test.witness.tolist()) if test.witness is not None else None
        return Entry(
            label,
            Verdict.REFUTED,
            value,
            math.nan,
            reason,
            REFLECTION_MEAN.name,
            (premise,),
            witness=witness,
            violation=violation_of(test),
        )
    return unknown(label, value, f"no reflection was tested{why}")
