"""The verdict on each fitted mean."""

from __future__ import annotations

import math

import torch

from ...density._importance import RELIABLE
from ...groups import AffineAction
from ..bounds.reflection import ReflectionBound, reflection_bound
from ..evidence.exploration import Exploration
from ..evidence.residuals import ResidualTest
from ..report.certificate import Entry, StatisticReport
from ..theorems import FITTED, INVARIANCE, REFLECTION_BOUND, REFLECTION_MEAN, SUPPORT, pinned_mean
from ..verdicts import Evidence, Premise, Verdict, weakest

FITTED_RESOLUTION = 1e-6
"""A fitted value this close to the exact one (posterior sds; absolute for correlations) counts as equal."""
WIDEST = 1.0
"""Farther from the centre than this many posterior sds, a fitted mean is refuted, not bounded."""
_WEAK = 0.3

ESTABLISHED = (Evidence.PROVED, Evidence.VERIFIED)

Bounds = dict[tuple[int, ...], ReflectionBound]


def mean_report(found: Exploration, symmetry: AffineAction | None) -> StatisticReport:
    """One entry a coordinate: the strongest theorem that applies to it."""
    density = found.subject.density
    bounds: Bounds = {}
    entries = tuple(_entry(found, i, symmetry, bounds) for i in range(density.dim))
    return StatisticReport("mean", entries, (density.dim,), density, tuple(range(density.dim)))


def gap_text(gap: float) -> str:
    """A small distance in words."""
    return "< 1e-12" if gap < 1e-12 else f"{gap:.0e}"


def _entry(found: Exploration, i: int, symmetry: AffineAction | None, bounds: Bounds) -> Entry:
    for test in found.reflections:
        if bool(pinned_mean(test.action)[i]):
            return _pinned(found, i, test)
    density = found.subject.density
    label, value = f"mean of {density.coordinates[i]}", float(found.subject.loc[i])
    if symmetry is not None and i not in symmetry.resolve_coordinates(density.dim):
        return Entry(label, Verdict.UNKNOWN, value, math.nan, "the symmetry given does not move this coordinate")
    best = _best_bound(found, i, bounds)
    if best.usable:
        entry = _bounded(found, i, label, value, best)
        if entry is not None:
            return entry
        why = "; no bound: second moments are not established"
    else:
        why = f"; no bound: {best.refusal}"
    return _unrecovered(found, i, label, value, why)


def _pinned(found: Exploration, i: int, test: ResidualTest) -> Entry:
    """Inside a reflection that holds: the centre is right; is the fitted value the centre?"""
    coordinates = test.action.coordinates or ()
    center = float(torch.as_tensor(test.action.center)[coordinates.index(i)])
    value = float(found.subject.loc[i])
    group = found.names(coordinates)
    proof = found.proofs.reflection(test, found.sd)
    proved_moments = None
    invariance = test.premise(INVARIANCE, f"reflection of ({group})")
    if proof is not None:
        center = float(proof.center[i])
        invariance = found.proofs.reflected(proof, group)
        proved_moments = found.proofs.moments(proof.moment(1), 1)
    gap = abs(value - center) / float(found.sd[i])
    moments = proved_moments or found.moments(1, [i])
    exists = moments.evidence in ESTABLISHED and found.subject.has_mean
    label = f"{'mean' if exists else 'centre of symmetry'} of {found.subject.density.coordinates[i]}"
    theorem = REFLECTION_MEAN.name
    if gap <= FITTED_RESOLUTION:
        if proof is None:
            close, whose = Evidence.VERIFIED, "the centre"
        else:
            close, whose = Evidence.PROVED, "the exact centre (the sd is an estimate)"
        fitted = Premise(FITTED, close, f"within {FITTED_RESOLUTION:g} posterior sd of {whose}")
        premises = (invariance, moments, fitted)
        verdict = weakest(premises)
        reason = f"even in ({group}) about the fitted value; gap {gap_text(gap)} sd"
        if verdict is Verdict.CONDITIONAL:
            reason += "; if the posterior is proper and its mean exists"
        elif verdict is Verdict.UNKNOWN:
            reason += "; but the posterior may be improper"
        return Entry(label, verdict, value, math.nan, reason, theorem, premises, exact=center)
    fitted = Premise(
        FITTED, Evidence.REFUTED, f"the fitted value is {gap:.2g} posterior sd from the centre of symmetry"
    )
    premises = (invariance, moments, fitted)
    reason = f"even in ({group}) about {center:.6g}; the optimiser stopped {gap:.2g} sd away"
    verdict, bound = Verdict.REFUTED, math.nan
    if moments.evidence not in ESTABLISHED:
        verdict = Verdict.UNKNOWN
        reason += "; existence of the mean not established"
    elif gap <= WIDEST:
        verdict, bound = Verdict.BOUNDED, gap + FITTED_RESOLUTION
    return Entry(label, verdict, value, bound, reason, theorem, premises, exact=center)


