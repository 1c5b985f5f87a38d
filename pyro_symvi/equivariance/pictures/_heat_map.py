"""Layers by irreps."""

from __future__ import annotations

from typing import Any

import torch

from ..._figures import INK, tidy
from ...groups import Orthogonal
from ..spectra import Spectrum
from ._labels import distinct, drawn

FAINTEST = 1e-4
"""Fractions below this have the colour of nothing."""
MOST_NUMBERS = 120
"""Cells beyond which numbers are left out."""

MOST_NAMES = 150
"""Rows beyond which only every second, third, ... is named."""


def draw_spectrum(axis: Any, spectrum: Spectrum, *, target: tuple[Any, ...] = ()) -> None:
    """Fractions of every layer (rows, in order of calls) by irrep (columns), log colour scale, residual on the right.

    Labels of the ``target`` are framed in the row of the output.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    names, labels = list(spectrum), list(spectrum.labels)
    residuals = spectrum.residuals.to(spectrum.fractions)
    values = torch.cat([spectrum.fractions, residuals.abs()[:, None]], 1)
    gap = torch.full((len(names), 1), float("nan"), dtype=values.dtype)
    shown = torch.cat([values[:, :-1], gap, values[:, -1:]], 1)
    picture = axis.imshow(
        shown.clamp(min=FAINTEST).tolist(), norm=LogNorm(FAINTEST, 1.0), cmap="Blues", aspect="auto", origin="upper"
    )
    _columns(axis, spectrum, len(labels))
    every = -(-len(names) // MOST_NAMES)
    axis.set_yticks(range(0, len(names), every), distinct(names)[::every])
    axis.tick_params(axis="y", labelsize=_size(len(names)))
    if values.numel() <= MOST_NUMBERS:
        _numbers(axis, shown)
    rows = [i for i, name in enumerate(names) if name == spectrum.output.name]
    for label in target:
        for row in rows:
            axis.add_patch(
                Rectangle((labels.index(label) - 0.48, row - 0.46), 0.96, 0.92, fill=False, lw=1.6, ec="#d1662b")
            )
    bar = axis.figure.colorbar(picture, ax=axis, pad=0.02, fraction=0.045)
    bar.set_label("fraction of E|u|²", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    axis.set_title("Where the energy of each layer lies", fontsize=10, color=INK, loc="left")


def plot_spectrum(spectrum: Spectrum, *, target: tuple[Any, ...] = ()) -> Any:
    """The heat map as a figure that grows with layers and irreps."""
    from matplotlib.figure import Figure

    width = min(16.0, 3.6 + 0.62 * (len(spectrum.labels) + 2))
    height = min(22.0, 1.6 + 0.3 * len(spectrum))
    figure = Figure(figsize=(width, height), layout="constrained")
    draw_spectrum(figure.add_subplot(), spectrum, target=target)
    return figure


def _columns(axis: Any, spectrum: Spectrum, count: int) -> None:
    names = [drawn(label, spectrum.group) for label in spectrum.labels]
    longest = max(len(name) for name in names)
    axis.set_xticks([*range(count), count + 1], [*names, "residual"])
    tidy(axis)
    axis.spines[:].set_visible(False)
    axis.tick_params(axis="both", length=0)
    crowded = count > 24 or (count > 10 and longest > 3)
    axis.tick_params(axis="x", labelsize=7 if count > 12 else 8, labelrotation=90 if crowded else 0)
    if not crowded and count < 24:  # the last name is longer than a column
        axis.get_xticklabels()[-1].set_ha("center")
    kind = "(l, σ)" if isinstance(spectrum.group, Orthogonal) else "irreducible representation"
    axis.set_xlabel(f"{kind} of {spectrum.group!r}", fontsize=9)


def _numbers(axis: Any, shown: torch.Tensor) -> None:
    columns = shown.shape[1]
    for row, line in enumerate(shown.tolist()):
        for column, value in enumerate(line):
            if value == value:
                axis.text(
                    column,
                    row,
                    _text(value),
                    ha="center",
                    va="center",
                    fontsize=7 if columns <= 12 and len(shown) <= 24 else 5.5,
                    color="white" if value > 0.03 else INK,
                )


def _text(value: float) -> str:
    if value < 1e-12:
        return "0"
    if value >= 0.9995:
        return "1"
    return f"{value:.2g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def _size(rows: int) -> float:
    return 8.0 if rows <= 24 else max(4.0, 200 / rows)
