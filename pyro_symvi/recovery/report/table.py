"""The rows of a printed certificate: long sites and matrices are folded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..verdicts import Verdict
from .entry import Entry, StatisticReport

Row = tuple[str, str, str, str, str]
COLUMNS = ("statistic", "verdict", "value", "error bound", "why")
STYLES: tuple[dict[str, Any], ...] = (
    {"no_wrap": True},
    {"no_wrap": True},
    {"justify": "right", "no_wrap": True},
    {"justify": "right", "no_wrap": True},
    {"ratio": 1},
)
COLOURS = {
    Verdict.PROVED: "bold green",
    Verdict.VERIFIED: "green",
    Verdict.BOUNDED: "cyan",
    Verdict.CONDITIONAL: "yellow",
    Verdict.UNKNOWN: "magenta",
    Verdict.REFUTED: "red",
}
_FOLD = 24


def is_directional(statistics: Sequence[str]) -> bool:
    """Whether a certificate is one of a direction."""
    return bool(set(statistics) & {"direction", "axis", "concentration"})


def units(statistics: Sequence[str]) -> str:
    """In which coordinates values are, and in which units bounds."""
    if is_directional(statistics):
        return "Directions are unit vectors; their error bounds are in radians, those of concentrations absolute."
    return "Values are of unconstrained coordinates; error bounds are in posterior standard deviations."


def folded(report: StatisticReport) -> list[list[Entry]]:
    """Entries row by row; in large reports, those of one kind, verdict and theorem are one row."""
    entries = list(report.lower())
    is_list = len(report.shape) == 1
    if len(entries) <= _FOLD and is_list:
        return [[entry] for entry in entries]
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        site = entry.label.split("[")[0] if is_list else entry.label.split(" ")[0]  # variances apart from covariances
        groups.setdefault((site, entry.verdict.name, entry.theorem), []).append(entry)
    return list(groups.values())


def row(entries: Sequence[Entry]) -> Row:
    """Statistic, verdict, value, error bound, why."""
    first = entries[0]
    bounds = [e.bound for e in entries if math.isfinite(e.bound)]
    bound = f"{max(bounds):.2g}" if bounds else "-"
    if len(entries) == 1:
        return escape(first.label), first.verdict.name, shown(first.value), bound, escape(first.reason)
    low, high = min(e.value for e in entries), max(e.value for e in entries)
    label = f"{first.label} and {len(entries) - 1} more"
    values = "-" if math.isnan(low) else f"{low:.3g} .. {high:.3g}"
    return escape(label), first.verdict.name, values, bound, escape(first.reason)


def shown(value: float) -> str:
    """A number, or a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.6g}"


def escape(text: str) -> str:
    """Text that rich does not take for markup."""
    return text.replace("[", r"\[")
