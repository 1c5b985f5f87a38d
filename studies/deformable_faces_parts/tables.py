"""Tables of the study: means over folds with t intervals, comparisons named before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from deformable_faces_parts.evaluation import MAPS
from deformable_faces_parts.landmarks import NAMES
from rescaling_parts.intervals import Numbers, Paired, holm, paired
from scipy import stats

COLUMNS = ("cycle", "flip", "from mirror", "from itself", "matching", "moved", "follows", "mirror follows")
COMPARISONS = (
    ("symmetric", "follows", "symmetric", "mirror follows", "partners move with the face, unlike those of a flip (%)"),
    ("symmetric", "alike", "symmetric", "alike, swapped", "a face is more alike under its own map than under others'"),
    ("symmetric", "alike", "symmetric", "alike, mirror", "and than under the mirror image of the picture"),
    ("symmetric", "flip", "plain + Procrustes", "flip", "flip consistency with L_sym against Procrustes (%)"),
)
"""Named before the run: map and measure against map and measure."""


def by_fold(cells: Sequence[dict[str, Any]], name: str, measure: str) -> Numbers:
    """Mean over the test faces of each fold."""
    return np.array([np.nanmean(cell["maps"][name][measure]) for cell in cells])


def interval(values: Numbers, digits: int = 1) -> str:
    """Mean and half of the 95 % interval of the t distribution, over folds."""
    if len(values) < 2 or not np.isfinite(values).all():
        return f"{values.mean():.{digits}f}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return f"{values.mean():.{digits}f} +- {half:.{digits}f}"


def report(cells: Sequence[dict[str, Any]], training: Sequence[dict[str, Any]], energies: dict[str, Numbers]) -> str:
    lines = [
        "1. The trap: share of the energy that a flip changes the sign of, mean removed",
        "   " + "; ".join(f"{name}: median {np.median(values):.3f}" for name, values in energies.items()),
        f"   of a face and another image the face has the lower energy in {lower(energies):.0%} of pairs",
        "",
        "2. Partners on test faces: means over folds +- half of the 95 % t interval, distances in % of the side",
        "",
        f"{'':24}" + "".join(f"{name:>16}" for name in COLUMNS),
    ]
    for name in MAPS:
        lines.append(f"{name:24}" + "".join(f"{interval(by_fold(cells, name, one)):>16}" for one in COLUMNS))
    lines += ["", f"{'':24}" + "".join(f"{one:>18}" for one in (*ALIKE, "residual / chance"))]
    for name in MAPS:
        words = [interval(by_fold(cells, name, one), 3) for one in ALIKE]
        words.append(interval(np.array([cell["residual"][name] for cell in cells]), 3))
        lines.append(f"{name:24}" + "".join(f"{word:>18}" for word in words))
    lines += ["", "   places drawn at random have an error of 52.1 % of the side", "", *comparisons(cells)]
    lines += ["", *others(cells), "", *losses(training)]
    if cells[0]["landmarks"]:
        lines += ["", *annotated(cells)]
    return "\n".join(lines)


ALIKE = ("alike", "alike, swapped", "alike, mirror")


def lower(energies: dict[str, Numbers]) -> float:
    faces, rest = energies["faces"], energies["others"]
    return float((faces[:, None] < rest).mean())


def comparisons(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Paired over folds."""
    found: list[Paired] = [
        paired(by_fold(cells, one, first), by_fold(cells, other, second))
        for one, first, other, second, _ in COMPARISONS
    ]
    adjusted = holm([each.p for each in found])
    lines = [
        "3. Comparisons named before the run, paired over folds (difference, 95 % t interval, bootstrap; p by Holm)"
    ]
    for (*_, words), each, p in zip(COMPARISONS, found, adjusted, strict=True):
        (a, b), (c, d) = each.student, each.bootstrap
        lines.append(f"   {words}: {each.mean:.3f} [{a:.3f}, {b:.3f}] [{c:.3f}, {d:.3f}], p = {p:.2g}")
    return lines


def others(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Does the frame of faces tell faces from other images?"""
    lines = ["4. The symmetric map on images that are no faces (not an aim, for comparison with the trap)"]
    for measure in ("cycle", "flip"):
        faces = np.array([cell["maps"]["symmetric"][measure] for cell in cells])
        rest = np.array([cell["others"][measure] for cell in cells])
        share = np.array([(one[:, None] < other).mean() for one, other in zip(faces, rest, strict=True)])
        lines.append(
            f"   {measure}: faces {interval(faces.mean(1))} %, others {interval(rest.mean(1))} %; a face is below "
            f"another image in {interval(100 * share, 0)} % of pairs"
        )
    return lines


def losses(training: Sequence[dict[str, Any]]) -> list[str]:
    lines = ["5. Training losses (mean square root of the distance in cells; last twentieth of the steps)"]
    for flip, name in ((0.5, "symmetric"), (0.0, "plain")):
        runs = [one for one in training if one["option"]["flip"] == flip]
        levels = {key: np.mean([one["levels"][key] for one in runs]) for key in runs[0]["levels"]}
        words = ", ".join(f"{key} {value:.2f}" for key, value in levels.items())
        lines.append(f"   {name}: {interval(np.array([one['loss'] for one in runs]), 3)}; blind frames: {words}")
    return lines


def annotated(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Errors on the four faces with landmarks, +- over networks."""
    lines = [
        "6. Four annotated faces, none of them trained on: distance of a landmark's partner from the landmark of the",
        "   other side, in % of the side of the crop, mean +- half of the t interval over the networks of the folds",
        f"{'':24}" + "".join(f"{name:>18}" for name in NAMES),
    ]
    for name in MAPS:
        rows = np.array([cell["landmarks"][name] for cell in cells])
        lines.append(f"{name:24}" + "".join(f"{interval(column):>18}" for column in rows.T))
    return lines
