"""Points joined to those they correspond to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._points import values_at
from ._panels import SIDE, as_shown, check_images, check_points, in_pixels, panels


def draw_correspondences(
    images: Tensor,
    starts: Tensor,
    ends: Tensor,
    *,
    seconds: Tensor | None = None,
    titles: Sequence[str] | None = None,
    heading: str = "",
    names: tuple[str, str] = ("image", "other"),
    lines: bool = True,
    side: float = SIDE,
) -> Any:
    """Points of images and their partners, joined by lines inside each image, or as equal colours in two images.

    A point has the same colour at both ends: coloured by height (blue at the top, red at the bottom) where both are in
    one image, and by its place (red to the right, green downwards) where ``seconds`` are given.

    Args:
        images: ``[N, C, H, W]`` in [0, 1], or bytes.
        starts: filled dots, ``[N, P, 2]``; points with nan, here or in ``ends``, are left out.
        ends: rings, ``[N, P, 2]``, in the same image, or in ``seconds``.
        seconds: other images of the same size, one for each, drawn below.
        titles: above the images.
        heading: above all.
        names: of the two rows, where there are two.
        lines: whether to join the points, in one image.
        side: inches of the longer side of an image.

    Returns:
        A matplotlib figure (not shown; ``save_figure(figure, path)`` writes it).

    Raises:
        ValueError: for shapes that do not belong together.
    """
    import matplotlib

    images = as_shown(images)
    check_images(images)
    check_points(starts, images, "starts")
    check_points(ends, images, "ends")
    if starts.shape != ends.shape:
        raise ValueError(f"expected as many ends as starts, got {list(ends.shape)} and {list(starts.shape)}")
    rows = [("" if seconds is None else names[0], images)]
    if seconds is not None:
        rows.append((names[1], as_shown(seconds)))
    figure, axes = panels(rows, titles=titles, heading=heading, side=side)
    known = ~(torch.isnan(starts).any(-1) | torch.isnan(ends).any(-1))
    for k, first in enumerate(axes[0]):
        one, two = in_pixels(starts[k][known[k]], images), in_pixels(ends[k][known[k]], images)
        if not len(one):
            continue
        if seconds is None:
            colours = matplotlib.colormaps["turbo"](0.05 + 0.9 * (starts[k][known[k]][:, 1].cpu().numpy() + 1) / 2)
        else:
            colours = _by_place(starts[k][known[k]].double().cpu().numpy())
        if seconds is None and lines:
            for a, b, colour in zip(one, two, colours, strict=True):
                first.plot([a[0], b[0]], [a[1], b[1]], color=colour, linewidth=0.7, alpha=0.8)
        first.scatter(one[:, 0], one[:, 1], s=7, c=colours, edgecolors="white", linewidths=0.3, zorder=3)
        last = axes[-1][k]
        ring = {"facecolors": "none", "edgecolors": colours, "linewidths": 0.9, "zorder": 3}
        dot = {"c": colours, "edgecolors": "white", "linewidths": 0.3, "zorder": 3}
        last.scatter(two[:, 0], two[:, 1], s=9 if seconds is None else 7, **(ring if seconds is None else dot))
    return figure


def grid_of_points(count: int, images: Tensor, mask: Tensor | None = None, *, half: bool = False) -> Tensor:
    """About ``count`` points spread over images ``[N, C, H, W]``, ``[N, P, 2]``; nan where the mask is False.

    ``half`` keeps those left of the middle: partners of the others would be drawn twice.
    """
    height, width = images.shape[-2:]
    step = (height * width * (0.5 if half else 1.0) * 0.72 / max(1, count)) ** 0.5
    down, across = max(1, round(0.85 * height / step)), max(1, round(0.85 * width / step * (0.5 if half else 1.0)))
    y = torch.linspace(-0.85, 0.85, down) if down > 1 else torch.zeros(1)
    x = torch.linspace(-0.85, -0.1 if half else 0.85, across) if across > 1 else torch.full((1,), -0.4 if half else 0.0)
    points = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flip(-1).reshape(1, -1, 2)
    points = points.expand(len(images), -1, 2)
    if mask is None:
        return points
    seen = values_at(mask[:, None].float(), points, padding="zeros")[:, 0]
    return torch.where((seen > 0.5)[..., None], points, torch.nan)


def _by_place(points: np.ndarray) -> np.ndarray:
    right, below = (points[:, 0] + 1) / 2, (points[:, 1] + 1) / 2
    return np.clip(np.stack([right, 0.85 * below, 1 - right], -1), 0, 1)
