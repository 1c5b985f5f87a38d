"""The certificate: verdicts with values, bounds and premises, and how they print."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from ... import __version__
from ...density import LogDensity
from ..evidence.residuals import ResidualTest
from ..subject import Subject
from ..verdicts import Premise, Verdict

_FOLD = 24


@dataclass(frozen=True)
class Entry:
    """One number and what may be said of it.

    Attributes:
        label: ``"mean of beta[0]"``.
        verdict: The verdict on the *fitted* value.
        value: The fitted value, in unconstrained coordinates.
        bound: Error bound in posterior sds (correlations: absolute); nan where none is given.
        exact: The value that symmetry says is right, where one is verified; else nan.
        theorem: Name of the theorem used, or empty.
        premises: Its premises with their evidence.
        reason: One line.
        witness: A point ``[d]`` that refutes the symmetry, if the verdict rests on one.
    """

    label: str
    verdict: Verdict
    value: float
    bound: float
    reason: str
    theorem: str = ""
    premises: tuple[Premise, ...] = ()
    exact: float = math.nan
    witness: tuple[float, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: nan becomes None."""
        return {
            "label": self.label,
            "verdict": self.verdict.name,
            "value": _number(self.value),
            "bound": _number(self.bound),
            "exact": _number(self.exact),
            "theorem": self.theorem or None,
            "reason": self.reason,
            "premises": [
                {"name": p.name, "evidence": p.evidence.value, "statement": p.statement} for p in self.premises
            ],
            "witness": None if self.witness is None else [_number(x) for x in self.witness],
        }


