"""Tables of thresholds for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from ..thresholds import CommitteeThresholds, SingleIndexThresholds


def single_index_table(rows: Sequence[SingleIndexThresholds]) -> Table:
    """One row a signal-to-noise ratio: exact thresholds in n/d, the asymptote of the algorithmic one, their ratio."""
    table = _table(
        "One unit: thresholds in samples per input, n/d",
        (
            "snr",
            "weak recovery",
            "spinodal",
            "information",
            "algorithmic",
            "large overlap",
            "asymptote",
            "exact/asymptote",
            "transition",
        ),
    )
    for row in rows:
        table.add_row(
            f"{row.snr:g}",
            number(row.weak_recovery),
            number(row.spinodal),
            number(row.information),
            number(row.algorithmic),
            number(row.large_overlap),
            *_ends(row, "weak_recovery"),
        )
    return table


def committee_table(rows: Sequence[CommitteeThresholds]) -> Table:
    """One row a number of units; else as `single_index_table`."""
    table = _table(
        f"Committee, noise variance {rows[0].noise:g}: thresholds in samples per input, n/d",
        ("units", "information", "algorithmic", "asymptote", "exact/asymptote", "transition"),
    )
    for row in rows:
        table.add_row(
            str(row.units),
            number(row.information),
            number(row.algorithmic),
            *_ends(row, "algorithmic"),
        )
    return table


def _ends(row: SingleIndexThresholds | CommitteeThresholds, name: str) -> tuple[str, str, str]:
    """The last columns: asymptote of this name, exact over asymptote, transition."""
    asymptote = row.asymptotes.get(name)
    return number(asymptote), ratio(row.algorithmic, asymptote), row.transition or "-"


def number(value: float | None) -> str:
    """Four digits; "-" where it is not known.

    >>> number(11.49876), number(float("inf")), number(None)
    ('11.5', 'infinite', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.4g}" if math.isfinite(value) else "infinite"


def ratio(value: float | None, reference: float | None) -> str:
    """The quotient, where it is one.

    >>> ratio(3.0, 2.0), ratio(3.0, None)
    ('1.5', '-')
    """
    if value is None or not reference or not math.isfinite(value) or not math.isfinite(reference):
        return "-"
    return f"{value / reference:.4g}"


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="")
    for column in columns:
        table.add_column(column, justify="left" if column == "transition" else "right", no_wrap=True)
    return table
