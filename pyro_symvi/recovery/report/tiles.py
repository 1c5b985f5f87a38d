"""A matrix of verdicts as a picture: correlations, scatters and covariances."""

from __future__ import annotations

import math
from typing import Any

from ..verdicts import Verdict
from .certificate import Certificate
from .page import COLOURS

_MOST = 30
_NUMBERS = 16


def tile_figure(certificate: Certificate, statistic: str = "correlation") -> Any:
    """One tile a pair below the diagonal: the verdict as its colour, the fitted value in it.

    A second line gives the value that symmetry says is right, where that differs in the second digit. With more than 16
    coordinates tiles hold the verdict's initial instead. It needs no model: a certificate read from a file will do. At
    most 30 coordinates.

    Args:
        certificate: With a matrix statistic.
        statistic: Which.

    Returns:
        A matplotlib figure.

    Raises:
        ValueError: The statistic is no matrix.
        KeyError: It is not in the certificate.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle

    report = certificate[statistic]
    if len(report.shape) != 2:
        raise ValueError(
            f"expected a matrix statistic, got {statistic!r}, because tiles are pairs; try forest_figure(certificate)"
        )
    names = certificate.layout.coordinates[:_MOST]
    n, inch = len(names), 0.62 if len(names) <= _NUMBERS else 0.3
    diagonal = int(statistic == "covariance")
    figure = Figure(figsize=(2.6 + inch * n, 2.2 + inch * n), layout="constrained")
    axis = figure.subplots()
    shown: set[Verdict] = set()
    for i in range(n):
        for j in range(i + diagonal):
            entry = report.entries[i * report.shape[1] + j]
            shown.add(entry.verdict)
            ink, paper = COLOURS[entry.verdict.name]
            fill = ink if entry.verdict is Verdict.PROVED else paper
            axis.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=fill, edgecolor="white", lw=1.5))
            colour = "white" if entry.verdict is Verdict.PROVED else ink
            if n > _NUMBERS:
                axis.text(j, i, entry.verdict.name[0], ha="center", va="center", fontsize=6, color=colour)
            elif not math.isnan(entry.value):
                text = f"{entry.value + 0.0 if abs(entry.value) >= 5e-3 else 0.0:.2f}"
                if math.isfinite(entry.exact) and abs(entry.exact - entry.value) >= 5e-3:
                    text += f"\n({entry.exact:.2f})"
                axis.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    axis.set_xlim(-0.5, n - 1.5 + diagonal if n > 1 else 0.5)
    axis.set_ylim(n - 0.5, 0.5 - diagonal)
    axis.set_xticks(range(max(n - 1 + diagonal, 1)), names[: max(n - 1 + diagonal, 1)], rotation=90, fontsize=8)
    axis.set_yticks(range(1 - diagonal, n), names[1 - diagonal :], fontsize=8)
    axis.set_aspect("equal")
    axis.tick_params(length=0)
    for side in axis.spines.values():
        side.set_visible(False)
    axis.set_title(f"Which fitted {statistic}s are right?", fontsize=11, loc="left")
    handles = []
    for verdict in Verdict:
        if verdict in shown:
            ink, paper = COLOURS[verdict.name]
            face = ink if verdict is Verdict.PROVED else paper
            handles.append(Patch(facecolor=face, edgecolor=ink, label=verdict.name))
    note = "number: fitted; in brackets: what symmetry says, where it differs"
    if n > _NUMBERS:
        note = "letter: the verdict's initial"
    handles.append(Patch(facecolor="none", edgecolor="none", label=note))
    figure.legend(handles=handles, loc="outside lower center", ncols=1, frameon=False, fontsize=8)
    return figure
