"""What `advise` returns: ranked guides and divergences, with what would be right under each."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from ...divergences import Divergence
from ...families import LocationScale
from ..verdicts import Verdict
from .guarantees import Guarantee

_SHOWN = 6


@dataclass(frozen=True)
class AdviceRow:
    """One guide and one divergence.

    Attributes:
        family: The family.
        options: Keyword arguments of `AutoLocationScale` for it (``base``, ``scale``, ``df``).
        divergence: The divergence; never an infinite one.
        guarantees: What holds of the minimiser, statistic by statistic.
        how: How near a fit comes to that minimiser.
    """

    family: LocationScale
    options: dict[str, Any]
    divergence: Divergence
    guarantees: tuple[Guarantee, ...] = field(repr=False)
    how: str

    @property
    def guide(self) -> str:
        """The guide in words."""
        df = f"({self.options['df']:g})" if "df" in self.options else ""
        return f"{self.options['base']}{df}, {self.options['scale']}"

    def exact(self, statistic: str) -> int:
        """How many coordinates (mean) or pairs (correlation) are proved; 1 for other statistics that are."""
        return self.count(statistic, Verdict.PROVED)

    def count(self, statistic: str, verdict: Verdict) -> int:
        """How many coordinates (mean), pairs (correlation) or single claims (else) have a verdict."""
        items: set[Any] = set()
        whole = False
        for g in self.guarantees:
            if g.verdict is verdict and g.statistic in _ALIASES.get(statistic, (statistic,)):
                items.update(g.items)
                whole |= not g.items
        if statistic == "correlation" and whole:
            return self.family.dim * (self.family.dim - 1) // 2
        return max(len(items), int(whole))

    @property
    def verdict(self) -> Verdict:
        """The strongest verdict on any mean."""
        return max((g.verdict for g in self.guarantees if g.statistic in ("mean", "centre")), default=Verdict.UNKNOWN)

    @property
    def why(self) -> str:
        """The theorems behind what is proved, or what is missing."""
        named = dict.fromkeys(
            g.theorem.name for g in self.guarantees if g.theorem is not None and g.verdict > Verdict.UNKNOWN
        )
        if named:
            return "; ".join(named)
        missing = next((g.reason for g in self.guarantees if g.statistic == "mean"), "")
        return missing.split("; ")[0]


_ALIASES = {"mean": ("mean", "centre"), "correlation": ("correlation", "shape")}


@dataclass(frozen=True)
class Advice:
    """Guides and divergences for one target, the strongest certificate first.

    The verdicts speak of the *minimiser of the divergence*, before any fit: that a fit has reached it, and that the
    numbers are right, is for `certify` to say.

    Attributes:
        coordinates: Names of the flat coordinates.
        rows: Ranked.
        excluded: Combinations left out, with the reason (an infinite divergence).
        help: What would make more provable.
        notes: Remarks on the proofs.
    """

    coordinates: tuple[str, ...]
    rows: tuple[AdviceRow, ...]
    excluded: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> AdviceRow | None:
        """The first row; None if every combination was left out."""
        return self.rows[0] if self.rows else None

    def table(self) -> Table:
        """A rich table of the first rows."""
        table = Table(title="Of the minimiser of each divergence", title_justify="left")
        for column in ("guide", "divergence", "mean", "correlation", "also", "how near a fit comes", "why"):
            table.add_column(column, ratio=2 if column == "why" else None)
        for row in self.rows[:_SHOWN]:
            also = [s for s in ("contrasts", "slope", "covariance", "variances") if row.exact(s)]
            table.add_row(
                row.guide,
                repr(row.divergence),
                self._told(row, "mean"),
                self._told(row, "correlation"),
                ", ".join(also) or "-",
                row.how,
                row.why.replace("[", r"\["),
            )
        return table

    def _told(self, row: AdviceRow, statistic: str) -> str:
        d = len(self.coordinates)
        total = d if statistic == "mean" else d * (d - 1) // 2
        if total == 0:
            return "-"
        for verdict in (Verdict.PROVED, Verdict.VERIFIED, Verdict.CONDITIONAL, Verdict.REFUTED):
            count = row.count(statistic, verdict)
            if count:
                return f"{verdict.name} {'all' if count >= total else f'{count} of {total}'}"
        return Verdict.UNKNOWN.name

    def __rich_console__(self, console: Console, options: Any) -> Any:
        yield self.table()
        if all(row.verdict is Verdict.UNKNOWN for row in self.rows):
            yield "Nothing is certified for any of them: the order is that of habit and cost."
        yield from (f"- {line}".replace("[", r"\[") for line in self.help)
        yield from (f"Left out: {line}".replace("[", r"\[") for line in self.excluded[:3])
        yield "PROVED here is about the minimiser of the divergence; certify(fit) says whether a fit has reached it."
        yield from (f"Note: {line}".replace("[", r"\[") for line in self.notes)

    def __str__(self) -> str:
        """Plain text, 140 columns."""
        buffer = io.StringIO()
        Console(file=buffer, width=140, color_system=None, highlight=False).print(self)
        return buffer.getvalue().rstrip()
