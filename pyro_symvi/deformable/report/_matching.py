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
        middle: of one that knows where the object is, and no place on it: all is found in the middle of the places
            asked for. None where that was not asked.
        other: of the trained frame with another element of the group in the place of the right one, the best other
            one, ``[N]``. A frame whose places are their own partners finds as much with it. None where images were not
            moved, and where all elements act alike on the frame.
    """

    frame: Tensor
    position: Tensor
    chance: Tensor
    untrained: Tensor | None
    followed: Tensor
    middle: Tensor | None = None
    other: Tensor | None = None

    def baseline(self) -> Tensor:
        """The best one, by its mean, of those that know the place alone, the object's place, or are untrained."""
        known = [one for one in (self.position, self.untrained, self.middle) if one is not None]
        return min(known, key=lambda one: float(one.mean()))

    def gain(self, base: Tensor | None = None) -> tuple[float, float]:
        """1 - (error of the frame) / (error of the baseline), and its standard error over images (nan for one)."""
        base = self.baseline() if base is None else base
        ratio = float(self.frame.mean() / base.mean())
        rest = (self.frame - ratio * base) / base.mean()
        count = len(rest)
        return 1 - ratio, float(rest.std()) / math.sqrt(count) if count > 1 else math.nan


@torch.no_grad()
def matching(
    model: FrameModel, images: Tensor, mask: Tensor | None, generator: torch.Generator, pairs: int, *, moved: bool
) -> Matching:
    """Errors on ``pairs`` fresh pairs or more, as many of each image, all of them moved by the symmetry or none.

    Where the model was trained with a relaxation, the best of the elements it leaves open is taken for each pair, for
    the untrained network too. In moved images these are elements that leave images alone, whatever the loss was: with
    a reflection among them every reflection would be as good as none, and mirror images would test nothing.
    """
    maker = _maker(model, images, moved)
    rounds = max(1, -(-pairs // len(images)))
    fresh = untrained(model.network, images)
    made: dict[str, list[Tensor]] = {}
    for index in torch.arange(len(images)).repeat(rounds).split(_BATCH):
        there = None if mask is None else mask[index]
        found = _errors(model, fresh, maker.pairs(images[index], generator=generator, mask=there), moved)
        for name, values in found.items():
            made.setdefault(name, []).append(values)
    means = {name: torch.cat(values).reshape(rounds, len(images)).nanmean(0) for name, values in made.items()}
    seen = ~torch.stack(list(means.values())).isnan().any(0)  # images whose object left the picture in all rounds
    means = {name: values[seen] for name, values in means.items()}
    followed = means["along"] / means["motion"]
    others = [values for name, values in means.items() if name.startswith("other")]
    return Matching(
        means["frame"], means["position"], means["chance"], means.get("untrained"), followed, means["middle"],
        min(others, key=lambda one: float(one.mean()), default=None),
    )  # fmt: skip


def shuffled(images: Tensor, seed: int = 0) -> Tensor:
    """Images whose pixels are in random order: the same colours, and nothing to be found but the edges."""
    draws = torch.rand(len(images), 1, images[0, 0].numel(), generator=torch.Generator().manual_seed(seed))
    order = draws.argsort(-1).to(images.device)
    return images.flatten(2).gather(2, order.expand(-1, images.shape[1], -1)).view_as(images)


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


def _errors(model: FrameModel, fresh: nn.Module | None, pairs: Pairs, moved: bool) -> dict[str, Tensor]:
    size = (pairs.first.shape[-2], pairs.first.shape[-1])
    true = torch.where(pairs.weight[..., None] > 0, pairs.points, torch.nan)
    first, second = model.frames(pairs.first), model.frames(pairs.second)
    place = grid_points(*first.shape[-2:], like=true).expand(len(true), -1, 2)
    if model.symmetry is not None:
        place = model.symmetry.on_points(pairs.element, place)
    right, *others = _candidates(model, pairs.element, moved, first)
    found, error = _found(first, second, right, true, size)
    motion = true - place
    middle = true.nanmean(1, keepdim=True).expand_as(true)
    made = {
        "frame": error,
        "position": correspondence_error(place, true, size=size).pixels,
        "middle": correspondence_error(middle, true, size=size).pixels,
        "chance": chance_error(true, size=size).pixels,
        "along": ((found - place) * motion).nansum((-1, -2)) / pairs.weight.sum(-1),
        "motion": motion.square().nansum((-1, -2)) / pairs.weight.sum(-1),
    }
    for number, wrong in enumerate(others):
        made[f"other {number}"] = _found(first, second, wrong, true, size)[1]
    if fresh is not None:
        like = next(fresh.parameters())
        frames = fresh(pairs.first.to(like)), fresh(pairs.second.to(like))
        made["untrained"] = _found(*frames, right, true, size)[1]
    return made


def _found(
    first: Tensor, second: Tensor, matrices: list[Tensor | None], true: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Points found and their error for each pair, under the best of the maps for it."""
    tried = [match(first, second, matrix).to(true) for matrix in matrices]
    stacked = torch.stack([correspondence_error(one, true, size=size).pixels for one in tried])
    best = stacked.nan_to_num(torch.inf).argmin(0)
    each = torch.arange(len(best))
    return torch.stack(tried)[best, each], stacked[best, each]


def _candidates(model: FrameModel, element: Tensor, moved: bool, like: Tensor) -> list[list[Tensor | None]]:
    """Maps of the first frame, ``[B, D, D]`` each: R_h R_g, h left open; for moved pairs then R_h R_s R_g for other s.

    One list for each coset of the elements left open, but for those that act on frames as the right one does.
    """
    symmetry = model.symmetry
    if symmetry is None:
        return [[None]]
    matrices = symmetry.frame_matrices()
    still = (symmetry.image_matrices() == torch.eye(2, dtype=torch.float64)).all(-1).all(-1)
    relaxed = model.loss is not None and not isinstance(model.loss.relaxation, Unrelaxed)
    left_open = [h for h in (model.loss.unknown_elements if relaxed and model.loss else (0,)) if still[h] or not moved]
    cosets = [matrices[left_open]]
    for other in matrices if moved else ():
        coset = matrices[left_open] @ other
        if all(torch.cdist(coset.flatten(1), known.flatten(1)).min() > 1e-6 for known in cosets):
            cosets.append(coset)
    return [[(one.to(like) @ matrices.to(like)[element]) for one in coset] for coset in cosets]
