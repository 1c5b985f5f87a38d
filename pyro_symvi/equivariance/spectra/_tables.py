"""Spectra as tables: layers by irreps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._irrep_text import irrep_text
from ._result import LayerSpectrum
from ._spectra import Spectrum

NOTHING = 1e-12
"""Fractions below it are printed as 0."""


def number(value: float, error: float | None = None) -> str:
    """A fraction with four decimals, a small one as a power, one that rounding explains as 0."""
    if error is not None:
        return f"{value:.4f} +- {error:.4f}" if error >= 5e-4 else f"{value:.2e} +- {error:.0e}"
    if abs(value) < NOTHING:
        return "0"
    return f"{value:.4f}" if abs(value) >= 5e-4 else f"{value:.1e}"


def cells(spectrum: Spectrum, columns: int, varying: bool = False) -> tuple[list[str], list[list[str]]]:
    """Heads and rows. The ``columns`` irreps with the largest fraction in any layer, in their order; others summed."""
    if columns < 1:
        raise ValueError(f"expected columns >= 1, got {columns}")
    fractions = spectrum.variable_fractions if varying else spectrum.fractions
    shown = list(range(1 if varying and len(spectrum.labels) > 1 else 0, len(spectrum.labels)))
    if len(shown) > columns:
        largest = fractions[:, shown].abs().amax(0).argsort(descending=True, stable=True)
        shown = sorted(shown[i] for i in largest[:columns].tolist())
    parts = [[i] for i in shown]
    rest = [i for i in range(len(spectrum.labels)) if i not in shown and not (varying and i == 0)]
    heads = ["layer", *(irrep_text(spectrum.labels[i], spectrum.group) for i in shown)]
    if rest:
        parts.append(rest)
        heads.append("others")
    heads += ["residual", "E|u - Eu|^2" if varying else "E|u|^2"]

    def entries(layer: LayerSpectrum) -> Tensor:
        """The fractions shown, then the residual."""
        found = layer.variable_fractions if varying else layer.fractions
        nothing = float(layer.varying if varying else layer.square) <= 0
        residual = torch.zeros_like(found[0]) if nothing else 1 - found.sum()
        return torch.stack([*(found[torch.tensor(part)].sum() for part in parts), residual])

    rows = []
    for layer in spectrum.layers.values():
        values, errors = entries(layer).tolist(), layer.standard_error(entries)
        stated = [None] * len(values) if errors is None else errors.tolist()
        row = [number(value, error) for value, error in zip(values, stated, strict=True)]
        rows.append([layer.name, *row, f"{layer.varying if varying else layer.square:.4g}"])
    return heads, rows


def plain(spectrum: Spectrum, columns: int, varying: bool = False) -> str:
    """The table as text, with a line about the rule below."""
    heads, rows = cells(spectrum, columns, varying)
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = []
    for row in [heads, *rows]:
        aligned = [text.rjust(w) if i else text.ljust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(aligned))
    lines.insert(1, "-" * len(lines[0]))
    lines.append(title(spectrum, varying))
    if spectrum.left_out:
        lines.append(f"Not looked at: {', '.join(f'{name} ({why})' for name, why in spectrum.left_out.items())}.")
    return "\n".join(lines)


def title(spectrum: Spectrum, varying: bool = False) -> str:
    """What the numbers are."""
    whole = "what varies along the orbit" if varying else "E|u|^2"
    found = f"Fractions of {whole} by irrep of {spectrum.group!r}; {spectrum.rule}."
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
