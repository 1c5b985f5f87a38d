"""The base class of losses of a pair of frames."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..._value import Value
from .._points import grid_points, half_sizes
from ._by_pair import LossByPair
from ._levels import CollapseLevels


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
        height, width = second.shape[-2:]
        if weight is None:
            share = points.new_full(points.shape[:2], 1 / max(1, points.shape[1]))
        else:
            share = weight / weight.sum(-1, keepdim=True).clamp_min(1e-9)
            points = torch.where(weight[..., None] > 0, points, 0.0)  # what does not count may be anything, even nan

        def loss_of(pair: int, logits: Tensor) -> Tensor:
            return self._pay(logits[:, None], points[pair : pair + 1], height, width)[:, 0] @ share[pair].to(logits)

        losses: Tensor = LossByPair.apply(_moved(first, matrices), second.flatten(2), loss_of)
        return losses[0] if matrices is None else losses

    def levels(self, height: int, width: int) -> CollapseLevels:
        """What frames of ``height`` times ``width`` cells pay that know nothing, on pairs that were not warped."""
        points = grid_points(height, width, like=torch.zeros((), dtype=torch.float64))[None]
        flat = self._pay(torch.zeros(1, len(points[0]), len(points[0]), dtype=torch.float64), points, height, width)
        return CollapseLevels(float(flat.mean()), self._best_law(points, height, width))

    @abstractmethod
    def _best_law(self, points: Tensor, height: int, width: int) -> float:
        """The least mean cost of a law p(v) that is the same for all points ``[1, N, 2]``."""

    @abstractmethod
    def _pay(self, logits: Tensor, points: Tensor, height: int, width: int) -> Tensor:
        """What each point costs, ``[..., B, N]``, from logits ``[..., B, N, height * width]``."""


def offsets_to_cells(points: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """From points ``[B, N, 2]`` to the columns ``[B, N, width]`` and rows ``[B, N, height]``, in cells of the frame."""
    cells = (points + 1) * half_sizes(height, width, like=points) - 0.5
    x = cells[..., 0, None] - torch.arange(width, dtype=points.dtype, device=points.device)
    y = cells[..., 1, None] - torch.arange(height, dtype=points.dtype, device=points.device)
    return x, y


def squares_to_cells(points: Tensor, height: int, width: int) -> Tensor:
    """Squared distances ``[B, N, height * width]`` from points to the centres of cells, in cells of the frame.

    From differences of coordinates: |p|^2 - 2 p c + |c|^2 would leave a hundredth of a cell of rounding at distance 0,
    a tenth of a cell under a root.
    """
    x, y = offsets_to_cells(points, height, width)
    return (y.square()[..., :, None] + x.square()[..., None, :]).flatten(-2)


def _moved(first: Tensor, matrices: Tensor | None) -> Tensor:
    """A Phi(u), ``[n, B, h w, D]``; n = 1 without matrices."""
    source = first.flatten(2).mT
    if matrices is None:
        return source[None]
    return source @ (matrices if matrices.ndim == 4 else matrices[:, None]).mT.to(source)


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