@dataclass(frozen=True)
class StatisticReport:
    """All entries of one statistic: ``[d]`` for means, ``[d, d]`` for correlations."""

    statistic: str
    entries: tuple[Entry, ...]
    shape: tuple[int, ...]
    density: LogDensity = field(repr=False)
    indices: tuple[int, ...] = field(repr=False)

    @property
    def verdicts(self) -> list[Any]:
        """One `Verdict` a flat coordinate; for correlations a list of rows."""
        flat = [entry.verdict for entry in self.entries]
        if len(self.shape) == 1:
            return flat
        rows, columns = self.shape
        return [flat[i * columns : (i + 1) * columns] for i in range(rows)]

    @property
    def verdict(self) -> Verdict:
        """The weakest verdict (of the off-diagonal entries, for correlations)."""
        return min((entry.verdict for entry in self._considered()), default=Verdict.PROVED)

    @property
    def values(self) -> torch.Tensor:
        """Fitted values, float64."""
        return torch.tensor([e.value for e in self.entries], dtype=torch.float64).reshape(self.shape)

    @property
    def bounds(self) -> torch.Tensor:
        """Error bounds; nan where there is none."""
        return torch.tensor([e.bound for e in self.entries], dtype=torch.float64).reshape(self.shape)

    @property
    def exact(self) -> torch.Tensor:
        """Values that symmetry pins, where verified; else nan."""
        return torch.tensor([e.exact for e in self.entries], dtype=torch.float64).reshape(self.shape)

    @property
    def theorem(self) -> str:
        """Name of the theorem behind the best verdict; empty if none applies."""
        return max(self._considered(), key=lambda e: e.verdict).theorem if self._considered() else ""

    @property
    def premises(self) -> tuple[Premise, ...]:
        """Distinct premises behind the best verdict."""
        return max(self._considered(), key=lambda e: e.verdict).premises if self._considered() else ()

    def at(self, site: str) -> StatisticReport:
        """The entries of one site.

        Raises:
            KeyError: No such site; the message lists them.
        """
        if site not in self.density.slices:
            raise KeyError(f"expected one of the sites {list(self.density.names)}, got {site!r}")
        chosen = range(self.density.dim)[self.density.slices[site]]
        keep = [k for k, i in enumerate(self.indices) if i in chosen]
        if len(self.shape) == 1:
            entries = tuple(self.entries[k] for k in keep)
        else:
            entries = tuple(self.entries[a * self.shape[1] + b] for a in keep for b in keep)
        indices = tuple(self.indices[k] for k in keep)
        return StatisticReport(self.statistic, entries, (len(keep),) * len(self.shape), self.density, indices)

    def _considered(self) -> tuple[Entry, ...]:
        if len(self.shape) == 1:
            return self.entries
        return tuple(e for k, e in enumerate(self.entries) if k // self.shape[1] != k % self.shape[1])


@dataclass(frozen=True)
class Certificate:
    """Which numbers of a guide are right, by symmetry; ``certificate["mean"]`` is a `StatisticReport`.

    Values are those of the flat unconstrained coordinates: of ``log sigma``, not of ``sigma``.

    Attributes:
        reports: By statistic.
        subject: What was certified.
        tests: The symmetries tested, with their residuals.
        region: What was looked at, in words.
        notes: Further remarks (parameters held fixed, unreliable weights).
    """

    reports: dict[str, StatisticReport]
    subject: Subject = field(repr=False)
    tests: tuple[ResidualTest, ...] = field(repr=False)
    region: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, statistic: str) -> StatisticReport:
        """The report of one statistic; KeyError with the list of them."""
        if statistic not in self.reports:
            raise KeyError(
                f"expected one of {sorted(self.reports)}, got {statistic!r}; try statistics=({statistic!r},)"
            )
        return self.reports[statistic]

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the statistics reported."""
        return tuple(self.reports)

    def to_dict(self) -> dict[str, Any]:
        """Everything but tensors of test points, ready for ``json.dumps``."""
        subject = self.subject
        return {
            "pyro_symvi": __version__,
            "guide": subject.name,
            "divergence": None if subject.divergence is None else repr(subject.divergence),
            "sites": {site.name: list(site.shape) for site in subject.density.sites},
            "coordinates": list(subject.density.coordinates),
            "statistics": {
                name: {"verdict": report.verdict.name, "entries": [e.to_dict() for e in report.entries]}
                for name, report in self.reports.items()
            },
            "symmetries": [
                {
                    "action": type(test.action).__name__,
                    "coordinates": list(test.action.coordinates or ()),
                    "evidence": test.evidence.value,
                    "points": test.points,
                    "draws_screened": test.screened,
                    "doubt": test.doubt or None,
                    "largest_residual": _number(test.largest),
                    "witness_residual": _number(test.witness_residual) if test.witness is not None else None,
                    "reach": _number(test.reach),
                }
                for test in self.tests
            ],
            "region": self.region,
            "notes": list(self.notes),
        }

    # -- printing ----------------------------------------------------------------------------------------------

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """The table: statistic, verdict, value, error bound, why. Long sites and matrices are folded."""
        out: list[tuple[str, str, str, str, str]] = []
        for report in self.reports.values():
            for entries in _folded(report):
                out.append(_row(entries))
        return out

    def premises(self) -> tuple[Premise, ...]:
        """Distinct premises of all entries, in order of appearance."""
        found: dict[Premise, None] = {}
        for report in self.reports.values():
            for entry in report.entries:
                found.update(dict.fromkeys(entry.premises))
        return tuple(found)

    def table(self) -> Table:
        """A rich table."""
        table = Table(title=f"Certificate for a {self.subject.name} guide", title_justify="left", show_lines=False)
        for column, style in zip(("statistic", "verdict", "value", "error bound", "why"), _STYLES, strict=True):
            table.add_column(column, **style)
        for row in self.rows():
            table.add_row(row[0], f"[{_COLOURS[row[1]]}]{row[1]}[/]", *row[2:])
        return table

    def __rich_console__(self, console: Console, options: Any) -> Any:
        """Print as table, premises, region and notes."""
        yield self.table()
        yield from self._below()

    def __str__(self) -> str:
        """Plain text, 120 columns."""
        buffer = io.StringIO()
        Console(file=buffer, width=120, color_system=None, highlight=False).print(self)
        return buffer.getvalue().rstrip()

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{c}</th>" for c in ("statistic", "verdict", "value", "error bound", "why"))
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows()
        )
        below = "".join(f"<p>{html.escape(line)}</p>" for line in self._below(markup=False))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"

    def _below(self, markup: bool = True) -> list[str]:
        escape = _escape if markup else str
        lines = [f"- {escape(str(premise))}" for premise in self._premises_shown()]
        lines.append(escape(f"Region: {self.region}"))
        lines.append("Values are of unconstrained coordinates; error bounds are in posterior standard deviations.")
        return lines + [escape(f"Note: {note}") for note in self.notes]

    def _premises_shown(self) -> list[Premise]:
        """Premises once each; where many differ in numbers only, the first of a name and evidence stands for all."""
        seen: dict[tuple[str, str, str], Premise] = {}
        for premise in self.premises():
            seen.setdefault((premise.name, premise.evidence.value, premise.statement.split(":")[0]), premise)
        return list(seen.values())


_COLOURS = {
    "PROVED": "bold green",
    "VERIFIED": "green",
    "BOUNDED": "cyan",
    "CONDITIONAL": "yellow",
    "UNKNOWN": "magenta",
    "REFUTED": "red",
}
_STYLES: tuple[dict[str, Any], ...] = (
    {"no_wrap": True},
    {"no_wrap": True},
    {"justify": "right", "no_wrap": True},
    {"justify": "right", "no_wrap": True},
    {"ratio": 1},
)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _folded(report: StatisticReport) -> list[list[Entry]]:
    """Entries row by row; in large reports, runs of one verdict and theorem are one row."""
    entries = list(report._considered())
    if len(report.shape) == 2:
        d = report.shape[1]
        entries = [report.entries[i * d + j] for i in range(report.shape[0]) for j in range(i)]
    if len(entries) <= _FOLD and len(report.shape) == 1:
        return [[entry] for entry in entries]
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        site = entry.label.split("[")[0] if len(report.shape) == 1 else report.statistic
        groups.setdefault((site, entry.verdict.name, entry.theorem), []).append(entry)
    return list(groups.values())


def _row(entries: Sequence[Entry]) -> tuple[str, str, str, str, str]:
    first = entries[0]
    bounds = [e.bound for e in entries if math.isfinite(e.bound)]
    bound = f"{max(bounds):.2g}" if bounds else "-"
    if len(entries) == 1:
        return _escape(first.label), first.verdict.name, f"{first.value:.6g}", bound, _escape(first.reason)
    low, high = min(e.value for e in entries), max(e.value for e in entries)
    label = f"{first.label} and {len(entries) - 1} more"
    return _escape(label), first.verdict.name, f"{low:.3g} .. {high:.3g}", bound, _escape(first.reason)