def _best_bound(found: Exploration, i: int, bounds: Bounds) -> ReflectionBound:
    """The smallest bound from reflecting the coordinate, its site, or everything."""
    density = found.subject.density
    site = next(s for s in density.sites if s.slice.start <= i < s.slice.stop)
    options = [(i,), tuple(range(density.dim)[site.slice]), tuple(range(density.dim))]
    for option in options:
        if option not in bounds:
            bounds[option] = reflection_bound(density, found.draws, found.subject.loc, option)
    usable = [bounds[o] for o in options if bounds[o].usable]
    return min(usable, key=lambda b: b.bound) if usable else min((bounds[o] for o in options), key=lambda b: b.k)


def _bounded(found: Exploration, i: int, label: str, value: float, bound: ReflectionBound) -> Entry | None:
    moments = found.moments(2, bound.coordinates)
    if moments.evidence not in ESTABLISHED:
        return None
    seen = Premise(
        SUPPORT,
        Evidence.VERIFIED,
        f"the draws represent the posterior: Pareto k-hat {max(bound.k, found.draws.k):.2f} < {RELIABLE} on "
        f"{found.num_draws} draws; mass where none fell, such as a narrow or far mode, is not counted",
    )
    position = bound.coordinates.index(i)
    sd = float(found.draws.sd[i])
    estimate, noise = float(bound.error[position]) / sd, float(bound.error_se[position]) / sd
    strength = "weak bound" if bound.bound > _WEAK else "bound"
    reason = f"{strength} from reflecting ({found.names(bound.coordinates)}); "
    reason += f"error estimated {estimate:+.2g} +- {noise:.1g} sd"
    return Entry(label, Verdict.BOUNDED, value, bound.bound, reason, REFLECTION_BOUND.name, (moments, seen))


def _unrecovered(found: Exploration, i: int, label: str, value: float, why: str) -> Entry:
    """No theorem applies: the witness against the symmetry, or why it was not decided."""
    tests = [t for t in found.tests if i in (t.action.coordinates or ())]
    refuted = [t for t in tests if t.evidence is Evidence.REFUTED]
    undecided = [t for t in tests if t.evidence is Evidence.UNKNOWN]
    if undecided:
        test = undecided[-1]
        premise = test.premise(INVARIANCE, f"reflection of ({found.names(test.action.coordinates or ())})")
        reason = f"symmetry not decided: {test.doubt}{why}"
        return Entry(label, Verdict.UNKNOWN, value, math.nan, reason, "", (premise,))
    if refuted:
        test = refuted[-1]
        premise = test.premise(INVARIANCE, f"reflection of ({found.names(test.action.coordinates or ())})")
        witness = tuple(test.witness.tolist()) if test.witness is not None else None
        reason = f"not symmetric: residual {test.witness_residual:.2g} nats at the witness{why}"
        return Entry(label, Verdict.REFUTED, value, math.nan, reason, REFLECTION_MEAN.name, (premise,), witness=witness)
    return Entry(label, Verdict.UNKNOWN, value, math.nan, f"no reflection was tested{why}")
