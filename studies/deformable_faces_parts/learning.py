"""Frames of faces, trained on eighty of the hundred."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyro_symvi.deformable import FrameModel, RandomWarps, Recipe, SmallNet, bilateral, lfw_faces, train_frame

WARPS = RandomWarps(translation=0.2, scale=0.2, angle=math.pi / 12, elastic=0.05)
"""Large enough that the place in the picture is a poor guide to the place in the face."""


def split(fold: int, size: int) -> tuple[Tensor, Tensor]:
    """Eighty faces to learn from and the twenty of this fold; each face is in one fold of five."""
    faces = lfw_faces(size)
    order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(0)).view(5, -1)
    return faces[torch.cat([order[:fold], order[fold + 1 :]]).flatten()], faces[order[fold]]


def trained(fold: int, flip: float, steps: int, size: int, folder: str) -> FrameModel:
    """The model of a fold, from its checkpoint where it has been trained; ``flip=0`` is without the symmetric loss."""
    recipe = Recipe(
        steps=steps, learning_rate=3e-3, warps=WARPS, flip_probability=flip, padding="reflection", seed=fold
    )
    network = SmallNet(1, 3, width=0.5, generator=torch.Generator().manual_seed(fold))
    checkpoint = Path(folder) / f"faces-{fold}-{flip}-{steps}-{size}.pt"
    return train_frame(split(fold, size)[0], bilateral(), network, recipe=recipe, checkpoint=checkpoint).checked()


def cell(fold: int, flip: float, steps: int, size: int, folder: str) -> dict[str, Any]:
    """Training alone: what the loss came to, and what blind frames pay."""
    model = trained(fold, flip, steps, size, folder)
    return {"loss": model.final_loss, "levels": model.history.levels}
