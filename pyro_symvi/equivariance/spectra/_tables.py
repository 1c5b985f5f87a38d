"""Spectra as tables: layers by irreps."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from ...groups import Orthogonal
from ._spectra import Spectrum

NOTHING = 1e-12
"""Fractions below it are printed as 0."""


def label_text(label: Hashable, group: object = None) -> str:
    """A label in few letters: (1, -1) of O(n) is "1-", other tuples are joined by commas."""
    if isinstance(group, Orthogonal) and isinstance(label, tuple) and len(label) == 2:
        return f"{label[0]}{'+' if label[1] > 0 else '-'}"
    return ",".join(map(str, label)) if isinstance(label, tuple) else str(label)


def number(value: float, error: float | None = None) -> str:
    """A fraction with four decimals, a small one as a power, one that rounding explains as 0."""
    if error is not None:
        return f"{value:.4f} +- {error:.4f}"
    if abs(value) < NOTHING:
        return "0"
    return f"{value:.4f}" if abs(value) >= 5e-4 else f"{value:.1e}"


def cells(spectrum: Spectrum, columns: int) -> tuple[list[str], list[list[str]]]:
    """Heads and rows. The ``columns`` irreps with the largest fraction in any layer, in their order; others summed."""
    if columns < 1:
        raise ValueError(f"expected columns >= 1, got {columns}")
    fractions, errors = spectrum.fractions, spectrum.standard_errors
    shown = list(range(len(spectrum.labels)))
    if len(shown) > columns:
        shown = sorted(fractions.abs().amax(0).argsort(descending=True, stable=True)[:columns].tolist())
    rest = [i for i in range(len(spectrum.labels)) if i not in shown]
    heads = ["layer", *(label_text(spectrum.labels[i], spectrum.group) for i in shown)]
    heads += ["others"] * bool(rest) + ["residual", "E|u|^2"]
    rows = []
    for i, layer in enumerate(spectrum.layers.values()):
        row = [layer.name]
        row += [number(float(fractions[i, j]), None if errors is None else float(errors[i, j])) for j in shown]
        if rest:
            others = layer.standard_error(lambda found: _sum(found.fractions, rest))
            row.append(number(float(_sum(layer.fractions, rest)), None if others is None else float(others)))
        residual = layer.residual
        row += [number(residual, layer.residual_error), f"{layer.square:.4g}"]
        rows.append(row)
    return heads, rows


def plain(spectrum: Spectrum, columns: int) -> str:
    """The table as text, with a line about the rule below."""
    heads, rows = cells(spectrum, columns)
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = [
        "  ".join(
            text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [heads, *rows]
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join([*lines, title(spectrum)])


def title(spectrum: Spectrum) -> str:
    """What the numbers are."""
    found = f"Fractions of E|u|^2 by irrep of {spectrum.group!r}; {spectrum.rule}."
    if spectrum.changes:
        found += f" Largest change at degree + 2: {max(spectrum.changes.values()):.1e}."
    return found


def rich_table(spectrum: Spectrum, columns: int = 12) -> Any:
    """The table for a terminal."""
    from rich.table import Table

    heads, rows = cells(spectrum, columns)
    found = Table(title=title(spectrum))
    for i, head in enumerate(heads):
        found.add_column(head, justify="left" if i == 0 else "right")
    for row in rows:
        found.add_row(*row)
    return found


def _sum(fractions: Tensor, chosen: list[int]) -> Tensor:
    return fractions[torch.tensor(chosen)].sum()
