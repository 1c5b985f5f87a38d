"""What a training run is given, checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..._value import positive_int
from ..losses import FrameLoss, PairLoss
from ..symmetry import FrameSymmetry
from ._recipe import Recipe

_SLACK = 1e-3


def checked_loss(symmetry: FrameSymmetry | None, loss: FrameLoss | PairLoss | None) -> FrameLoss:
    """The loss of frames that the arguments stand for."""
    if symmetry is not None and not isinstance(symmetry, FrameSymmetry):
        raise TypeError(f"expected a FrameSymmetry, got {symmetry!r}; try bilateral()")
    if loss is None:
        return FrameLoss(symmetry)
    if isinstance(loss, PairLoss):
        return FrameLoss(symmetry, loss)
    if not isinstance(loss, FrameLoss):
        raise TypeError(f"expected a FrameLoss or a PairLoss, got {loss!r}; try FrameLoss(symmetry)")
    if symmetry is not None and loss.symmetry != symmetry:
        raise ValueError(
            f"expected a loss with the symmetry {symmetry!r}, got {loss!r}; try FrameLoss(symmetry, ...), or "
            "Recipe(flip_probability=0) for training without the symmetric loss"
        )
    return loss


def check_images(images: Tensor, mask: Tensor | None, symmetry: FrameSymmetry | None) -> None:
    """Images and mask of one size that can be trained on."""
    if not isinstance(images, Tensor) or images.ndim != 4 or 0 in images.shape:
        got = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"expected images [N, C, H, W] of one size, got {got}; try {_shape_hint(images)}")
    if images.shape[-1] in (1, 3, 4) and images.shape[1] not in (1, 3, 4):
        raise ValueError(
            f"expected images [N, C, H, W], got {list(images.shape)}, because the channels seem to come last; try "
            "images.permute(0, 3, 1, 2)"
        )
    if len(images) < 2:
        raise ValueError(
            "expected at least 2 images, got 1, because a frame learnt from one image says nothing of another; try "
            "some hundred images of the category"
        )
    if images.dtype != torch.uint8:
        if not images.is_floating_point():
            raise TypeError(f"expected images of bytes (uint8) or floats, got {images.dtype}; try images.float() / 255")
        bad = (~torch.isfinite(images)).flatten(1).any(1).nonzero()[:, 0].tolist()
        if bad:
            raise ValueError(f"expected finite images, got nan or inf in image {', '.join(map(str, bad[:5]))}")
        low, high = (float(end) for end in images.detach().aminmax())
        if low < -_SLACK or high > 1 + _SLACK:
            raise ValueError(
                f"expected floats in [0, 1], got values from {low:.3g} to {high:.3g}, because the change of colours "
                "cuts them there; try images / 255, or bytes"
            )
    if not bool((images != images[:, :, :1, :1]).any()):
        raise ValueError("expected images that show something, got none but of a single colour each")
    if not bool((images != images[:1]).any()):
        raise ValueError(
            f"expected images that differ, got {len(images)} times the same one, because a frame learnt from one image "
            "says nothing of another; try some hundred images of the category"
        )
    if symmetry is not None:
        symmetry.check_carried(images)
    if mask is None:
        return
    wanted = [len(images), *images.shape[2:]]
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or list(mask.shape) != wanted:
        found = f"{list(mask.shape)} of {mask.dtype}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"expected a mask {wanted} of bool, got {found}; try mask > 0.5")
    empty = (~mask.flatten(1).any(1)).nonzero()[:, 0].tolist()
    if empty:
        raise ValueError(
            f"expected a mask that shows the object in every image, got nothing in image "
            f"{', '.join(map(str, empty[:5]))}; try to leave these images out"
        )


def check_options(
    recipe: Recipe,
    network: nn.Module | None,
    checkpoint: str | os.PathLike[str] | None,
    checkpoint_every: int,
    evaluate: Any,
    evaluate_every: int | None,
) -> None:
    """Everything that is neither image nor loss."""
    if not isinstance(recipe, Recipe):
        raise TypeError(f"expected a Recipe, got {recipe!r}; try Recipe(steps=1000)")
    if network is not None and not isinstance(network, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(network).__name__}")
    if network is not None and not any(p.requires_grad for p in network.parameters()):
        raise ValueError(f"expected a network with parameters to train, got {type(network).__name__} with none")
    positive_int(checkpoint_every, "checkpoint_every")
    if evaluate is not None and not callable(evaluate):
        raise TypeError(f"expected evaluate as a function of a model and a step, got {evaluate!r}")
    if evaluate_every is not None:
        positive_int(evaluate_every, "evaluate_every")
    if checkpoint is None:
        return
    if Path(checkpoint).is_dir():
        raise ValueError(f"expected checkpoint to be a file, got the folder {str(checkpoint)!r}")
    folder = Path(checkpoint).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)  # rather fail now than after the first steps
    except OSError as error:
        raise ValueError(
            f"expected a checkpoint in a folder that is there or can be made, got {str(checkpoint)!r}, because: "
            f"{error}; try another path"
        ) from error
    if not os.access(folder, os.W_OK):
        raise ValueError(
            f"expected a checkpoint in a folder that can be written to, got {str(checkpoint)!r}; try another path"
        )


def check_cells(network: nn.Module, height: int, width: int) -> None:
    """Frames with places to tell apart."""
    if height < 2 or width < 2:
        raise ValueError(
            f"expected frames of 2 x 2 cells or more from {type(network).__name__}, got {height} x {width}, because "
            "places are told apart by them; try the backbone without its last pooling, or larger images"
        )


def check_learns(network: nn.Module, losses: Tensor) -> None:
    """A loss that reaches the weights."""
    if not losses.requires_grad:
        raise ValueError(
            f"expected frames that depend on the parameters of {type(network).__name__}, got some without a gradient; "
            "try its forward without detach() and torch.no_grad()"
        )


def numbers_of(found: Any) -> dict[str, float]:
    """What ``evaluate`` returned."""
    if not isinstance(found, Mapping):
        raise TypeError(f"expected evaluate to return a dictionary of numbers, got {found!r}; try {{'error': 0.1}}")
    return {name: float(number) for name, number in found.items()}


def check_steps(done: int, steps: int, checkpoint: str | os.PathLike[str]) -> None:
    """That a run has not gone further than it is asked to go."""
    if done > steps:
        raise ValueError(
            f"expected steps of at least {done}, got {steps}, because the run of {str(checkpoint)!r} has taken that "
            "many; try another file, or more steps"
        )


def _shape_hint(images: Any) -> str:
    if isinstance(images, np.ndarray):
        return "torch.from_numpy(images), channels before height and width"
    if isinstance(getattr(images, "images", None), Tensor):
        return "its .images"
    return "images[:, None] for grey ones, torch.stack(images) for a list, or load_images"
