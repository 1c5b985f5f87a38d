"""The verdicts on a fitted direction, axis and concentration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ...families import VonMisesFisherFamily
from ..report.entry import Entry
from ..theorems.directions import (
    ANGLE_BOUND,
    FITTED,
    HALF_TURN,
    LENGTH,
    MEAN_BY_QUADRATURE,
    NATURAL,
    NO_DIRECTION,
    NONZERO,
    RESULTANT,
    SUPPORT,
    VON_MISES_FISHER,
    WHOLE,
    ZONAL_AXIS,
)
from ..verdicts import Evidence, Premise, Verdict, weakest
from .bound import angle_bound
from .facts import SEPARATION, Axis, SphereFacts
from .subject import vmf_length

ANGLE_RESOLUTION = 1e-6
"""A fitted direction this close to the exact one (radians) counts as equal."""
CONCENTRATION_RESOLUTION = 1e-6
"""A fitted concentration this close (relative) counts as equal; one below it is zero."""
_WIDEST_CONCENTRATION = 0.5

SPHERE_STATISTICS = ("direction", "axis", "concentration")


@dataclass(frozen=True)
class MeanDirection:
    """What is known of E x / |E x|.

    Attributes:
        d: The direction ``[n]``; None where it is undefined or not known.
        theorem: Name of the theorem.
        premises: All but that of the fitted value.
        error: Of ``d``, in radians.
        undefined: Whether E x = 0 is established.
        reason: How it is known, or why it is not.
    """

    d: torch.Tensor | None
    theorem: str
    premises: tuple[Premise, ...]
    error: float
    undefined: bool
    reason: str


def mean_direction(facts: SphereFacts) -> MeanDirection:
    """The strongest statement on the target's mean direction."""
    if facts.exact is not None:
        return _natural(facts, facts.exact)
    if facts.centred is not None:
        why = "E x = 0 by symmetry: there is no mean direction"
        return MeanDirection(None, NO_DIRECTION.name, (facts.centred,), math.nan, True, why)
    for axis in facts.found:
        known = _on_axis(facts, axis)
        if known is not None:
            return known
    if facts.found:
        why = "E x lies on the axis, but its sign is not decided: it is too short to be told from zero"
        if not facts.moments.reliable:
            why = f"E x would lie on the axis, but it could not be computed: {facts.moments.region()}"
        return MeanDirection(None, HALF_TURN.name, (facts.found[0].premise,), math.nan, False, why)
    return _computed(facts)


def _natural(facts: SphereFacts, b: torch.Tensor) -> MeanDirection:
    length = float(b.norm())
    scale = float(facts.moments.log_p[torch.isfinite(facts.moments.log_p)].abs().max()) + length
    if length <= max(SEPARATION, 2.0**-46 * scale):
        premise = Premise(NATURAL, Evidence.UNKNOWN, f"|b| = {length:.1e} is not to be told from rounding of the data")
        why = "the target is uniform to rounding: its direction is that of rounding errors"
        return MeanDirection(None, VON_MISES_FISHER.name, (premise,), math.nan, False, why)
    text = f"by static analysis, log p = b.x + const on the sphere, with rational b, |b| = {length:.6g}"
    premise = Premise(NATURAL, Evidence.PROVED, text)
    why = f"the target is a von Mises-Fisher law, concentration {length:.6g}"
    return MeanDirection(b / length, VON_MISES_FISHER.name, (premise,), 0.0, False, why)


def _on_axis(facts: SphereFacts, axis: Axis) -> MeanDirection | None:
    """The direction along an axis, if the sign of E a.x is known."""
    along, error = facts.along(axis.a)
    sign: Premise | None = None
    if axis.rational is not None:
        for s in (1, -1):
            if facts.algebra.increases_along([s * x for x in axis.rational]):
                text = "by static analysis, log p is a polynomial in a.x that never decreases and is not constant"
                sign, along = Premise(NONZERO, Evidence.PROVED, text), float(s)
    if sign is None:
        if not facts.moments.reliable or abs(along) <= SEPARATION + 10 * error:
            return None
        by = "quadrature" if facts.moments.numerical else "three standard errors of weighted draws"
        sign = Premise(NONZERO, Evidence.VERIFIED, f"|E x| = {abs(along):.6g}, to within {error:.1g} ({by})")
    mean, errors = facts.moments.mean_of(facts.moments.x)
    across = mean - (mean @ axis.a) * axis.a
    if facts.moments.reliable and float(across.norm()) > 1e-7 + 10 * float(errors.norm()):
        facts.notes.append("a symmetry that seemed to hold is dropped: the mean does not lie on its axis")
        return None
    d = axis.a if along > 0 else -axis.a
    accuracy = 0.0 if axis.is_proved else 1e-8
    return MeanDirection(
        d, HALF_TURN.name, (axis.premise, facts.proper, sign), accuracy, False, f"{axis.kind} the axis {vector_text(d)}"
    )


