"""The figures of a frame on images without known correspondences."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._points import grid_points, half_sizes, shown_cells
from ..networks._frames import image_values
from ..readouts import cycle_error, flip_consistency, partners
from ..symmetry import consistency_residual
from ..symmetry._frame_symmetry import moved_image
from ..training import FrameModel
from ._matching import Matching, matching, shuffled
from ._verdict import FrameVerdict, verdict_of

_NOISE = 32
"""Most images that are made noise of, to see whether a frame follows the edges of pictures."""


@dataclass(frozen=True)
class FrameReport:
    """What a frame does on N images; errors in pixels, a number for each image.

    Attributes:
        verdict: what may be said.
        size: height and width of the images.
        count: number of images.
        still: errors of finding places again in warped images.
        moved: the same in warped images that the symmetry has moved; None where it moves none.
        cycle: distance of a place from the partner of its partner, ``[N]``; None without symmetry.
        flip: distance between partners in an image and in the moved image, ``[N]``; None where none is moved.
        from_self: distance of partners from the place itself, ``[N]``; None without symmetry.
        from_mirror: distance of partners from the mirror image of the place, ``[N]``; None where images are not moved.
        residual: |R Phi(u; I) - Phi(M u; M I)| over the same at independent places: 0 for a symmetric frame, 1 for
            one without; None where images are not moved.
        element: number of the element that partners are taken under.
    """

    verdict: FrameVerdict
    size: tuple[int, int]
    count: int
    still: Matching
    moved: Matching | None
    cycle: Tensor | None
    flip: Tensor | None
    from_self: Tensor | None
    from_mirror: Tensor | None
    residual: float | None
    element: int

    def rows(self) -> list[tuple[str, Tensor, str]]:
        """Name, a number for each image, and what it tells, for each measured thing in pixels."""
        rows = []
        for matched, where in ((self.still, "warped image"), (self.moved, "warped mirror image")):
            if matched is None:
                continue
            rows.append((f"places found in a {where}", matched.frame, "error of this frame"))
            rows.append(("  by the place in the picture", matched.position, "a frame that ignores the object"))
            if matched.middle is not None:
                rows.append(("  in the middle of the object", matched.middle, "one that knows where the object is"))
            if matched.other is not None:
                rows.append(("  with another element", matched.other, "places that are their own partners: no more"))
            if matched.untrained is not None:
                rows.append(("  by an untrained network", matched.untrained, "the same layers, new weights"))
            rows.append(("  by chance", matched.chance, "collapsed frames are here"))
        rows += [
            (name, values, meaning)
            for name, values, meaning in (
                ("cycle error", self.cycle, "partner of the partner; 0 also for trivial frames"),
                ("flip consistency", self.flip, "partners in the mirror image; 0 also for trivial frames"),
                ("partners from the place itself", self.from_self, "0: everything is its own partner"),
                ("partners from the mirrored place", self.from_mirror, "0: partners are mirror images of the picture"),
            )
            if values is not None
        ]
        return rows

    def to_text(self) -> str:
        """The verdict and a table of means, standard errors over images, and what they tell."""
        side = self.size[1]
        lines = [textwrap.fill(self.verdict.sentence, 100), "", f"{'':36s}{'pixels':>8s}{'+-':>7s}{'% width':>9s}"]
        for name, values, meaning in self.rows():
            mean, error = _mean(values)
            shown = "-" if math.isnan(error) else f"{error:.2f}"
            lines.append(f"{name:36s}{mean:8.2f}{shown:>7s}{100 * mean / side:9.1f}  {meaning}")
        for name, matched in (("motion followed", self.still), ("  in mirror images", self.moved)):
            if matched is not None:
                mean, error = _mean(matched.followed)
                shown = "-" if math.isnan(error) else f"{error:.2f}"
                lines.append(
                    f"{name:36s}{mean:8.2f}{shown:>7s}{'':9s}  1: knows the object, 0: the place in the picture"
                )
        if self.residual is not None:
            lines.append(f"{'residual of the symmetry / chance':36s}{self.residual:8.2f}{'':16s}  0: symmetric, 1: not")
        lines.append("")
        lines.append(
            f"{self.count} images of {self.size[0]} x {self.size[1]} pixels; +- is a standard error over images."
        )
        lines.append("Whether partners are the right ones cannot be measured without known correspondences: see the")
        lines.append("pictures.")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: the verdict, and for each measured thing its mean and standard error in pixels."""
        named: dict[str, Tensor | None] = {
            "cycle_error": self.cycle,
            "flip_consistency": self.flip,
            "partners_from_self": self.from_self,
            "partners_from_mirror": self.from_mirror,
        }
        for name, matched in (("warped", self.still), ("warped_mirror", self.moved)):
            for field in ("frame", "position", "middle", "other", "untrained", "chance"):
                named[f"{name}_{field}"] = None if matched is None else getattr(matched, field)
        return {
            "verdict": self.verdict.name,
            "sentence": self.verdict.sentence,
            "images": self.count,
            "size": list(self.size),
            "pixels": {name: None if v is None else _plain(v) for name, v in named.items()},
            "followed": {
                name: None if matched is None else _plain(matched.followed)
                for name, matched in (("warped", self.still), ("warped_mirror", self.moved))
            },
            "residual": self.residual,
        }

    def __str__(self) -> str:
        return self.to_text()


