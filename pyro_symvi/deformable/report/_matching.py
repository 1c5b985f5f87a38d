"""How well a frame finds places again after fresh warps, beside frames that know less."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .._points import grid_points
from ..losses import Unrelaxed
from ..readouts import chance_error, correspondence_error, match
from ..training import FrameModel
from ..training._settle import settle
from ..warps import PairMaker, Pairs

SHIFT = 0.3
"""Images are shifted by up to this in x and y (half sides), more than in training, where that was less.

Under small shifts a frame that knows the place in the picture alone is nearly right.
"""
_BATCH = 32


@dataclass(frozen=True)
class Matching:
    """Mean distances in pixels between where places went and where they were found, for each of N images.

    Attributes:
        frame: of the trained frame, ``[N]``.
        position: of one that knows the place in the picture alone: each place is looked for where it was, or at its
            mirror image.
        chance: of places at random: of frames that are the same everywhere, or noise.
        untrained: of the same network with new weights; None where it cannot be made anew.
        followed: share of the motion of the places that the frame follows, sum <found - place, went - place> over sum
            |went - place|^2: 1 for a frame that knows the object, 0 for one that knows the place in the picture, or
            nothing. ``[N]``.
    """

    frame: Tensor
    position: Tensor
    chance: Tensor
    untrained: Tensor | None
    followed: Tensor

    def baseline(self) -> Tensor:
        """The better one, by its mean, of the frames that know the place alone or are untrained, ``[N]``."""
        if self.untrained is None or float(self.untrained.mean()) > float(self.position.mean()):
            return self.position
        return self.untrained

    def gain(self) -> tuple[float, float]:
        """1 - (error of the frame) / (error of the baseline), and its standard error over images (nan for one)."""
        base = self.baseline()
        ratio = float(self.frame.mean() / base.mean())
        rest = (self.frame - ratio * base) / base.mean()
        count = len(rest)
        return 1 - ratio, float(rest.std()) / math.sqrt(count) if count > 1 else math.nan


@torch.no_grad()
def matching(
    model: FrameModel, images: Tensor, mask: Tensor | None, generator: torch.Generator, pairs: int, *, moved: bool
) -> Matching:
    """Errors on ``pairs`` fresh pairs or more, as many of each image, all of them moved by the symmetry or none.

    Where the model was trained with a relaxation, the best element is taken for each pair, for the untrained network
    too.
    """
    maker = _maker(model, images, moved)
    rounds = max(1, -(-pairs // len(images)))
    fresh = untrained(model.network, images)
    made: dict[str, list[Tensor]] = {}
    for _ in range(rounds):
        for start in range(0, len(images), _BATCH):
            part = images[start : start + _BATCH]
            there = None if mask is None else mask[start : start + _BATCH]
            for name, values in _errors(model, fresh, maker.pairs(part, generator=generator, mask=there)).items():
                made.setdefault(name, []).append(values)
    means = {name: torch.cat(values).reshape(rounds, len(images)).nanmean(0) for name, values in made.items()}
    seen = ~torch.stack(list(means.values())).isnan().any(0)  # images whose object left the picture in all rounds
    means = {name: values[seen] for name, values in means.items()}
    followed = means["along"] / means["motion"]
    return Matching(means["frame"], means["position"], means["chance"], means.get("untrained"), followed)


def untrained(network: nn.Module, images: Tensor, seed: int = 0) -> nn.Module | None:
    """A copy with new random weights, its normalisation settled on the images; None where a layer cannot be reset."""
    made = copy.deepcopy(network)
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        for layer in made.modules():
            reset: Callable[[], None] | None = getattr(layer, "reset_parameters", None)
            if reset is not None:
                reset()
            elif next(layer.parameters(recurse=False), None) is not None:
                return None
    like = next(made.parameters())
    settle(made, [lambda: images[: 2 * _BATCH].to(like)])
    return made.eval()


def _maker(model: FrameModel, images: Tensor, moved: bool) -> PairMaker:
    height, width = model.frames(images[:1]).shape[-2:]
    made = PairMaker() if model.recipe is None else model.recipe.maker(None)
    return replace(
        made,
        warps=replace(made.warps, translation=max(SHIFT, made.warps.translation)),
        symmetry=model.symmetry if moved else None,
        flip_probability=1.0 if moved else 0.0,
        frame_size=(height, width),
    )


def _errors(model: FrameModel, fresh: nn.Module | None, pairs: Pairs) -> dict[str, Tensor]:
    size = (pairs.first.shape[-2], pairs.first.shape[-1])
    true = torch.where(pairs.weight[..., None] > 0, pairs.points, torch.nan)
    first = model.frames(pairs.first)
    place = grid_points(*first.shape[-2:], like=true).expand(len(true), -1, 2)
    if model.symmetry is not None:
        place = model.symmetry.on_points(pairs.element, place)
    found, error = _found(model, first, model.frames(pairs.second), pairs, true, size)
    motion = true - place
    made = {
        "frame": error,
        "position": correspondence_error(place, true, size=size).pixels,
        "chance": chance_error(true, size=size).pixels,
        "along": ((found - place) * motion).nansum((-1, -2)) / pairs.weight.sum(-1),
        "motion": motion.square().nansum((-1, -2)) / pairs.weight.sum(-1),
    }
    if fresh is not None:
        like = next(fresh.parameters())
        frames = fresh(pairs.first.to(like)), fresh(pairs.second.to(like))
        made["untrained"] = _found(model, *frames, pairs, true, size)[1]
    return made


def _found(
    model: FrameModel, first: Tensor, second: Tensor, pairs: Pairs, true: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Points found and their error for each pair, under the best of the elements that a relaxation leaves open."""
    tried, errors = [], []
    for unknown in range(_open(model)):
        matrix = None
        if model.symmetry is not None:
            matrices = model.symmetry.frame_matrices(like=first)
            matrix = matrices[unknown] @ matrices[pairs.element]
        tried.append(match(first, second, matrix).to(true))
        errors.append(correspondence_error(tried[-1], true, size=size).pixels)
    stacked = torch.stack(errors)
    best = stacked.nan_to_num(torch.inf).argmin(0)
    each = torch.arange(len(best))
    return torch.stack(tried)[best, each], stacked[best, each]


def _open(model: FrameModel) -> int:
    """How many elements, the first ones, a relaxation leaves open."""
    if model.symmetry is None or model.loss is None or isinstance(model.loss.relaxation, Unrelaxed):
        return 1
    return model.symmetry.order