def _computed(facts: SphereFacts) -> MeanDirection:
    """By quadrature, where the whole space can be covered."""
    length, error = facts.length()
    if not facts.moments.numerical:
        why = "no symmetry was found, and above three dimensions E x is known to Monte-Carlo accuracy only"
        return MeanDirection(None, "", (), math.nan, False, why)
    if not facts.moments.reliable:
        why = f"no symmetry was found, and quadrature did not settle (error {facts.moments.error:.0e})"
        return MeanDirection(None, "", (), math.nan, False, why)
    if length <= SEPARATION + 10 * error:
        why = f"|E x| = {length:.1e} is not to be told from zero, and no symmetry says that it is zero"
        return MeanDirection(None, "", (), math.nan, False, why)
    seen = Premise(WHOLE, Evidence.VERIFIED, facts.moments.region())
    nonzero = Premise(NONZERO, Evidence.VERIFIED, f"|E x| = {length:.6g}, to within {error:.1g}")
    d = facts.moments.mean / length
    why = f"E x by quadrature: direction {vector_text(d)}"
    return MeanDirection(d, MEAN_BY_QUADRATURE.name, (seen, nonzero), error / length, False, why)


# -- entries -------------------------------------------------------------------------------------------------------


def direction_entries(facts: SphereFacts, known: MeanDirection) -> tuple[Entry, ...]:
    """One entry a coordinate of the fitted direction, all with one verdict."""
    fitted = facts.subject.direction
    if known.undefined:
        premise = known.premises[0]
        verdict = Verdict.REFUTED if premise.evidence in (Evidence.PROVED, Evidence.VERIFIED) else Verdict.UNKNOWN
        return _entries(
            facts, "direction", verdict, fitted, None, math.nan, known.reason, known.theorem, known.premises
        )
    if fitted is not None and facts.subject.concentration <= CONCENTRATION_RESOLUTION:
        why = "the fitted law is uniform (concentration 0): its direction means nothing"
        return _entries(facts, "direction", Verdict.UNKNOWN, fitted, None, math.nan, why)
    if known.d is None:
        if fitted is not None and not facts.moments.numerical:
            return _bounded(facts, fitted, known)
        return _entries(
            facts, "direction", Verdict.UNKNOWN, fitted, None, math.nan, known.reason, known.theorem, known.premises
        )
    return _compared(facts, "direction", known.d, known, signed=True)


def axis_entries(facts: SphereFacts, known: MeanDirection) -> tuple[Entry, ...]:
    """One entry a coordinate of the fitted axis (its sign is free): that of E x, or of all rotations if E x = 0."""
    fitted = facts.subject.direction
    if fitted is not None and facts.subject.concentration <= CONCENTRATION_RESOLUTION:
        why = "the fitted law is uniform (concentration 0): it has no axis"
        return _entries(facts, "axis", Verdict.UNKNOWN, fitted, None, math.nan, why)
    if known.d is not None:
        return _compared(facts, "axis", known.d, known, signed=False)
    zonal = [axis for axis in facts.found if axis.zonal]
    if len(zonal) == 1 and facts.subject.density.dim >= 3 and not facts.is_uniform and _varies(facts):
        axis = zonal[0]
        what = "zonal about the axis, and E x = 0: an axis without a mean direction"
        if not known.undefined:
            what = "zonal about the axis, the sign of E x undecided"
        premises, error = (axis.premise, facts.proper), 0.0 if axis.is_proved else 1e-8
        alone = MeanDirection(axis.a, ZONAL_AXIS.name, premises, error, False, what)
        return _compared(facts, "axis", axis.a, alone, signed=False)
    why = "E x = 0, and no one axis is singled out" if known.undefined else known.reason
    return _entries(facts, "axis", Verdict.UNKNOWN, fitted, None, math.nan, why, known.theorem, known.premises)


def _varies(facts: SphereFacts) -> bool:
    """Whether log p is not constant to rounding."""
    log_p = facts.moments.log_p
    return bool((log_p == -torch.inf).any()) or float(log_p.max() - log_p.min()) > 1e-6


