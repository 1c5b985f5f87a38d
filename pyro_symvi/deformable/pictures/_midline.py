"""Where objects are their own mirror images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._panels import SIDE, as_shown, check_images, check_points, in_pixels, panels

_LINE, _POINT = "#ffd23f", "#00c2d1"


def draw_midline(
    images: Tensor,
    points: Tensor,
    confidence: Tensor | None = None,
    *,
    axes: Tensor | None = None,
    titles: Sequence[str] | None = None,
    heading: str = "",
    side: float = SIDE,
) -> Any:
    """Images with the points of their midlines, and lines through them.

    Args:
        images: ``[N, C, H, W]`` in [0, 1], or bytes.
        points: ``[N, P, 2]``; points with nan are left out.
        confidence: ``[N, P]`` in [0, 1]: faint points are not to be trusted; None for 1.
        axes: two ends of a line for each image, ``[N, 2, 2]``; nan for none.
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
    check_points(points, images, "points")
    if confidence is not None and confidence.shape != points.shape[:2]:
        raise ValueError(f"expected confidence {list(points.shape[:2])}, got {list(confidence.shape)}")
    if axes is not None and tuple(axes.shape) != (len(images), 2, 2):
        raise ValueError(f"expected axes [{len(images)}, 2, 2], got {list(axes.shape)}")
    figure, drawn = panels([("", images)], titles=titles, heading=heading, side=side)
    for k, axis in enumerate(drawn[0]):
        known = ~torch.isnan(points[k]).any(-1)
        places = in_pixels(points[k][known], images)
        if axes is not None and not bool(torch.isnan(axes[k]).any()):
            line = in_pixels(axes[k], images)
            axis.plot(line[:, 0], line[:, 1], color=_LINE, linewidth=1.1, alpha=0.9)
        opacity = 0.9 if confidence is None else confidence[k][known].detach().double().cpu().clamp(0.05, 0.9).numpy()
        axis.scatter(places[:, 0], places[:, 1], s=5, color=_POINT, alpha=opacity, linewidths=0)
    return figure
