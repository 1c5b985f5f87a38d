"""A symmetry as a table in words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ..._layout import Layout
from ._layer import SymmetricLayer
from ._placing import Unplaced

_HEAD = ("layer", "units", "in", "out", "activation", "moves that leave the function")


def as_table(layout: Layout, layers: Sequence[SymmetricLayer], unplaced: Sequence[Unplaced], log_order: float) -> str:
    """Lines of at most about 100 characters."""
    rows = [_HEAD]
    rows += [
        (x.name or "(whole)", str(x.h), str(x.p), str(x.q), x.activation.name, ", ".join(x.groups)) for x in layers
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = [f"Symmetries of a network with {layout.network_dim} weights"]
    for row in rows:
        cells = [
            cell.rjust(width) if i in (1, 2, 3) else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    if not layers:
        lines.append("  (no hidden layer whose symmetry is known)")
    lines.append("in, out: weights into (bias included) and out of each unit")
    copies = f"e^{log_order:.1f}" if log_order > 20 else f"{round(2.718281828459045**log_order)}"
    lines.append(f"equal copies of generic weights by permutations and signs: {copies}")
    if unplaced:
        lines.append("not placed:")
        for item in unplaced:
            lines += textwrap.wrap(f"{item.name}: {item.reason}", 100, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)
