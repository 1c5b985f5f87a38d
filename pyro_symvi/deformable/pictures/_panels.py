"""Rows of images side by side, and points on them: what the pictures of frames share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._figures import INK
from .._points import half_sizes

MOST = 40
"""So many images a picture holds."""
_ACROSS = 8
SIDE = 1.3
"""Inches of the longer side of an image."""


def panels(
    rows: Sequence[tuple[str, Tensor]], *, titles: Sequence[str] | None = None, heading: str = "", side: float = SIDE
) -> tuple[Any, list[list[Any]]]:
    """A figure in which image k of each row of images stands below image k of the row above.

    Long rows are broken into blocks. Images keep their shape, and points of the one convention of coordinates, times
    ``half_sizes``, are where they should be.

    Args:
        rows: names, and images ``[N, C, H, W]`` with C = 1 or 3 and values cut to [0, 1].
        titles: N short texts above the first row.
        heading: above all.
        side: inches of the longer side of a panel.

    Returns:
        The figure, and for each row its N axes.

    Raises:
        ValueError: for images of other shapes, none, or too many.
    """
    from matplotlib.figure import Figure

    for name, images in rows:
        check_images(images, name)
    count = len(rows[0][1])
    if any(len(images) != count for _, images in rows):
        raise ValueError(f"expected as many images in each row, got {[len(images) for _, images in rows]}")
    if titles is not None and len(titles) != count:
        raise ValueError(f"expected {count} titles, one an image, got {len(titles)}")
    across = min(count, _ACROSS)
    blocks = -(-count // across)
    height, width = rows[0][1].shape[-2:]
    scale = side / max(height, width)
    labelled = 0.35 if any(name for name, _ in rows) else 0.05
    figure = Figure(
        figsize=(
            max(across * (width * scale + 0.06) + labelled, 2.5),
            blocks * len(rows) * (height * scale + 0.08)
            + (0.25 * blocks if titles else 0)
            + (0.4 if heading else 0.05),
        ),
        layout="compressed",
    )
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    grid = figure.subplots(blocks * len(rows), across, squeeze=False)
    for axis in grid.ravel():
        axis.set_axis_off()
    found: list[list[Any]] = []
    for r, (name, images) in enumerate(rows):
        found.append([])
        for k in range(count):
            axis = grid[k // across * len(rows) + r, k % across]
            show_image(axis, images[k])
            if k % across == 0 and name:
                axis.text(-0.04, 0.5, name, transform=axis.transAxes, rotation=90, ha="right", va="center", fontsize=7,
                          color=INK)  # fmt: skip
            if r == 0 and titles is not None:
                axis.set_title(_short(titles[k]), fontsize=7, color=INK, pad=2)
            found[-1].append(axis)
    if heading:
        figure.suptitle(heading, fontsize=9, color=INK)
    return figure, found


def show_image(axis: Any, image: Tensor) -> None:
    """An image ``[C, H, W]`` whose middle is the origin, in pixels, y downwards."""
    height, width = image.shape[-2:]
    pixels = image.detach().double().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, -1)
    extent = (-width / 2, width / 2, height / 2, -height / 2)
    axis.imshow(pixels, extent=extent, interpolation="nearest")
    axis.set_xlim(extent[:2])
    axis.set_ylim(extent[2:])


def in_pixels(points: Tensor, images: Tensor) -> np.ndarray:
    """Points ``[..., 2]`` where ``show_image`` has them."""
    points = points.detach().double().cpu()
    return np.asarray((points * half_sizes(*images.shape[-2:], like=points)).numpy())


def check_images(images: Tensor, name: str = "images") -> None:
    """Refuse what cannot be shown."""
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        got = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"expected {name} [N, 3, H, W] or [N, 1, H, W], got {got}; try images[:8, :3]")
    if len(images) > MOST:
        raise ValueError(f"expected at most {MOST} {name}, got {len(images)}; try {name}[:{MOST}]")


def check_points(points: Tensor, images: Tensor, name: str) -> None:
    """Refuse points that are not some for each image."""
    if not isinstance(points, Tensor) or points.ndim != 3 or len(points) != len(images) or points.shape[-1] != 2:
        got = list(points.shape) if isinstance(points, Tensor) else type(points).__name__
        raise ValueError(f"expected {name} [{len(images)}, P, 2], got {got}")


def as_shown(images: Tensor) -> Tensor:
    """Bytes as values in [0, 1]; floats as they are."""
    return images if images.is_floating_point() else images.to(torch.float32) / 255


def _short(text: str, most: int = 16) -> str:
    return text if len(text) <= most else f"{text[: most - 7]}...{text[-4:]}"