@torch.no_grad()
def report_frame(
    model: FrameModel,
    images: Tensor,
    *,
    mask: Tensor | None = None,
    element: int | None = None,
    pairs: int = 64,
    generator: torch.Generator | None = None,
) -> FrameReport:
    """Measure a trained frame on images, best on others than it was trained on, and say what was seen.

    Args:
        model: what ``train_frame`` gave.
        images: ``[N, C, H, W]``, bytes or floats in [0, 1].
        mask: of the object, bool ``[N, H, W]``.
        element: number of the element to take partners under; None for the first that moves images, else 1.
        pairs: least number of warped pairs to measure with; each image has one at least.
        generator: of the warps; None for one seeded by 0.

    Raises:
        ValueError: for images of other shapes than the network takes.
    """
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    images = image_values(images)
    size = (images.shape[-2], images.shape[-1])
    symmetry = model.symmetry
    moves = symmetry is not None and symmetry.moves_images
    still = matching(model, images, mask, generator, pairs, moved=False)
    moved = matching(model, images, mask, generator, pairs, moved=True) if moves else None
    noise = matching(model, shuffled(images[:_NOISE]), None, torch.Generator().manual_seed(1), pairs, moved=False)
    verdict = verdict_of(still, moved, noise)
    if symmetry is None or symmetry.order < 2:
        return FrameReport(verdict, size, len(images), still, moved, *(None,) * 5, element=0)
    if element is None:
        element = main_element(model)
    frames = model.frames(images)
    cells, weight = _cells(frames, mask)
    found = partners(frames, symmetry, element, points=cells)
    unit = half_sizes(*size, like=frames)

    def apart(places: Tensor) -> Tensor:
        return (((found - places) * unit).norm(dim=-1) * weight).sum(-1) / weight.sum(-1)

    cycle = cycle_error(frames, symmetry, element, weight=weight, size=size).pixels
    flip = from_mirror = residual = None
    matrix = symmetry.image_matrices(like=frames)[element]
    if not torch.equal(matrix, torch.eye(2).to(matrix)):
        number = torch.full((len(images),), element)
        other = model.frames(symmetry.on_images(number, images))
        flip = flip_consistency(frames, other, symmetry, element, weight=weight, size=size).pixels
        from_mirror = apart(cells @ matrix.mT)
        residual = consistency_residual(frames, moved_image(matrix.mT, other), symmetry, weight, element).relative
    return FrameReport(
        verdict, size, len(images), still, moved, cycle, flip, apart(cells), from_mirror, residual, element
    )


def main_element(model: FrameModel) -> int:
    """The first element that moves images, else 1; 0 without symmetry."""
    if model.symmetry is None or model.symmetry.order < 2:
        return 0
    moving = (model.symmetry.image_matrices() != torch.eye(2, dtype=torch.float64)).flatten(1).any(1)
    return int(moving.int().argmax()) if bool(moving.any()) else 1


def _cells(frames: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    height, width = frames.shape[-2:]
    cells = grid_points(height, width, like=frames).expand(len(frames), -1, 2)
    if mask is None:
        return cells, frames.new_ones(len(frames), height * width)
    return cells, shown_cells(mask, height, width).to(frames).flatten(1)


def _mean(values: Tensor) -> tuple[float, float]:
    values = values[~values.isnan()].double()
    count = len(values)
    return float(values.mean()), float(values.std()) / math.sqrt(count) if count > 1 else math.nan


def _plain(values: Tensor) -> dict[str, float | None]:
    return {
        name: number if math.isfinite(number) else None
        for name, number in zip(("mean", "standard_error"), _mean(values), strict=True)
    }
