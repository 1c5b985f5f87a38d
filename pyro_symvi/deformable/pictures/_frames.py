"""Frames as colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .._points import shown_cells
from ..symmetry import FrameSymmetry
from ._panels import SIDE, as_shown, check_images, panels

_SHARE = 0.98
_BACKGROUND = 0.93


def draw_frames(
    images: Tensor,
    frames: Tensor,
    symmetry: FrameSymmetry | None = None,
    *,
    mask: Tensor | None = None,
    titles: Sequence[str] | None = None,
    heading: str = "",
    side: float = SIDE,
) -> Any:
    """Images, and below each its frame as colours: equal colours are equal places of the object.

    Args:
        images: ``[N, C, H, W]`` in [0, 1], or bytes.
        frames: ``[N, D, h, w]``; nan is left light.
        symmetry: of the frames. Coordinates that it moves are coloured by their distance from 0, so that the two sides
            of an object have opposite colours and its middle is in between.
        mask: bool ``[N, H, W]``, what of the images counts; the rest is left light.
        titles: above the images.
        heading: above all.
        side: inches of the longer side of an image.

    Returns:
        A matplotlib figure (not shown; ``save_figure(figure, path)`` writes it).

    Raises:
        ValueError: for shapes that do not belong together.
    """
    images = as_shown(images)
    check_images(images)
    if frames.ndim != 4 or len(frames) != len(images):
        raise ValueError(f"expected frames [{len(images)}, D, h, w], got {list(frames.shape)}")
    coloured = frame_colours(frames, symmetry)
    if mask is not None:
        if tuple(mask.shape) != (len(images), *images.shape[-2:]):
            raise ValueError(f"expected a mask {[len(images), *images.shape[-2:]]}, got {list(mask.shape)}")
        there = shown_cells(mask, *coloured.shape[-2:]).to(coloured.device)
        coloured = torch.where(there[:, None], coloured, _BACKGROUND)
    return panels([("image", images), ("frame", coloured)], titles=titles, heading=heading, side=side)[0]


def frame_colours(frames: Tensor, symmetry: FrameSymmetry | None = None) -> Tensor:
    """Colours ``[N, 3, h, w]`` in [0, 1] of frames ``[N, D, h, w]``, one map for all of them.

    The three coordinates are red, green and blue; of another number of them the three principal components. Each is
    scaled so that all but two in a hundred values fill [0, 1]; the part that ``symmetry`` moves has 0 in the middle.
    Frames that are the same everywhere come out grey.

    Raises:
        ValueError: for frames of another dimension than the symmetry's.
    """
    if symmetry is not None and symmetry.dim != frames.shape[1]:
        raise ValueError(
            f"expected frames of dimension {symmetry.dim}, got {frames.shape[1]}, because {symmetry!r} acts on them"
        )
    values = frames.detach().double().mT.transpose(1, 3).reshape(-1, frames.shape[1])  # any order of places will do
    known = ~torch.isnan(values).any(-1)
    centre = values[known].median(0).values if bool(known.any()) else values.new_zeros(values.shape[-1])
    if symmetry is not None:
        centre = symmetry.frame_matrices().to(values).mean(0) @ centre  # onto what the symmetry fixes
    basis = _principal(values[known] - centre) if values.shape[-1] != 3 else torch.eye(3, dtype=torch.float64)
    turned = torch.einsum("ndhw,dk->nkhw", frames.detach().double() - centre.to(frames.device)[:, None, None], basis)
    size = torch.einsum("pd,dk->pk", values[known] - centre, basis).abs()
    scale = size.quantile(_SHARE, 0) if len(size) else size.new_ones(3)
    floor = 1e-6 * values[known].abs().amax() if len(size) else 1.0
    found = 0.5 + 0.5 * turned / scale.clamp_min(float(floor) + 1e-300)[:, None, None]
    return torch.where(torch.isnan(found), _BACKGROUND, found.clamp(0, 1))


def _principal(values: Tensor) -> Tensor:
    """The three directions ``[D, 3]`` of greatest spread about 0; zeros where D = 2 has no third."""
    dim = values.shape[-1]
    _, vectors = torch.linalg.eigh(values.mT @ values / max(1, len(values)))
    found = values.new_zeros(dim, 3)
    found[:, : min(3, dim)] = vectors.flip(-1)[:, :3]
    return found
