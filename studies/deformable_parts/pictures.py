"""Errors of all runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyro_symvi._figures import INK, METHODS, save_figure, tidy

from .tables import RELAXATIONS, Cells, Read, chosen


def errors(figures: Cells, flowers: Cells, calm: float, full: float, path: Path) -> None:
    """A point for each seed: left-right errors of the figure, errors of the next petal."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(8.6, 3.4), layout="constrained")
    axes = made.subplots(1, 2)
    rows: list[tuple[str, str, Read]] = [
        ("symmetric loss", "symmetric", lambda cell: cell["mean"]),
        ("without, any gauge", "plain", lambda cell: cell["any gauge"]),
        ("without + Procrustes", "plain", lambda cell: cell["procrustes"]),
        ("mirrored + Procrustes", "mirrored", lambda cell: cell["procrustes"]),
        ("wrong group", "wrong", lambda cell: cell["mean"]),
    ]
    shown = [(words, [read(cell) for cell in chosen(figures, arm=arm, articulation=calm)]) for words, arm, read in rows]
    shown.append(
        (f"symmetric, articulation {full:g}", [c["mean"] for c in chosen(figures, arm="symmetric", articulation=full)])
    )
    _points(axes[0], shown)
    axes[0].axvline(3, color=INK, linewidth=0.8, linestyle=":")
    axes[0].set_title(f"two-arm figure, articulation {calm:g}", fontsize=10, loc="left")
    shown = [
        (f"{name}{words}", [cell[key] for cell in chosen(flowers, relaxation=name)])
        for name in RELAXATIONS
        for key, words in (("fitted", ", fitted to the truth"), ("warped", ", warped copy"))
    ]
    _points(axes[-1], shown)
    axes[-1].set_title("flower, place of the next petal", fontsize=10, loc="left")
    save_figure(made, path)


def _points(axis: Any, shown: list[tuple[str, list[float]]]) -> None:
    for row, (_, values) in enumerate(shown):
        axis.plot(values, [row] * len(values), "o", color=METHODS[row % len(METHODS)], alpha=0.7, markersize=5)
    axis.set_yticks(range(len(shown)), [words for words, _ in shown], fontsize=8)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlim(1.5, 80)
    axis.set_xticks([2, 3, 5, 10, 20, 50], ["2", "3", "5", "10", "20", "50"])
    axis.minorticks_off()
    axis.set_xlabel("error (% of the width)", fontsize=9)
    tidy(axis)
