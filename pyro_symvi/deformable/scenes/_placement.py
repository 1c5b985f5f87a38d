"""Where a flat object lies in its image: turned, foreshortened, scaled, shifted."""

from __future__ import annotations

import torch
from torch import Tensor

from ._strips import turned
from ._waves import uniform


def random_placement(
    count: int,
    *,
    rotation: float,
    yaw: float,
    scale: tuple[float, float],
    translation: float,
    generator: torch.Generator | None,
) -> dict[str, Tensor]:
    """Angles within +-``rotation`` and +-``yaw``, scales in a range, shifts within +-``translation``: uniform."""
    return {
        "rotation": uniform(-rotation, rotation, count, generator=generator),
        "yaw": uniform(-yaw, yaw, count, generator=generator),
        "scale": uniform(*scale, count, generator=generator),
        "translation": uniform(-translation, translation, count, 2, generator=generator),
    }


def placed(points: Tensor, poses: dict[str, Tensor]) -> Tensor:
    """Points ``[N, P, 2]`` of the object in the image: scale * Turn(rotation) diag(cos yaw, 1) p + translation."""
    narrow = torch.stack([poses["yaw"].cos(), torch.ones_like(poses["yaw"])], -1)
    return (
        poses["scale"][:, None, None] * turned(points * narrow[:, None], poses["rotation"])
        + poses["translation"][:, None]
    )


def unplaced(points: Tensor, poses: dict[str, Tensor]) -> Tensor:
    """The inverse of :func:`placed`."""
    narrow = torch.stack([poses["yaw"].cos(), torch.ones_like(poses["yaw"])], -1)
    straight = turned((points - poses["translation"][:, None]) / poses["scale"][:, None, None], -poses["rotation"])
    return straight / narrow[:, None]