def _compared(
    facts: SphereFacts, statistic: str, d: torch.Tensor, known: MeanDirection, *, signed: bool
) -> tuple[Entry, ...]:
    """A fitted direction against the exact one; the exact one alone where nothing was fitted."""
    fitted, name = facts.subject.direction, known.theorem
    if fitted is None:
        verdict = weakest(known.premises)
        return _entries(facts, statistic, verdict, None, d, known.error or math.nan, known.reason, name, known.premises)
    if not signed and float(fitted @ d) < 0:
        d = -d
    angle = angle_between(fitted, d)
    by_itself = known.theorem == MEAN_BY_QUADRATURE.name and bool(facts.refused)  # the user asked for one symmetry
    if angle + known.error <= ANGLE_RESOLUTION and not by_itself:
        least = weakest(known.premises)
        close = Evidence.PROVED if least is Verdict.PROVED else Evidence.VERIFIED
        held = Premise(FITTED, close, f"within {ANGLE_RESOLUTION:g} rad of it")
        premises = (*known.premises, held)
        reason = f"{known.reason}; the fitted one is within {ANGLE_RESOLUTION:g} rad"
        return _entries(facts, statistic, weakest(premises), fitted, d, math.nan, reason, name, premises)
    at_it = Evidence.VERIFIED if angle + known.error <= ANGLE_RESOLUTION else Evidence.REFUTED
    premises = (*known.premises, Premise(FITTED, at_it, f"the fitted {statistic} is {angle:.3g} rad away"))
    if weakest(known.premises) not in (Verdict.PROVED, Verdict.VERIFIED):
        return _entries(facts, statistic, Verdict.UNKNOWN, fitted, None, math.nan, known.reason, name, known.premises)
    reason = f"{known.reason}; the fitted one is {angle:.3g} rad away"
    if angle > math.pi - 1e-3:
        reason = f"{known.reason}; the fitted one points the opposite way"
    verdict = Verdict.BOUNDED if angle <= facts.angular_sd else Verdict.REFUTED
    bound = angle + known.error + ANGLE_RESOLUTION if verdict is Verdict.BOUNDED else math.nan
    return _entries(facts, statistic, verdict, fitted, d, bound, reason, name, premises)


def _bounded(facts: SphereFacts, fitted: torch.Tensor, known: MeanDirection) -> tuple[Entry, ...]:
    """The angle bound at the fitted direction, from weighted draws."""
    bound = angle_bound(facts.subject.density, facts.moments, fitted)
    if bound.refusal:
        why = f"{known.reason}; no bound: {bound.refusal}"
        return _entries(facts, "direction", Verdict.UNKNOWN, fitted, None, math.nan, why, known.theorem, known.premises)
    seen = Premise(SUPPORT, Evidence.VERIFIED, f"the draws represent the target: {facts.moments.region()}")
    sign = Premise(NONZERO, Evidence.VERIFIED, f"E a.x = {bound.along:.4g}, at least {bound.along_low:.4g}")
    reason = f"bound from the half-turn about the fitted direction; angle estimated {bound.estimate:.2g} rad"
    return _entries(
        facts, "direction", Verdict.BOUNDED, fitted, None, bound.angle, reason, ANGLE_BOUND.name, (seen, sign)
    )


def concentration_entry(facts: SphereFacts, known: MeanDirection) -> Entry:
    """The fitted concentration against the moment-matching one."""
    subject = facts.subject
    exact, premise, error = _matching(facts, known)
    label = f"concentration of {subject.density.name}"
    if subject.direction is None:
        if premise.evidence not in (Evidence.PROVED, Evidence.VERIFIED):
            return Entry(label, Verdict.UNKNOWN, math.nan, math.nan, premise.statement, RESULTANT.name, (premise,))
        reason = f"matches |E x| = {facts.length()[0]:.6g}"
        return Entry(label, weakest((premise,)), exact, error or math.nan, reason, RESULTANT.name, (premise,), exact)
    value = subject.concentration
    if premise.evidence not in (Evidence.PROVED, Evidence.VERIFIED):
        return Entry(label, Verdict.UNKNOWN, value, math.nan, premise.statement, RESULTANT.name, (premise,))
    gap, scale = abs(value - exact), max(exact, 1.0)
    reason = f"moment matching gives {exact:.6g}"
    if gap + error <= CONCENTRATION_RESOLUTION * scale:
        held = Premise(FITTED, premise.evidence, f"within {CONCENTRATION_RESOLUTION:g} of it, relatively")
        premises = (premise, held)
        return Entry(label, weakest(premises), value, math.nan, reason, RESULTANT.name, premises, exact)
    held = Premise(FITTED, Evidence.REFUTED, f"the fitted value is {gap:.3g} away")
    if subject.divergence is not None and subject.order != 1:
        reason += f"; {subject.divergence!r} does not match moments"
    elif subject.divergence is None:
        reason += "; divergences other than forward KL do not match moments"
    opposite = known.d is not None and angle_between(subject.direction, known.d) > facts.angular_sd
    near = gap <= _WIDEST_CONCENTRATION * exact and not opposite
    verdict = Verdict.BOUNDED if near else Verdict.REFUTED
    return Entry(
        label, verdict, value, gap + error if near else math.nan, reason, RESULTANT.name, (premise, held), exact
    )


