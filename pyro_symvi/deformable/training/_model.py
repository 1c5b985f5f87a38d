"""A trained frame: the network, what it was trained for and how that went."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..._value import positive_int
from ..losses import FrameLoss
from ..networks import frames_of
from ..symmetry import FrameSymmetry
from ._recipe import Recipe
from ._result import History, TrainingError, TrainingStatus

_SLACK = 0.25
"""How far values may leave [0, 1], as noise and cubic interpolation make them."""


@dataclass(frozen=True)
class FrameModel:
    """What ``train_frame`` gives and ``load_model`` gives back.

    Attributes:
        network: from images to frames, in evaluation mode.
        symmetry: that acts on the frames; None for none.
        recipe: that it was trained by; None where a file could not hold it (laws of your own).
        loss: that it was trained with; None where a file could not hold it.
        history: losses, evaluations and levels.
        steps: number of steps taken, those before a resumption included.
        status: how the run ended.
        cause: what was seen where it did not finish, else None.
        image_shape: channels, height and width of the images it was trained on.
        metadata: notes, plain values; written with the model.
    """

    network: nn.Module
    symmetry: FrameSymmetry | None
    recipe: Recipe | None
    loss: FrameLoss | None
    history: History
    steps: int
    status: TrainingStatus
    cause: str | None
    image_shape: tuple[int, int, int]
    metadata: dict[str, Any] = field(default_factory=dict)

    @torch.no_grad()
    def frames(self, images: Tensor, *, batch_size: int = 64) -> Tensor:
        """Frames ``[N, D, h, w]`` of images ``[N, C, H, W]``, bytes or floats in [0, 1], on the images' device."""
        positive_int(batch_size, "batch_size")
        if not isinstance(images, Tensor):
            raise TypeError(f"expected a tensor of images, got {type(images).__name__}; try torch.as_tensor(images)")
        if images.is_floating_point() and images.numel():
            low, high = (float(end) for end in images.aminmax())
            if low < -_SLACK or high > 1 + _SLACK:
                raise ValueError(
                    f"expected floats in [0, 1], got values from {low:.3g} to {high:.3g}, because those of the "
                    "training were; try images / 255, or bytes"
                )
        dim = None if self.symmetry is None else self.symmetry.dim
        parts = [frames_of(self.network, part, dim=dim) for part in images.split(batch_size)]
        return torch.cat(parts).to(images.device) if parts else frames_of(self.network, images)

    @property
    def final_loss(self) -> float:
        """Mean loss of the last twentieth of the steps, 10 at least; nan where none was taken."""
        last = self.history.loss[-max(10, len(self.history.loss) // 20) :]
        return sum(last) / len(last) if last else math.nan

    @property
    def relative_loss(self) -> float:
        """The final loss over the lowest of the ``history.levels``: 1 for frames that know nothing of the images.

        Small values show that the frame follows what is in the picture under warps of the recipe. They do not show
        that two images of different objects get frames that agree, nor that a symmetry holds where the recipe never
        asked for it.
        """
        return self.final_loss / min(self.history.levels.values()) if self.history.levels else math.nan

    def checked(self) -> FrameModel:
        """This model if all steps were taken.

        Raises:
            TrainingError: otherwise, with cause and remedies.
        """
        if self.status is TrainingStatus.FINISHED:
            return self
        raise TrainingError(
            f"expected training to finish, got {self.status.name} at step {self.steps}, because {self.cause}; "
            f"try: {self.status.remedy}"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model into one file, whole or not at all; ``load_model`` reads it without running code.

        Raises:
            TypeError: for a symmetry or metadata that cannot be read back without running code.
        """
        from ._model_files import save_model

        save_model(self, path)
