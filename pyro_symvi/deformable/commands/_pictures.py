"""The pictures of ``deformable show``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from .. import readouts
from .._points import shown_cells
from ..pictures import draw_correspondences, draw_frames, draw_midline, draw_symmetrized, grid_of_points
from ..report import FrameReport
from ..training import FrameModel

_POINTS = 26
_BETWEEN = 30


def drawn(
    model: FrameModel, images: Tensor, mask: Tensor | None, titles: Sequence[str], report: FrameReport
) -> Iterator[tuple[str, str, str, Any]]:
    """Name of the file, heading, words and figure of each picture that the model's symmetry has."""
    frames = model.frames(images)
    symmetry, element = model.symmetry, report.element
    warning = "" if report.verdict.learnt else "NOTHING WAS LEARNT that these pictures could show.\n"
    yield (
        "frames",
        "Frames as colours",
        f"{warning}The same colour is meant to be the same place on the object, in all images.",
        draw_frames(images, frames, symmetry, mask=mask, titles=titles),
    )
    if len(images) > 1:
        order = [*range(1, len(images)), 0]
        starts = grid_of_points(_BETWEEN, images, mask)
        yield (
            "matches",
            "The same places in another image",
            f"{warning}Points of an image, and where the frame finds them in the next one. Equal colours belong "
            "together.",
            draw_correspondences(
                images,
                starts,
                readouts.match(frames, frames[order], points=starts),
                seconds=images[order],
                titles=titles,
                names=("image", "the next"),
            ),
        )
    if symmetry is None or symmetry.order < 2:
        return
    moved = report.from_mirror is not None
    starts = grid_of_points(_POINTS, images, mask, half=moved)
    yield (
        "partners",
        "Partners inside each image",
        f"{warning}A dot and the ring it is joined to: the place and its partner under element {element} of the "
        "symmetry. For two sides: left eye and right eye.",
        draw_correspondences(
            images, starts, readouts.partners(frames, symmetry, element, points=starts), titles=titles
        ),
    )
    if moved:
        cells = None if mask is None else shown_cells(mask, *frames.shape[-2:])
        line = readouts.midline(frames, symmetry, element, mask=cells)
        axis = readouts.symmetry_axis(frames, symmetry, element, mask=cells, size=(images.shape[-2], images.shape[-1]))
        yield (
            "midline",
            "Midlines",
            f"{warning}Dots: where the frame is its own mirror image (faint ones jump from side to side). Line: the "
            "straight one that fits them best.",
            draw_midline(images, line.points, line.confidence, axes=axis.ends(0.5), titles=titles),
        )
    yield (
        "symmetrized",
        "Symmetrised images",
        f"{warning}Each image, its mean with its mirror image, and its mean with what the frame calls the other sides: "
        "in the same pose, with the appearance of all sides on each.",
        draw_symmetrized(
            images,
            readouts.symmetrized_image(images, frames, symmetry, tolerance=images.shape[-1] / 8, mask=mask),
            titles=titles,
        ),
    )
