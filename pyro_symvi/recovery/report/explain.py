"""A certificate in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill

from ..theorems import THEOREMS
from ..verdicts import Evidence, Verdict
from .entry import Entry, StatisticReport

_WIDTH = 110
_LISTED = 7
_EVIDENCE = {
    Evidence.PROVED: "proved",
    Evidence.VERIFIED: "no violation found",
    Evidence.ASSUMED: "assumed, not shown",
    Evidence.UNKNOWN: "not decided",
    Evidence.REFUTED: "does not hold",
}


def explanation(
    reports: Sequence[StatisticReport],
    coordinate: str | int | None,
    *,
    region: str,
    notes: Sequence[str],
    title: str,
) -> str:
    """`Certificate.explain`."""
    lines = [title + "."]
    seen = False
    for report in reports:
        entries_of = report.lower() if coordinate is None else report.of(coordinate)
        for entries in _alike(entries_of):
            lines += ["", *_paragraph(entries)]
            seen |= any(p.evidence is not Evidence.PROVED for p in entries[0].premises)
    if seen:
        text = f"What numbers cannot show. Looked at: {region}."
        lines += ["", *_filled(text)]
    if coordinate is None:
        lines += [line for note in notes for line in ["", *_filled(f"Note. {note}.".replace("..", "."))]]
    return "\n".join(lines)


def _alike(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Those of one verdict for one reason, in order of appearance."""
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in entries:
        reason = "" if entry.premises else entry.reason
        evidence = tuple((p.name, p.evidence, p.statement.split(":")[0]) for p in entry.premises)
        kind, _, site = entry.label.split("[")[0].partition(" of ")
        key = (kind, site if entry.verdict.is_exact else "", entry.verdict, entry.theorem, evidence, reason)
        groups.setdefault(key, []).append(entry)
    return list(groups.values())


def _paragraph(entries: Sequence[Entry]) -> list[str]:
    first = entries[0]
    others = [entry.label.partition(" of ")[2] for entry in entries[1:]]
    more = "".join(f"; {name}" for name in others[:_LISTED])
    more += f"; and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
    lines = _filled(f"{first.label}{more}: {first.verdict.name}. {_claim(entries)}")
    record = next((t for t in THEOREMS if t.name == first.theorem), None)
    if record is not None and first.premises:
        lines += _filled(f"Theorem ({record.name}): {record.statement}", "  ")
    if first.premises:
        of = " (of the first of them)" if len(entries) > 1 else ""
        lines.append(f"  Premises{of}:")
    for position, premise in enumerate(first.premises, 1):
        lines += _filled(f"{position}. {premise.name}: {_EVIDENCE[premise.evidence]}. {premise.statement}.", "    ")
    advice = _advice(first)
    if advice:
        lines += _filled(f"What to do: {advice}", "  ")
    return lines


def _claim(entries: Sequence[Entry]) -> str:
    """What is right, in a sentence or two."""
    entry = entries[0]
    numbers = [entry.value for entry in entries if not math.isnan(entry.value)]
    subject = f"The value {entry.value:.6g}" if len(numbers) == len(entries) == 1 else "Each value"
    if 1 < len(numbers) <= _LISTED + 1:
        subject = f"Each value ({', '.join(f'{x:.6g}' for x in numbers)})"
    if entry.verdict is Verdict.PROVED:
        return f"{subject} is exact: {entry.reason}. Every premise is proved; no sample served as an argument."
    if entry.verdict is Verdict.VERIFIED:
        return f"{subject} is right as far as numbers can tell: {entry.reason}. No violation was found where we looked."
    if entry.verdict is Verdict.BOUNDED:
        widest = max(e.bound for e in entries)
        return f"{subject} is off by at most {widest:.2g} ({_unit(entry)}): {entry.reason}."
    if entry.verdict is Verdict.CONDITIONAL:
        return f"{subject} is right if you grant what is marked as assumed: {entry.reason}."
    if entry.verdict is Verdict.UNKNOWN:
        return f"Nothing can be said: {entry.reason}."
    return f"{subject} is not recovered: {entry.reason}."


def _unit(entry: Entry) -> str:
    kind = entry.label.split(" of ")[0]
    if kind in ("correlation", "scatter", "shape"):
        return "on the scale of correlations"
    if kind == "covariance":
        return "in products of posterior standard deviations"
    if kind in ("direction", "axis", "concentration"):
        return "absolute" if kind == "concentration" else "in radians"
    if kind == "slope":
        return "in units of sd(response) / sd(predictor)"
    return "in posterior standard deviations"


def _advice(entry: Entry) -> str:
    """What a modeller can do about it."""
    if entry.verdict is Verdict.PROVED:
        return "nothing; use the number."
    if entry.verdict is Verdict.VERIFIED:
        return "if the posterior may have a narrow or far mode, start the fit from several points and compare."
    if entry.verdict is Verdict.CONDITIONAL:
        return "show, or be ready to grant, what is assumed (a proper prior, lighter tails), and say so in your report."
    known = not math.isnan(entry.exact)
    if known and entry.verdict in (Verdict.BOUNDED, Verdict.REFUTED):
        return (
            f"the symmetric value is {entry.exact:.6g}: use it in place of the fitted one, or let the fit run until it "
            "gets there."
        )
    if entry.verdict is Verdict.BOUNDED:
        return (
            "if that is too wide, look for coordinates in which the posterior is more nearly symmetric, or take this "
            "number from weighted draws or MCMC."
        )
    if entry.verdict is Verdict.REFUTED:
        return (
            "the witness shows that the posterior is not symmetric; take this number from weighted draws or MCMC, not "
            "from the guide."
        )
    return "take this number from weighted draws or MCMC, or change what the reason names and certify again."


def _filled(text: str, indent: str = "") -> list[str]:
    return fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent).splitlines()
