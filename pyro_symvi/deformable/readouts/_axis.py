"""The axis of an object in an image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._points import half_sizes
from ..symmetry import FrameSymmetry
from ._match import match
from ._midline import midline, reflection

_ANGLES = 90
_ROUNDS = 5


@dataclass(frozen=True)
class SymmetryAxis:
    """A line in each of B images.

    Attributes:
        point: the point of the line nearest to the middle of the points it was fitted to, ``[B, 2]``.
        angle: from upright, radians in (-pi / 2, pi / 2], measured in pixels: positive where the upper end leans to
            the right. ``[B]``; nan for images with fewer than two points.
        spread: 1.4826 times the median distance of the points from the line, in pixels, ``[B]``: the standard
            deviation for normal ones. A line means something where this is small against the object.
        count: number of points of positive weight, LongTensor ``[B]``.
        size: height and width of the pixels.
    """

    point: Tensor
    angle: Tensor
    spread: Tensor
    count: Tensor
    size: tuple[int, int]

    @property
    def direction(self) -> Tensor:
        """Unit vectors along the lines in pixels, upwards, ``[B, 2]``."""
        return torch.stack([self.angle.sin(), -self.angle.cos()], -1)

    def ends(self, length: float = 1.0) -> Tensor:
        """Two points of each line, upper first, ``length`` heights of the image from its point: ``[B, 2, 2]``."""
        reach = length * self.size[0] * self.direction / half_sizes(*self.size, like=self.point)
        return torch.stack([self.point + reach, self.point - reach], 1)


def symmetry_axis(
    frames: Tensor,
    symmetry: FrameSymmetry,
    element: int | None = None,
    *,
    midpoints: bool = False,
    mask: Tensor | None = None,
    size: tuple[int, int] | None = None,
) -> SymmetryAxis:
    """The line of the least mean distance to the midline, or to the mid-points of partners.

    argmin over lines of sum_i w_i d(p_i, line): of distances, not of their squares, so that up to half of the points
    may lie anywhere. Found by search over angles, for each of which the best offset is a weighted median. The midline
    follows the trunk of a figure; the mid-points (u + v(u)) / 2 use every visible pair, and move with a raised arm.

    Args:
        frames: ``[B, D, h, w]``.
        symmetry: acts on the frames.
        element: number of a reflection; None for the first there is.
        midpoints: whether to use mid-points of partners (weight 1) instead of the midline (weight: its confidence).
        mask: cells of the object, bool ``[B, h, w]`` or ``[h, w]``; None for all.
        size: height and width of the pixels of ``spread`` and ``angle``; None for those of the frames.
    """
    height, width = frames.shape[-2:]
    size = (height, width) if size is None else size
    if midpoints:
        matrix = reflection(frames, symmetry, element).to(frames)
        visible = ~torch.isnan(frames).any(1) if mask is None else mask.bool().expand(len(frames), height, width)
        veiled = torch.where(visible[:, None], frames, torch.nan)
        cells = match(veiled, veiled)  # nan where hidden
        points = (cells + match(veiled, veiled, matrix)) / 2
        weight = (~torch.isnan(points).any(-1)).to(frames)
    else:
        line = midline(frames, symmetry, element, mask=mask)
        points, weight = line.points, line.confidence
    return fitted_axis(points, weight, size)


def fitted_axis(points: Tensor, weight: Tensor, size: tuple[int, int]) -> SymmetryAxis:
    """The line of the least weighted mean distance to points ``[B, M, 2]`` of weights ``[B, M]``."""
    unit = half_sizes(*size, like=points)
    weight = torch.where(torch.isnan(points).any(-1), 0.0, weight)
    count = (weight > 0).sum(-1)
    if points.shape[1] == 0:
        nothing = points.new_full((len(points),), torch.nan)
        return SymmetryAxis(nothing[:, None].expand(-1, 2), nothing, nothing, count, size)
    places = points.nan_to_num(0.0) * unit
    spacing = math.pi / _ANGLES
    angle = torch.arange(_ANGLES, dtype=points.dtype, device=points.device) * spacing - math.pi / 2 + spacing
    angle = angle.expand(len(points), -1)
    best = angle[:, 0]
    for _ in range(_ROUNDS):
        cost, _ = _offsets(places, weight, angle)
        best = angle.gather(1, cost.argmin(1, keepdim=True))[:, 0]
        angle = best[:, None] + spacing * torch.linspace(-1, 1, 21, dtype=points.dtype, device=points.device)
        spacing /= 10
    _, offset = _offsets(places, weight, best[:, None])
    normal, along = torch.stack([best.cos(), best.sin()], -1), torch.stack([best.sin(), -best.cos()], -1)
    distance = ((places * normal[:, None]).sum(-1) - offset).abs()
    middle = _weighted_median((places * along[:, None]).sum(-1), weight)
    point = (normal * offset + along * middle[:, None]) / unit
    best = math.pi / 2 - torch.remainder(math.pi / 2 - best, math.pi)  # the line's angle, in (-pi / 2, pi / 2]
    known = count >= 2
    return SymmetryAxis(
        torch.where(known[:, None], point, torch.nan),
        torch.where(known, best, torch.nan),
        torch.where(known, 1.4826 * _weighted_median(distance, weight), torch.nan),
        count,
        size,
    )


def _offsets(places: Tensor, weight: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean distance and the offset along the normal (cos, sin) of each angle, ``[B, A]``."""
    normal = torch.stack([angle.cos(), angle.sin()], -2)
    across = (places @ normal).mT  # [B, A, M]
    weight = weight[:, None].expand_as(across)
    offset = _weighted_median(across, weight)
    return ((across - offset[..., None]).abs() * weight).sum(-1) / weight.sum(-1).clamp_min(1e-30), offset


def _weighted_median(values: Tensor, weight: Tensor) -> Tensor:
    """The least value with half of the weight at or below it, over the last axis."""
    ordered, order = values.sort(-1)
    below = weight.gather(-1, order).cumsum(-1)
    place = (below < below[..., -1:] / 2).sum(-1, keepdim=True)
    return ordered.gather(-1, place.clamp_max(values.shape[-1] - 1))[..., 0]