def _matching(facts: SphereFacts, known: MeanDirection) -> tuple[float, Premise, float]:
    """The concentration whose law's mean has the length |E x|, how |E x| is known, and the concentration's error."""
    subject = facts.subject
    if facts.exact is not None and known.d is not None:
        b = float(facts.exact.norm())
        premise = Premise(LENGTH, Evidence.PROVED, f"the target is a von Mises-Fisher law, concentration {b:.6g}")
        if subject.family is None or isinstance(subject.family, VonMisesFisherFamily):
            return b, premise, 0.0
        return subject.matching(vmf_length(subject.density.dim, b)), premise, 1e-9 * b
    if known.undefined:
        text = f"E x = 0 by symmetry ({known.premises[0].evidence.value})"
        return 0.0, Premise(LENGTH, known.premises[0].evidence, text), 0.0
    length, error = facts.length()
    if not facts.moments.reliable or not 0 < length < 1 or not facts.moments.numerical:
        why = "|E x| is known to Monte-Carlo accuracy at best"
        if facts.moments.numerical:
            why = f"quadrature did not settle (error {facts.moments.error:.0e})"
        return math.nan, Premise(LENGTH, Evidence.UNKNOWN, why), math.nan
    if known.d is None:
        return math.nan, Premise(LENGTH, Evidence.UNKNOWN, known.reason), math.nan
    exact = subject.matching(length)
    slack = min(max(error, 4e-16), (1 - length) / 2)
    spread = subject.matching(length + slack) - subject.matching(max(length - slack, 0.0))
    text = f"|E x| = {length:.9g} by quadrature, to within {error:.1g}"
    return exact, Premise(LENGTH, Evidence.VERIFIED, text), spread


# -- helpers -------------------------------------------------------------------------------------------------------


def _entries(
    facts: SphereFacts,
    statistic: str,
    verdict: Verdict,
    fitted: torch.Tensor | None,
    exact: torch.Tensor | None,
    bound: float,
    reason: str,
    theorem: str = "",
    premises: tuple[Premise, ...] = (),
) -> tuple[Entry, ...]:
    """One entry a coordinate; the value is the exact one where nothing was fitted."""
    density = facts.subject.density
    missing = torch.full((density.dim,), math.nan, dtype=torch.float64)
    values = fitted if fitted is not None else (missing if exact is None else exact)
    truth = missing if exact is None else exact
    witness = _witness(facts) if verdict is Verdict.REFUTED else None
    return tuple(
        Entry(
            f"{statistic} of {name}",
            verdict,
            float(values[i]),
            bound,
            reason,
            theorem,
            premises,
            float(truth[i]),
            witness,
        )
        for i, name in enumerate(density.coordinates)
    )


def _witness(facts: SphereFacts) -> tuple[float, ...] | None:
    """The point where the half-turn about the fitted direction fails most, if it was tested."""
    refuted = [t for t in facts.tests if t.evidence is Evidence.REFUTED and t.witness is not None]
    return tuple(refuted[0].witness.tolist()) if refuted and refuted[0].witness is not None else None


def angle_between(a: torch.Tensor, b: torch.Tensor) -> float:
    """The angle in radians, without cancellation at either end."""
    return 2 * math.atan2(float((a - b).norm()), float((a + b).norm()))


def vector_text(a: torch.Tensor) -> str:
    """A few digits of a vector."""
    shown = ", ".join(f"{0.0 if abs(x) < 5e-7 else x:.6g}" for x in a[:5].tolist())
    return f"({shown}{', ...' if len(a) > 5 else ''})"
