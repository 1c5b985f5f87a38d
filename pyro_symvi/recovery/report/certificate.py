"""The certificate: verdicts with values, bounds and premises, and how they print."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ..evidence.residuals import ResidualTest
from ..subject import Subject
from ..verdicts import Premise, Verdict
from .entry import Entry, StatisticReport
from .explain import explanation
from .layout import Layout
from .reading import parsed, parts_of
from .record import Provenance, certificate_record, symmetry_records
from .table import COLOURS, COLUMNS, STYLES, Row, escape, folded, row, units
from .verification import Verification, verification

__all__ = ["Certificate", "Entry", "StatisticReport"]


@dataclass(frozen=True)
class Certificate:
    """Which numbers of a guide are right, by symmetry; ``certificate["mean"]`` is a `StatisticReport`.

    Values are those of the flat unconstrained coordinates: of ``log sigma``, not of ``sigma`` (medians excepted).

    Attributes:
        reports: By statistic.
        subject: What was certified; None where the certificate was read from a file.
        tests: The symmetries tested, with their residuals; empty where it was read from a file.
        region: What was looked at, in words.
        notes: Further remarks (parameters held fixed, unreliable weights).
        layout: Names of sites and coordinates.
        provenance: Versions, seed, hashes and settings.
        symmetries: The tests as records.
    """

    reports: dict[str, StatisticReport]
    subject: Subject | None = field(repr=False)
    tests: tuple[ResidualTest, ...] = field(repr=False)
    region: str
    notes: tuple[str, ...]
    layout: Layout = field(repr=False)
    provenance: Provenance = field(repr=False)
    symmetries: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Keep the tests as records."""
        if self.tests and not self.symmetries:
            object.__setattr__(self, "symmetries", symmetry_records(self.tests))

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

    def explain(self, statistic: str | None = None, coordinate: str | int | None = None) -> str:
        """In sentences: what is right and what is not, why, premise by premise, what was not seen, what to do.

        Args:
            statistic: ``"mean"``, for one; all by default.
            coordinate: A coordinate's name or number, ``"beta[0]"``; all by default.

        Raises:
            KeyError: No such statistic or coordinate; the message lists them.
        """
        chosen = self.reports.values() if statistic is None else [self[statistic]]
        return explanation(list(chosen), coordinate, region=self.region, notes=self.notes, title=self.title)

    # -- as data -----------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything but tensors of test points, ready for ``json.dumps``; ``report/schema.json`` describes it."""
        return certificate_record(self)

    def to_json(self, path: str | Path | None = None) -> str:
        """`to_dict` as JSON text, written to ``path`` if one is given."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Certificate:
        """A certificate that prints, explains and can be verified, from what `to_dict` gave; no model is needed.

        Raises:
            ValueError: No such record, one of another format, or a damaged one.
        """
        return cls(**parts_of(record))

    @classmethod
    def from_json(cls, source: str | Path) -> Certificate:
        """`from_dict` of JSON text, or of the file at a path.

        Raises:
            TypeError: Neither text nor a path.
            ValueError: No JSON, or see `from_dict`.
        """
        return cls.from_dict(parsed(source))

    def verify(self, target: Any, *args: Any, **kwargs: Any) -> Verification:
        """Check a certificate, a saved one say, against a model or a density: does it speak of this target?

        Compared are sites, the hash of graph and constants, and the log density at a few points; every proof is made
        again; symmetries that were verified are tried at fresh points; witnesses are evaluated again. A model or a
        datum that changed fails. Fitted values are not fitted again: they are compared with the proved ones.

        Args:
            target: A `LogDensity`; or a Pyro model, followed by its arguments.
            *args: Arguments of the model.
            **kwargs: Keyword arguments of the model.

        Returns:
            A `Verification`: true if everything agrees; ``str()`` of it lists what was checked.

        Raises:
            TypeError: The target is neither.
        """
        return verification(self, target, args, kwargs)

    # -- printing ----------------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """What it is a certificate of."""
        return f"Certificate for {self.provenance.what}"

    def rows(self) -> list[Row]:
        """The table: statistic, verdict, value, error bound, why. Long sites and matrices are folded."""
        return [row(entries) for report in self.reports.values() for entries in folded(report)]

    def premises(self) -> tuple[Premise, ...]:
        """Distinct premises of all entries, in order of appearance."""
        found: dict[Premise, None] = {}
        for report in self.reports.values():
            for entry in report.entries:
                found.update(dict.fromkeys(entry.premises))
        return tuple(found)

    def table(self) -> Table:
        """A rich table."""
        table = Table(title=self.title, title_justify="left", show_lines=False)
        for column, style in zip(COLUMNS, STYLES, strict=True):
            table.add_column(column, **style)
        for cells in self.rows():
            table.add_row(cells[0], f"[{COLOURS[Verdict[cells[1]]]}]{cells[1]}[/]", *cells[2:])
        return table

    def __rich_console__(self, console: Console, options: Any) -> Any:
        """Print as table, premises, region and notes."""
        yield self.table()
        yield from (escape(line) for line in self.below())

    def __str__(self) -> str:
        """Plain text, 120 columns."""
        buffer = io.StringIO()
        Console(file=buffer, width=120, color_system=None, highlight=False).print(self)
        return buffer.getvalue().rstrip()

    def _repr_html_(self) -> str:
        from .page import fragment

        return fragment(self)

    def to_html(self, path: str | Path) -> None:
        """Write a page that stands by itself."""
        from .page import page

        Path(path).write_text(page(self), encoding="utf-8")

    def plot(self, statistic: str | None = None) -> Any:
        """A matplotlib figure of a statistic, by default the first that can be drawn: means or a matrix.

        Means: intervals of guide and target, the fitted values, error bounds and exact centres, one row a coordinate.
        Correlations, scatters, covariances: one tile a pair. Verdicts in words and colours. ``figure.savefig(path)``.

        Raises:
            KeyError: No such statistic.
            ValueError: Neither means nor a matrix; means without a fit or draws to draw.
        """
        from .forest import forest_figure
        from .tiles import tile_figure

        chosen = statistic or next((s for s in self.statistics if s == "mean" or len(self[s].shape) == 2), "mean")
        return forest_figure(self) if chosen == "mean" and "mean" in self.statistics else tile_figure(self, chosen)

    def below(self) -> list[str]:
        """What stands below the table: premises, region, units, notes."""
        lines = [f"- {premise}" for premise in self.shown_premises()]
        lines.append(f"Region: {self.region}")
        lines.append(units(self.statistics))
        return lines + [f"Note: {note}" for note in self.notes]

    def shown_premises(self) -> list[Premise]:
        """Premises once each; where many differ in numbers only, the first of a name and evidence stands for all."""
        seen: dict[tuple[str, str, str], Premise] = {}
        for premise in self.premises():
            seen.setdefault((premise.name, premise.evidence.value, premise.statement.split(":")[0]), premise)
        return list(seen.values())
