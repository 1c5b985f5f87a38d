"""The base class of losses of a pair of frames."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..._value import Value
from .._points import grid_points, half_sizes


class PairLoss(Value, ABC):
    """How well the frame of one image finds its places in another: a number for each pair and each candidate element.

    Logits <A Phi(u; I), Phi(v; I')> make a law p(v | u) over the cells v of the second frame; a subclass says what
    it pays for p when the right place is known (``_pay``). Frames are taken as they are: their length is a confidence.
    """

    def __call__(
        self,
        first: Tensor,
        second: Tensor,
        points: Tensor,
        matrices: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        """The loss of each pair, ``[B]``, or ``[n, B]`` with ``matrices``.

        Args:
            first: frames ``[B, D, h, w]`` of the first images.
            second: frames ``[B, D, h', w']`` of the second.
            points: the right places, ``[B, h * w, 2]`` in the coordinates of the second image.
            matrices: n candidate maps A of the first frame, ``[n, B, D, D]`` or ``[n, D, D]``; None for the identity.
            weight: what each point counts, ``[B, h * w]``, not negative; None for 1. A pair of weight 0 has loss 0.

        Raises:
            ValueError: for shapes that do not belong together.
        """
        _check(first, second, points, matrices, weight)
        logits = correlation(first, second, matrices)
        paid = self._pay(logits, points, second.shape[-2], second.shape[-1])
        if weight is None:
            return paid.mean(-1)
        return (paid * weight).sum(-1) / weight.sum(-1).clamp_min(1e-9)

    @abstractmethod
    def _pay(self, logits: Tensor, points: Tensor, height: int, width: int) -> Tensor:
        """What each point costs, ``[..., B, N]``, from logits ``[..., B, N, height * width]``."""


def correlation(first: Tensor, second: Tensor, matrices: Tensor | None = None) -> Tensor:
    """Inner products <A Phi(u), Phi'(v)> of all places, ``[B, h w, h' w']``, or ``[n, B, ...]`` with matrices."""
    source, target = first.flatten(2).mT, second.flatten(2)
    if matrices is not None:
        source = source @ matrices.mT.to(source) if matrices.ndim == 4 else source @ matrices[:, None].mT.to(source)
    return source @ target


def distances_to_cells(points: Tensor, height: int, width: int) -> Tensor:
    """Distances ``[B, N, height * width]`` from points to the centres of cells, in cells (pixels of the frame)."""
    size = half_sizes(height, width, like=points)
    return torch.cdist(points * size, (grid_points(height, width, like=points) * size).expand(len(points), -1, 2))


def _check(first: Tensor, second: Tensor, points: Tensor, matrices: Tensor | None, weight: Tensor | None) -> None:
    if first.ndim != 4 or second.ndim != 4 or first.shape[:2] != second.shape[:2]:
        raise ValueError(
            f"expected two frames [B, D, h, w] of one batch and dimension, got {list(first.shape)} and "
            f"{list(second.shape)}"
        )
    batch, dim, height, width = first.shape
    if tuple(points.shape) != (batch, height * width, 2):
        raise ValueError(f"expected points [{batch}, {height * width}, 2], got {list(points.shape)}")
    if weight is not None and tuple(weight.shape) != (batch, height * width):
        raise ValueError(f"expected weight [{batch}, {height * width}], got {list(weight.shape)}")
    if matrices is not None and (
        matrices.ndim not in (3, 4)
        or tuple(matrices.shape[-2:]) != (dim, dim)
        or (matrices.ndim == 4 and matrices.shape[1] != batch)
    ):
        raise ValueError(
            f"expected matrices [n, {dim}, {dim}] or [n, {batch}, {dim}, {dim}], got {list(matrices.shape)}"
        )
