"""Training with a relaxed loss, in two phases."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..losses import FrameLoss, Unrelaxed
from ..networks import SmallNet, TurnedFrames
from ..networks._frames import image_values
from ..symmetry import FrameSymmetry
from . import _inputs
from ._best_gauge import best_gauge
from ._model import FrameModel
from ._recipe import Recipe
from ._result import TrainingStatus
from ._train import Evaluate, train_frame

_IMAGES = 8
"""Pairs on which coordinates are compared."""


def train_relaxed_frame(
    images: Tensor,
    symmetry: FrameSymmetry | None,
    network: nn.Module | None = None,
    loss: FrameLoss | None = None,
    recipe: Recipe | None = None,
    *,
    gentle_share: float = 0.25,
    gentle_angle: float = math.radians(8),
    trials: int = 200,
    mask: Tensor | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 200,
    evaluate: Evaluate | None = None,
    evaluate_every: int | None = None,
    progress: bool | Callable[[int, float], None] = False,
) -> FrameModel:
    """Learn the frame of objects whose pose is known up to a symmetry: small turns first, then the recipe's.

    A relaxed loss alone is seldom enough: before the frame knows the axis of the group no R_h fits, h = 1 is the best
    for nearly all pairs, and training goes where it goes without relaxation. So for ``gentle_share`` of the steps the
    warps turn by at most ``gentle_angle``, which teaches a frame that no symmetry is needed for; then the frame is
    turned by the best of ``trials`` random orthogonal maps (:func:`best_gauge`) on pairs with the recipe's warps; and
    then it is trained on those. Each phase is a call of :func:`train_frame`, with the schedule from its start.

    Args:
        images: ``[N, C, H, W]``, as for :func:`train_frame`.
        symmetry: with elements that images do not show, such as ``rotational(4)``; None for that of the loss.
        network: as for :func:`train_frame`; None for ``SmallNet(width=0.5)``.
        loss: with a relaxation.
        recipe: its warps should turn by as much as the elements do: ``RandomWarps(angle=math.radians(60))`` for four
            equal parts.
        gentle_share: of the steps, between 0 and 1.
        gentle_angle: in radians.
        trials: random maps of the frame.
        mask: as for :func:`train_frame`.
        checkpoint: a file for the second phase; the first has ``checkpoint`` with ``.gentle`` at its end.
        checkpoint_every: as for :func:`train_frame`.
        evaluate: as for :func:`train_frame`, in the second phase.
        evaluate_every: as for :func:`train_frame`.
        progress: a bar for each phase; a function gets the number of the step in the whole run.

    Returns:
        The model of the second phase and its history, ``steps`` those of both, its network in
        :class:`~pyro_symvi.deformable.networks.TurnedFrames`; or that of the first, if its loss was not finite.

    Raises:
        ValueError, TypeError: as :func:`train_frame`; and for a loss without relaxation, or a share outside (0, 1).
    """
    recipe = Recipe() if recipe is None else recipe
    if not isinstance(loss, FrameLoss) or loss.symmetry is None or isinstance(loss.relaxation, Unrelaxed):
        raise ValueError(
            f"expected a FrameLoss with a relaxation, got {loss!r}; try FrameLoss(symmetry, relaxation=Softmin(0.1)), "
            "or train_frame for a loss without"
        )
    if not isinstance(recipe, Recipe) or recipe.steps < 2:
        raise ValueError(f"expected a Recipe of at least 2 steps, one for each phase, got {recipe!r}")
    if not 0 < gentle_share < 1 or not 0 <= gentle_angle < math.inf:
        raise ValueError(
            f"expected a gentle_share between 0 and 1 and a gentle_angle of 0 or more, got {gentle_share} and "
            f"{gentle_angle}"
        )
    loss = _inputs.checked_loss(symmetry, loss)
    symmetry = loss.symmetry
    _inputs.check_images(images, mask, symmetry)
    if network is None:
        dim = 3 if symmetry is None else symmetry.dim
        network = SmallNet(images.shape[1], dim, width=0.5, generator=recipe.generator("weights"))
    early_steps = min(recipe.steps - 1, max(1, round(gentle_share * recipe.steps)))
    gentle = dataclasses.replace(recipe.warps, angle=min(gentle_angle, recipe.warps.angle))
    early = train_frame(
        images,
        symmetry,
        network,
        loss,
        dataclasses.replace(recipe, steps=early_steps, warps=gentle),
        mask=mask,
        checkpoint=None if checkpoint is None else f"{os.fspath(Path(checkpoint))}.gentle",
        checkpoint_every=checkpoint_every,
        progress=progress,
    )
    if early.status is not TrainingStatus.FINISHED:
        return early
    late = dataclasses.replace(recipe, steps=recipe.steps - early_steps)
    model = train_frame(
        images,
        symmetry,
        TurnedFrames(early.network, _gauge(early, loss, late, images, mask, trials)),
        loss,
        late,
        mask=mask,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        evaluate=evaluate,
        evaluate_every=evaluate_every,
        progress=_counted(progress, early_steps),
    )
    return dataclasses.replace(model, recipe=recipe, steps=early_steps + model.steps)


def _gauge(
    model: FrameModel, loss: FrameLoss, recipe: Recipe, images: Tensor, mask: Tensor | None, trials: int
) -> Tensor:
    """The coordinates of a model's frames that suit the group best, on a few pairs with the recipe's warps."""
    chosen = torch.randperm(len(images), generator=recipe.generator("gauge images"))[:_IMAGES]
    like = next(model.network.parameters())
    shown = image_values(images[chosen].cpu()).to(like.dtype)
    size = model.frames(images[chosen][:1]).shape[-2:]
    pairs = recipe.maker(loss.symmetry, (size[0], size[1])).pairs(
        shown, generator=recipe.generator("gauge pairs"), mask=None if mask is None else mask[chosen].cpu()
    )
    first, second = (model.frames(part) for part in (pairs.first, pairs.second))
    known = {field.name: getattr(pairs, field.name).to(first.device) for field in dataclasses.fields(pairs)}
    return best_gauge(
        first, second, type(pairs)(**known), loss, trials=trials, generator=recipe.generator("gauge maps")
    )


def _counted(progress: bool | Callable[[int, float], None], before: int) -> bool | Callable[[int, float], None]:
    """Progress that counts the steps of the first phase too."""
    if isinstance(progress, bool):
        return progress
    return lambda step, loss: progress(before + step, loss)
