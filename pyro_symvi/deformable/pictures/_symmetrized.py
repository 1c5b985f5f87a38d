"""Images made symmetric along their frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ._panels import SIDE, as_shown, panels


def draw_symmetrized(
    images: Tensor,
    symmetrized: Tensor,
    *,
    others: Sequence[tuple[str, Tensor]] = (),
    titles: Sequence[str] | None = None,
    heading: str = "",
    side: float = SIDE,
) -> Any:
    """Images; their means with their mirror images, pixel by pixel; and what the frame makes of them.

    The second row shows what symmetry of the picture means: two ghosts, unless the object looks straight ahead from
    the middle. The third has the object's pose, and the appearance of both of its sides on each.

    Args:
        images: ``[N, C, H, W]`` in [0, 1], or bytes.
        symmetrized: of the same shape.
        others: further rows, names and images.
        titles: above the images.
        heading: above all.
        side: inches of the longer side of an image.

    Returns:
        A matplotlib figure (not shown; ``save_figure(figure, path)`` writes it).

    Raises:
        ValueError: for shapes that do not belong together.
    """
    images, symmetrized = as_shown(images), as_shown(symmetrized)
    if images.shape != symmetrized.shape:
        raise ValueError(f"expected symmetrized images {list(images.shape)}, got {list(symmetrized.shape)}")
    mirrored = (images + images.flip(-1)) / 2
    rows = [("image", images), ("mirror mean", mirrored), ("by frame", symmetrized)]
    rows += [(name, as_shown(more)) for name, more in others]
    return panels(rows, titles=titles, heading=heading, side=side)[0]
