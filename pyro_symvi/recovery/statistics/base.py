"""What every statistic has in common: a value is compared with what symmetry pins, and judged."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ..report.entry import Entry, StatisticReport
from ..report.layout import Layout
from ..theorems import FITTED, Theorem
from ..verdicts import Evidence, Premise, Verdict, weakest
from .facts import Facts

FITTED_RESOLUTION = 1e-6
"""A fitted value this close to the exact one (in the claim's unit) counts as equal."""
ESTABLISHED = (Evidence.PROVED, Evidence.VERIFIED)


@dataclass(frozen=True)
class Claim:
    """What symmetry says of one number of the target.

    Attributes:
        exact: The number.
        premises: What that rests on, invariance first.
        theorem: The theorem.
        why: In a few words: ``"even in (beta)"``.
        unit: What a gap is divided by.
        unit_name: Its name: ``" sd"``, or empty for absolute gaps.
        widest: A fitted value farther than this many units is refuted, not bounded.
        proof: Whether `exact` is rational algebra, rounded once.
        near: Said after ``why`` where the fitted value is the exact one.
        caveat: What a conditional verdict is conditional on.
    """

    exact: float
    premises: tuple[Premise, ...]
    theorem: Theorem
    why: str
    unit: float = 1.0
    unit_name: str = ""
    widest: float = 1.0
    proof: bool = False
    near: str = ""
    caveat: str = "if second moments exist"


class Statistic(ABC):
    """A statistic that certificates report.

    To add one: a subclass in its own file, with a ``name``, `_entries`, and a line in the registry. `_entries` asks
    `Facts` what is known of the target and leaves the comparison to `judge`; the base sees to it that no verdict is
    stronger than its premises, and that nothing computed from draws is called exact.

    Attributes:
        name: As users write it.
        space: The targets it is for: ``"real"`` (flat space) or ``"sphere"``.
        needs_shape: Whether rotations are to be looked for.
        square: Whether it is a ``[d, d]`` matrix (else a list).
    """

    name: ClassVar[str] = ""
    space: ClassVar[str] = "real"
    needs_shape: ClassVar[bool] = False
    square: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Refuse a statistic without a name."""
        super().__init_subclass__()
        if not cls.name:
            raise TypeError(f"expected {cls.__name__} to have a name, because users ask for statistics by name")

    def report(self, facts: Facts) -> StatisticReport:
        """All entries, each with the verdict its premises allow."""
        pairs = self._entries(facts)
        dim = facts.subject.density.dim
        where = [divmod(k, dim) if self.square else (index,) for k, (index, _) in enumerate(pairs)]
        entries = tuple(_held(_sound(e, facts), at, facts) for (_, e), at in zip(pairs, where, strict=True))
        indices = tuple(range(dim)) if self.square else tuple(index for index, _ in pairs)
        shape = (dim, dim) if self.square else (len(entries),)
        if math.prod(shape) != len(entries):
            raise ValueError(f"expected {math.prod(shape)} entries of {self.name}, got {len(entries)}")
        return StatisticReport(self.name, entries, shape, Layout.of(facts.subject.density), indices)

    @abstractmethod
    def _entries(self, facts: Facts) -> Sequence[tuple[int, Entry]]:
        """Entries with the flat coordinate that each belongs to; a matrix row by row."""


def judge(facts: Facts, label: str, value: float, claim: Claim) -> Entry:
    """The entry for a fitted value about which the target's number is known.

    Where nothing was fitted the value is the target's number itself. A value computed from draws is bounded by its
    distance from that number, never exact.
    """
    if facts.subject.kind == "target":
        verdict = weakest(claim.premises)
        reason = claim.why + _caveat(verdict, claim)
        return Entry(label, verdict, claim.exact, math.nan, reason, claim.theorem.name, claim.premises, claim.exact)
    gap = abs(value - claim.exact) / claim.unit
    near = gap <= FITTED_RESOLUTION
    whose = "the centre" if claim.unit_name == " sd" else "the symmetric value"
    if near:
        close = Evidence.PROVED if claim.proof else Evidence.VERIFIED
        whose = "the proved centre (the sd is an estimate)" if claim.proof and claim.unit_name == " sd" else whose
        fitted = Premise(FITTED, close, f"within {FITTED_RESOLUTION:g}{_posterior(claim)} of {whose}")
    else:
        what = "value of the draws" if facts.subject.kind == "draws" else "fitted value"
        text = f"the {what} is {gap:.2g}{_posterior(claim)} from {whose}, {claim.exact:.6g}"
        fitted = Premise(FITTED, Evidence.REFUTED, text)
    premises = (*claim.premises, fitted)
    verdict, bound = weakest(premises), math.nan
    if near:
        reason = f"{claim.why}{claim.near}; gap {gap_text(gap)}{claim.unit_name}" + _caveat(verdict, claim)
    else:
        reason = f"{claim.why}, which gives {claim.exact:.6g}; {_how_far(facts, gap, claim)}"
        if any(p.evidence not in ESTABLISHED for p in claim.premises):
            verdict = Verdict.UNKNOWN
            reason += "; not established: " + ", ".join(p.name for p in claim.premises if p.evidence not in ESTABLISHED)
        elif gap <= claim.widest:
            verdict, bound = Verdict.BOUNDED, gap + FITTED_RESOLUTION
    return Entry(label, verdict, value, bound, reason, claim.theorem.name, premises, exact=claim.exact)


def defined(label: str, value: float, what: str) -> Entry:
    """A number that is what it is by definition: the diagonal of a correlation matrix."""
    premise = Premise("definition", Evidence.PROVED, what)
    return Entry(label, Verdict.PROVED, value, math.nan, what, premises=(premise,), exact=value)


def unknown(label: str, value: float, reason: str, premises: tuple[Premise, ...] = ()) -> Entry:
    """Nothing can be said, and why."""
    return Entry(label, Verdict.UNKNOWN, value, math.nan, reason, premises=premises)


def gap_text(gap: float) -> str:
    """A small distance in words."""
    return "< 1e-12" if gap < 1e-12 else f"{gap:.0e}"


def _posterior(claim: Claim) -> str:
    return f" posterior{claim.unit_name}" if claim.unit_name else ""


def _caveat(verdict: Verdict, claim: Claim) -> str:
    if verdict is Verdict.CONDITIONAL:
        return f"; {claim.caveat}"
    return "; but the posterior may be improper" if verdict is Verdict.UNKNOWN else ""


def _how_far(facts: Facts, gap: float, claim: Claim) -> str:
    if facts.subject.kind == "draws":
        error = facts.monte_carlo_error
        chance = f"Monte-Carlo error of a mean up to {error:.1g} sd"
        return f"that of the draws is {gap:.2g}{claim.unit_name} away ({chance})"
    return f"the optimiser stopped {gap:.2g}{claim.unit_name} away"


def _sound(entry: Entry, facts: Facts) -> Entry:
    """No verdict beyond its premises; nothing computed from draws is exact."""
    if entry.verdict.is_exact:
        entry = replace(entry, verdict=min(entry.verdict, weakest(entry.premises)))
    if facts.subject.kind == "draws" and entry.verdict.is_exact:
        gap = abs(entry.value - entry.exact)
        reason = f"{entry.reason}; draws never certify"
        entry = replace(entry, verdict=Verdict.BOUNDED, bound=max(gap, FITTED_RESOLUTION), reason=reason)
    return entry


def _held(entry: Entry, coordinates: tuple[int, ...], facts: Facts) -> Entry:
    """Nothing is said for a fitted value that its divergence, where known, does not hold where it is."""
    found = facts.exploration if facts.subject.kind == "guide" and facts.subject.divergence is not None else None
    if found is None or entry.verdict < Verdict.BOUNDED or not entry.theorem:
        return entry
    doubt = found.optimum.doubt(*coordinates)
    if not doubt:
        return entry
    reason = f"{entry.reason}; but {facts.subject.divergence!r} does not hold it there: {doubt}"
    return replace(entry, verdict=Verdict.UNKNOWN, bound=math.nan, reason=reason)
