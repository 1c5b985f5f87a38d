"""What the runs say: means over seeds with intervals, and the comparisons named beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
from bnn_parts.cells import out_of
from rescaling_parts.intervals import holm, paired

Cells = Sequence[dict[str, Any]]
Read = Callable[[dict[str, Any]], float]

FIGURE_ARMS = ("symmetric", "plain", "mirrored", "wrong")
RELAXATIONS = ("none", "softmin", "min")
LEARNT = 20.0
"""A flower whose next petal is found with less error than this, in % of the width, has learnt its petals."""


def chosen(cells: Cells, **wanted: object) -> list[dict[str, Any]]:
    """The cells of these options, by seed."""
    found = [cell for cell in cells if all(cell["option"].get(name) == value for name, value in wanted.items())]
    return sorted(found, key=lambda cell: cell["option"]["seed"])


def figure_report(cells: Cells, articulation: float) -> str:
    """Left-right errors of the two-arm figure."""
    lines = [
        f"Two-arm figure, articulation {articulation:g}: left-right error in % of the width, mean [95 % t interval]",
        f"  {'':34}{'error':>22}{'trunk':>8}{'arms':>8}{'PCK 5 %':>9}{'PCK 10 %':>9}{'residual':>10}{'loss':>8}",
    ]
    rows: list[tuple[str, str, Read | None]] = [
        ("symmetric loss", "symmetric", None),
        ("without it, as found", "plain", None),
        ("without it, any gauge", "plain", lambda cell: cell["any gauge"]),
        ("without it + Procrustes", "plain", lambda cell: cell["procrustes"]),
        ("without it + any orthogonal map", "plain", lambda cell: cell["any map"]),
        ("without it, mirrored images too,", "mirrored", lambda cell: cell["any gauge"]),
        ("  any gauge; the same + Procrustes", "mirrored", lambda cell: cell["procrustes"]),
        ("wrong group (half turn)", "wrong", None),
    ]
    for words, arm, read in rows:
        group = chosen(cells, arm=arm, articulation=articulation)
        if not group:
            continue
        line = f"  {words:34}{spread([(read or _mean)(cell) for cell in group]):>22}"
        if read is None:
            line += "".join(f"{_average(group, name):8.1f}" for name in ("trunk", "arms"))
            line += "".join(f"{_average(group, name):9.0f}" for name in ("pck5", "pck10"))
            line += f"{_average(group, 'residual'):10.2f}{_average(group, 'loss'):8.2f}"
        lines.append(line)
    group = chosen(cells, articulation=articulation)
    return "\n".join([*lines, "  " + _levels(group)])


def flower_report(cells: Cells) -> str:
    """Errors of the next petal."""
    petals = cells[0]["option"]["petals"]
    lines = [
        f"Flower of {petals} petals, turned any way: place of the next petal, error in % of the width",
        f"  {'relaxation':12}{'as found':>24}{'fitted to the truth':>24}{'warped copy':>24}"
        f"{'PCK 10 %':>9}{'loss':>8}{'learnt':>10}{'fitted':>10}",
    ]
    for name in RELAXATIONS:
        group = chosen(cells, relaxation=name)
        columns = [spread([cell[key] for cell in group]) for key in ("mean", "fitted", "warped")]
        lines.append(
            f"  {name:12}" + "".join(f"{column:>24}" for column in columns)
            + f"{_average(group, 'pck10'):9.0f}{_average(group, 'loss'):8.2f}"
            + f"{out_of(_learnt(group, 'mean'), len(group)):>10}{out_of(_learnt(group, 'fitted'), len(group)):>10}"
        )  # fmt: skip
    return "\n".join([*lines, "  " + _levels(cells)])


def primary(figures: Cells, flowers: Cells, calm: float) -> tuple[list[tuple[str, Any]], list[float]]:
    """The primary comparisons, of logarithms of errors paired over seeds, and their p values by Holm."""
    symmetric = _logs(chosen(figures, arm="symmetric", articulation=calm))
    plain = chosen(figures, arm="plain", articulation=calm)
    relaxed = {name: chosen(flowers, relaxation=name) for name in RELAXATIONS}
    stalled = _logs(relaxed["none"], lambda cell: cell["fitted"])
    pairs = [
        ("symmetric / without it, any gauge", symmetric, _logs(plain, lambda cell: cell["any gauge"])),
        ("symmetric / without it + Procrustes", symmetric, _logs(plain, lambda cell: cell["procrustes"])),
        ("wrong group / symmetric", _logs(chosen(figures, arm="wrong", articulation=calm)), symmetric),
        ("flower: softmin / none, fitted", _logs(relaxed["softmin"], lambda cell: cell["fitted"]), stalled),
        ("flower: min / none, fitted", _logs(relaxed["min"], lambda cell: cell["fitted"]), stalled),
    ]
    found = [(words, paired(one, other)) for words, one, other in pairs]
    return found, list(holm([one.p for _, one in found]))


def comparisons(figures: Cells, flowers: Cells, calm: float) -> str:
    """Ratios of errors."""
    found, adjusted = primary(figures, flowers, calm)
    lines = [f"Primary comparisons, ratios of errors paired over {found[0][1].seeds} seeds: t and bootstrap intervals"]
    for (words, one), p in zip(found, adjusted, strict=True):
        ratio, student, bootstrap = one.ratio()
        lines.append(
            f"  {words:38}{ratio:7.3f}  [{student[0]:.3f}, {student[1]:.3f}]  "
            f"[{bootstrap[0]:.3f}, {bootstrap[1]:.3f}]  p {p:.2g} (Holm)"
        )
    return "\n".join(lines)


def verdicts(figures: Cells, flowers: Cells, calm: float) -> str:
    """The thresholds set before the study, met or not."""
    mean = {arm: _average(chosen(figures, arm=arm, articulation=calm), "mean") for arm in FIGURE_ARMS}
    plain = chosen(figures, arm="plain", articulation=calm)
    gauge, fitted = _average(plain, "any gauge"), _average(plain, "procrustes")
    symmetric = chosen(figures, arm="symmetric", articulation=calm)
    beyond = [one["mean"] - other["procrustes"] for one, other in zip(symmetric, plain, strict=True)]
    t = paired([b for b in beyond], [0.0] * len(beyond)).student
    adjusted = primary(figures, flowers, calm)[1][1]
    learnt = {(name, key): _learnt(chosen(flowers, relaxation=name), key) for name in RELAXATIONS
              for key in ("mean", "fitted")}  # fmt: skip
    count = len(symmetric)
    lines = ["Thresholds of the plan"]
    for words, met, numbers in (
        ("error with the symmetric loss at most 3 %", mean["symmetric"] <= 3, f"{mean['symmetric']:.2f}"),
        ("at least 3 times below without it", gauge >= 3 * mean["symmetric"], f"{gauge / mean['symmetric']:.1f} times"),
        ("better than Procrustes beyond the seeds", adjusted < 0.05,
         f"{mean['symmetric']:.2f} against {fitted:.2f}, difference {t[0]:.2f} to {t[1]:.2f}, p {adjusted:.2g} (Holm)"),
        ("wrong group visibly worse", mean["wrong"] > 1.5 * mean["symmetric"], f"{mean['wrong']:.2f}"),
        ("flower: min and softmin learn on all seeds", min(learnt["softmin", "mean"], learnt["min", "mean"]) == count,
         ", ".join(f"{name} {learnt[name, 'mean']} of {count}" for name in ("softmin", "min"))),
        ("flower: none stalls on all seeds", learnt["none", "fitted"] == 0,
         f"as found {learnt['none', 'mean']} of {count} learnt, fitted to the truth {learnt['none', 'fitted']}"),
    ):  # fmt: skip
        lines.append(f"  {words:44}{'met' if met else 'not met':10}{numbers}")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Mean and 95 % t interval."""
    from scipy import stats

    found = numpy.asarray(values, dtype=numpy.float64)
    if len(found) < 2:
        return f"{found.mean():.2f}"
    half = stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / math.sqrt(len(found))
    return f"{found.mean():.2f} [{found.mean() - half:.2f}, {found.mean() + half:.2f}]"


def _levels(cells: Cells) -> str:
    parts = [("untrained network", "untrained"), ("places drawn at random", "chance"),
             ("collapse, 0.5214 of the side", "collapsed")]  # fmt: skip
    return "levels: " + ", ".join(f"{words} {_average(cells, name):.1f}" for words, name in parts)


def _learnt(cells: Cells, name: str) -> int:
    return sum(cell[name] < LEARNT for cell in cells)


def _mean(cell: dict[str, Any]) -> float:
    return float(cell["mean"])


def _average(cells: Cells, name: str) -> float:
    return float(numpy.mean([cell[name] for cell in cells]))


def _logs(cells: Cells, read: Read = _mean) -> list[float]:
    return [math.log(read(cell)) for cell in cells]
