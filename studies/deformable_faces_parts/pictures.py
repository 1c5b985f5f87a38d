"""Pictures of the study: measures by map, faces with their partners, and the trap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deformable_faces_parts.evaluation import MAPS
from deformable_faces_parts.tables import by_fold
from scipy import stats
from torch import Tensor

from pyro_symvi._figures import INK, METHODS, save_figure, tidy
from pyro_symvi.deformable import bilateral, midline, partners, symmetrized_image
from pyro_symvi.deformable.pictures import draw_flip_energy
from pyro_symvi.deformable.pictures._frames import frame_colours
from pyro_symvi.deformable.pictures._panels import in_pixels, panels

POINTS = [(-0.36, -0.34), (-0.2, -0.34), (-0.55, -0.1), (-0.25, 0.45), (-0.15, 0.12), (-0.5, 0.4), (-0.4, -0.62)]
"""About the left eye, cheek, mouth, nose, jaw and brow of a face that looks straight ahead."""
PANELS = (
    ("cycle", "cycle error (%)", None),
    ("flip", "flip consistency (%)", None),
    ("follows", "follows a warp (%)", "mirror follows"),
    ("alike", "alike at partners", "alike, mirror"),
)


def measures(cells: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel a measure: dots are folds, bars means with t intervals, the line what the mirror image has."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.4, 2.5), layout="constrained")
    for k, (axis, (measure, title, level)) in enumerate(zip(figure.subplots(1, len(PANELS)), PANELS, strict=True)):
        for row, name in enumerate(MAPS):
            values = by_fold(cells, name, measure)
            axis.scatter(values, np.full(len(values), row), s=9, color=METHODS[row], alpha=0.5, linewidths=0)
            half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
            axis.errorbar(values.mean(), row + 0.22, xerr=half, fmt="o", ms=4, color=METHODS[row], capsize=2)
        if level is not None:
            axis.axvline(by_fold(cells, "symmetric", level).mean(), color="#999999", lw=1, ls="--", zorder=0)
        axis.set_yticks(range(len(MAPS)), MAPS if k == 0 else [""] * len(MAPS))
        axis.set_ylim(len(MAPS) - 0.4, -0.5)
        axis.set_title(title, fontsize=9, color=INK)
        if measure != "alike":
            axis.set_xlim(0, None)
        tidy(axis)
    save_figure(figure, path)


def faces(shown: dict[str, Any], path: Path) -> None:
    """Test faces; partners with and without the symmetric loss; frames as colours; midlines; means with partners."""
    images, frames, plain = (torch.tensor(shown[name]) for name in ("images", "symmetric", "plain"))
    reflection = torch.tensor(shown["reflection"])
    symmetry = bilateral()
    even = symmetrized_image(images, frames, symmetry)
    mirror = (images + images.flip(-1)) / 2
    rows = [
        ("face", images), ("with L_sym", images), ("without", images), ("Procrustes", images),
        ("frame", frame_colours(frames, symmetry)), ("midline", images), ("mean, flip", mirror), ("mean, frame", even),
    ]  # fmt: skip
    figure, axes = panels(rows, side=1.1)
    start = torch.tensor(POINTS).expand(len(images), -1, 2)
    maps = {1: (frames, None), 2: (plain, None), 3: (plain, reflection)}
    for row, (used, matrix) in maps.items():
        found = partners(used, symmetry, matrix=matrix, points=start)
        for axis, one, other in zip(axes[row], start, found, strict=True):
            joined(axis, one, other, images)
    line = midline(frames, symmetry)
    for axis, points, sure in zip(axes[5], line.points, line.confidence, strict=True):
        there = in_pixels(points, images)
        axis.scatter(there[:, 0], there[:, 1], s=10, color=METHODS[1], alpha=sure.clamp(0, 1).double().numpy())
    save_figure(figure, path)


def joined(axis: Any, start: Tensor, end: Tensor, images: Tensor) -> None:
    """Lines from points to their partners."""
    one, other = in_pixels(start, images), in_pixels(end, images)
    for k, (a, b) in enumerate(zip(one, other, strict=True)):
        colour = METHODS[k % len(METHODS)] if k else "#ffffff"
        axis.plot([a[0], b[0]], [a[1], b[1]], color=colour, lw=0.8)
        axis.plot(*a, "o", ms=2.5, color=colour)
        axis.plot(*b, "s", ms=2.5, color=colour)


def trap(energies: dict[str, Tensor], path: Path) -> None:
    """Flip-odd energies of faces, of other images and of their means."""
    save_figure(draw_flip_energy(energies, heading="A flip does not find the symmetry of faces"), path)
