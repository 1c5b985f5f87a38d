"""How far found correspondences are from the true ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._points import grid_points, half_sizes


@dataclass(frozen=True)
class CorrespondenceError:
    """Errors of correspondences, image by image; means and standard errors are over images.

    Points of one image share its pose, its light and one network, so that images, never points, are the sample; images
    of one network share that network, which no standard error here knows.

    Attributes:
        pixels: mean distance in pixels, ``[N]``; nan for images without a point that counts.
        percent: the same in per cent of the width of the object, ``[N]``.
        within_5: per cent of points off by at most 5 % of the width (PCK), ``[N]``.
        within_10: by at most 10 %.
        missing: per cent of points that were found nowhere, ``[N]``: in no mean distance, outside every PCK.
        element: number of the candidate each image was given, LongTensor ``[N]``; None where there was one.
    """

    pixels: Tensor
    percent: Tensor
    within_5: Tensor
    within_10: Tensor
    missing: Tensor
    element: Tensor | None = None

    def mean(self, name: str = "pixels") -> float:
        """Mean over images of an attribute; images without points left out."""
        return float(self._known(name).mean())

    def standard_error(self, name: str = "pixels") -> float:
        """Standard error of the mean over images; nan for fewer than two."""
        known = self._known(name)
        return float(known.std() / math.sqrt(len(known))) if len(known) > 1 else math.nan

    def summary(self) -> dict[str, tuple[float, float]]:
        """Mean and standard error of each measure."""
        names = ("pixels", "percent", "within_5", "within_10", "missing")
        return {name: (self.mean(name), self.standard_error(name)) for name in names}

    def _known(self, name: str) -> Tensor:
        values: Tensor = getattr(self, name)
        return values[~torch.isnan(values)]


def correspondence_error(
    found: Tensor,
    true: Tensor,
    width: Tensor | float | None = None,
    weight: Tensor | None = None,
    *,
    size: tuple[int, int],
) -> CorrespondenceError:
    """Errors of points ``[N, P, 2]`` against true ones ``[N, P, 2]``.

    Args:
        found: points; nan for those found nowhere.
        true: where they should lie; nan leaves a point out (it is hidden, or background).
        width: of the objects in pixels, ``[N]`` or a number; None for the width of the image.
        weight: what each point counts, ``[N, P]`` or ``[P]``, not negative; None for 1.
        size: height and width of the images in pixels.

    Raises:
        ValueError: for shapes that do not belong together, negative weights and widths that are not positive.
    """
    if found.shape != true.shape or found.ndim != 3 or found.shape[-1] != 2:
        raise ValueError(f"expected two tensors of points [N, P, 2], got {list(found.shape)} and {list(true.shape)}")
    distance = ((found - true) * half_sizes(*size, like=found)).norm(dim=-1)
    return _summed(distance, ~torch.isnan(true).any(-1), width, weight, size)


def ambiguous_error(
    found: Tensor,
    true: Tensor,
    width: Tensor | float | None = None,
    weight: Tensor | None = None,
    *,
    size: tuple[int, int],
    shared: bool = False,
) -> CorrespondenceError:
    """The error under the best of n candidates h, for poses that are known up to a symmetry.

    One candidate for all points of an image: the one of the least mean distance. The least of n is small for a guess
    too: compare with the same measure of a random frame.

    Args:
        found: points, ``[N, P, 2]`` or ``[n, N, P, 2]``, a candidate each.
        true: where they should lie, ``[N, P, 2]`` or ``[n, N, P, 2]``.
        width: as in :func:`correspondence_error`.
        weight: as in :func:`correspondence_error`.
        size: as in :func:`correspondence_error`.
        shared: whether all images must take the same candidate: right where the frames of a network are known up to
            one map, the same for all images, and not each pose up to its own.

    Raises:
        ValueError: as in :func:`correspondence_error`, and without candidates.
    """
    if max(found.ndim, true.ndim) != 4 or min(found.ndim, true.ndim) < 3:
        raise ValueError(
            f"expected points [n, N, P, 2] of n candidates against points [N, P, 2] (or candidates on both sides), "
            f"got {list(found.shape)} and {list(true.shape)}; try correspondence_error for one candidate"
        )
    found, true = torch.broadcast_tensors(found, true)
    errors = [correspondence_error(f, t, width, weight, size=size) for f, t in zip(found, true, strict=True)]
    pixels = torch.stack([error.pixels for error in errors]).nan_to_num(torch.inf)
    if shared:
        finite = torch.isfinite(pixels).any(0)
        element = pixels[:, finite].mean(1).argmin().expand(pixels.shape[1])
    else:
        element = pixels.argmin(0)
    each = torch.arange(pixels.shape[1], device=pixels.device)
    chosen = {
        name: torch.stack([getattr(error, name) for error in errors])[element, each]
        for name in ("pixels", "percent", "within_5", "within_10", "missing")
    }
    return CorrespondenceError(**chosen, element=element)


def chance_error(
    true: Tensor, width: Tensor | float | None = None, weight: Tensor | None = None, *, size: tuple[int, int]
) -> CorrespondenceError:
    """The expected error of places drawn uniformly over the image: the level of a frame that has learnt nothing.

    For true points that are uniform themselves 0.5214 of the side of a square, (2 + sqrt 2 + 5 log(1 + sqrt 2)) / 15;
    less for objects in the middle of the image. Arguments as in :func:`correspondence_error`.

    Raises:
        ValueError: unless the true points are ``[N, P, 2]``.
    """
    if true.ndim != 3 or true.shape[-1] != 2:
        raise ValueError(f"expected points [N, P, 2], got {list(true.shape)}")
    cells = grid_points(*size, like=true) * half_sizes(*size, like=true)
    unit = _pixels_of(width, size, true)
    known = ~torch.isnan(true).any(-1)
    places = torch.where(known[..., None], true, 0.0) * half_sizes(*size, like=true)
    parts = []
    for image, one in zip(places, unit, strict=True):
        distance = torch.cdist(image, cells)
        near = [(distance <= share * one).to(distance).mean(-1) for share in (0.05, 0.10)]
        parts.append(torch.stack([distance.mean(-1), *near]))
    mean, near_5, near_10 = torch.stack(parts, 1) if parts else places.new_zeros(3, *known.shape)
    return _means(mean, near_5, near_10, torch.ones_like(known), _counted(known, weight), unit)


def _summed(
    distance: Tensor, known: Tensor, width: Tensor | float | None, weight: Tensor | None, size: tuple[int, int]
) -> CorrespondenceError:
    unit = _pixels_of(width, size, distance)
    there = ~torch.isnan(distance)
    off = distance.nan_to_num(torch.inf)
    near_5, near_10 = ((off <= share * unit[:, None]).to(distance) for share in (0.05, 0.10))
    return _means(distance.nan_to_num(0.0), near_5, near_10, there, _counted(known, weight), unit)


def _means(
    distance: Tensor, near_5: Tensor, near_10: Tensor, there: Tensor, counted: Tensor, unit: Tensor
) -> CorrespondenceError:
    total, found = counted.sum(-1), (counted * there).sum(-1)
    pixels = (distance * counted * there).sum(-1) / found  # 0 / 0 = nan: an image without points
    share_5, share_10, seen = ((values * counted).sum(-1) / total * 100 for values in (near_5, near_10, there))
    return CorrespondenceError(pixels, pixels / unit * 100, share_5, share_10, 100 - seen)


def _counted(known: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return known.to(torch.get_default_dtype())
    if weight.shape not in (known.shape, known.shape[-1:]):
        raise ValueError(f"expected weight {list(known.shape)} or [{known.shape[-1]}], got {list(weight.shape)}")
    if not bool((weight >= 0).all()):
        raise ValueError("expected weights of 0 or more")
    weight = weight if weight.is_floating_point() else weight.to(torch.get_default_dtype())
    return known * weight


def _pixels_of(width: Tensor | float | None, size: tuple[int, int], like: Tensor) -> Tensor:
    """The unit of per cents in pixels, ``[N]``."""
    unit = torch.as_tensor(size[1] if width is None else width).to(like)
    if unit.ndim > 1 or (unit.ndim == 1 and len(unit) != len(like)):
        raise ValueError(f"expected a width for each of {len(like)} images, got {list(unit.shape)}")
    if not bool((unit > 0).all()):
        raise ValueError("expected widths above 0 (pixels)")
    return unit.expand(len(like))
