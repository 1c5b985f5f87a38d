"""Thin-plate splines over a square grid of control points."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy
import torch
from torch import Tensor

from .._points import grid_points
from ._warp import Warp


class ThinPlateSpline(Warp):
    """The smoothest maps that move control points c_k to c_k + d_k.

        s(u) = u + a + L u + sum_k w_k U(|u - c_k|),   U(r) = r^2 log r,   sum_k w_k = 0,   sum_k w_k c_k^T = 0

    minimises the bending energy, the integral of the squared second derivatives, among all maps with s(c_k) = c_k +
    d_k. Affine displacements are reproduced exactly (w = 0). The linear system is that of the control points alone and
    solved once for each ``rows``. Duchon (1977); Bookstein, "Principal warps" (1989).

    Args:
        displacements: d, ``[B, rows^2, 2]``, in the order of ``control_points(rows)``: row by row from the upper left
            corner of the image to the lower right, rows >= 2.

    Raises:
        ValueError: for other shapes and for displacements that are not finite.
    """

    def __init__(self, displacements: Tensor) -> None:
        rows = math.isqrt(displacements.shape[1]) if displacements.ndim == 3 else 0
        if rows < 2 or rows**2 != displacements.shape[1] or displacements.shape[2] != 2:
            raise ValueError(
                f"expected displacements [B, rows^2, 2] with rows >= 2, got {list(displacements.shape)}; try one for "
                "each of control_points(5)"
            )
        if not displacements.is_floating_point() or not bool(displacements.isfinite().all()):
            raise ValueError(
                f"expected finite displacements of a floating dtype, got {displacements.dtype} with "
                f"{int((~displacements.isfinite()).sum())} entries not finite"
            )
        self.displacements = displacements
        self.rows = rows
        solution = _tensor(_system(rows), displacements) @ displacements
        self._weights = solution[:, :-3]
        self._drift = solution[:, -3:]
        """Coefficients of 1, x and y, ``[B, 3, 2]``."""

    def __len__(self) -> int:
        return len(self.displacements)

    def __getitem__(self, index: Tensor | slice) -> ThinPlateSpline:
        return ThinPlateSpline(self.displacements[index])

    def least_jacobian(self, side: int = 32) -> Tensor:
        """The least determinant of ds / du over a grid of ``side``^2 points of the image, ``[B]``: a fold if <= 0."""
        by_x, by_y = (_tensor(part, self.displacements) @ self.displacements for part in _slopes(self.rows, side))
        found = (1 + by_x[..., 0]) * (1 + by_y[..., 1]) - by_x[..., 1] * by_y[..., 0]
        return found.amin(-1)

    def _on_grid(self, height: int, width: int) -> Tensor:
        moved = _tensor(_values(self.rows, height, width), self.displacements) @ self.displacements
        return moved + grid_points(height, width, like=moved)

    def _affine(self) -> tuple[Tensor, Tensor]:
        eye = torch.eye(2, dtype=self._drift.dtype, device=self._drift.device)
        return eye + self._drift[:, 1:].mT, self._drift[:, 0]

    def _linear(self, points: Tensor) -> tuple[Tensor, Tensor]:
        # With l_k = log |u - c_k|, value and slopes are all made of sum_k l_k (w_k, w_k c_k^T, w_k |c_k|^2): one
        # logarithm a point and control point, one product of matrices. The rest vanishes by the two side conditions.
        # Rounding of |u - c_k|^2 counts little: where it matters to l_k, r^2 and so r^2 l_k is small.
        controls, weights = control_points(self.rows, like=points), self._weights.to(points)
        lengths = controls.square().sum(-1, keepdim=True)
        columns = torch.cat([weights, weights * controls[:, :1], weights * controls[:, 1:], weights * lengths], -1)
        around = torch.cat([points, points.square().sum(-1, keepdim=True), torch.ones_like(points[..., :1])], -1)
        squares = around @ torch.cat([-2 * controls, torch.ones_like(lengths), lengths], -1).mT
        sums = squares.clamp_min(_TINY**2).log() @ (columns / 2)
        total, by_x, by_y, by_square = sums.view(*points.shape[:2], 4, 2).unbind(2)
        x, y = points[..., :1], points[..., 1:]
        matrices, offsets = (part.to(points) for part in self._affine())
        bent = (x.square() + y.square()) * total - 2 * (x * by_x + y * by_y) + by_square
        slopes = 2 * torch.stack([x * total - by_x, y * total - by_y], -1)
        return points @ matrices.mT + offsets[:, None] + bent, slopes + matrices[:, None]


def control_points(rows: int, *, like: Tensor | None = None) -> Tensor:
    """``rows``^2 points on a square grid from (-1, -1) to (1, 1), row by row, ``[rows^2, 2]``."""
    like = torch.zeros(()) if like is None else like
    return _tensor(_controls(rows), like)


# -- numbers of a grid of control points alone, kept as arrays and not as tensors --------------------------------------
_TINY = 1e-12
"""A distance below which r^2 log r and its slope are 0 in any dtype."""


def _tensor(array: numpy.ndarray[Any, Any], like: Tensor) -> Tensor:
    return torch.tensor(array, dtype=like.dtype, device=like.device)


def _product(x: numpy.ndarray[Any, Any], y: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """All points (x_j, y_i), row by row, ``[N, 2]``."""
    return numpy.stack(numpy.meshgrid(x, y), -1).reshape(-1, 2)


def _controls(rows: int) -> numpy.ndarray[Any, Any]:
    side = numpy.linspace(-1, 1, rows)
    return _product(side, side)


def _pixels(height: int, width: int) -> numpy.ndarray[Any, Any]:
    return _product((2 * numpy.arange(width) + 1) / width - 1, (2 * numpy.arange(height) + 1) / height - 1)


def _logarithms(points: numpy.ndarray[Any, Any], rows: int) -> tuple[Any, Any]:
    """Differences to control points ``[N, K, 2]`` and the logarithms of their lengths ``[N, K]``."""
    apart = points[:, None] - _controls(rows)
    return apart, numpy.log(numpy.maximum(numpy.linalg.norm(apart, axis=-1), _TINY))


@lru_cache(maxsize=16)
def _system(rows: int) -> numpy.ndarray[Any, Any]:
    """The map from displacements to weights and drift, ``[K + 3, K]``."""
    controls = _controls(rows)
    apart, logs = _logarithms(controls, rows)
    affine = numpy.concatenate([numpy.ones((len(controls), 1)), controls], 1)
    matrix = numpy.block([[(apart**2).sum(-1) * logs, affine], [affine.T, numpy.zeros((3, 3))]])
    found: numpy.ndarray[Any, Any] = numpy.linalg.inv(matrix)[:, : len(controls)]
    return found


@lru_cache(maxsize=64)
def _values(rows: int, height: int, width: int) -> numpy.ndarray[Any, Any]:
    """The map from displacements of control points to those of pixels, ``[N, K]``."""
    points = _pixels(height, width)
    apart, logs = _logarithms(points, rows)
    basis = numpy.concatenate([(apart**2).sum(-1) * logs, numpy.ones((len(points), 1)), points], 1)
    found: numpy.ndarray[Any, Any] = basis @ _system(rows)
    return found


@lru_cache(maxsize=64)
def _slopes(rows: int, side: int) -> tuple[numpy.ndarray[Any, Any], numpy.ndarray[Any, Any]]:
    """The maps from displacements to their derivatives by x and by y at pixels, ``[N, K]`` each."""
    points = _pixels(side, side)
    apart, logs = _logarithms(points, rows)
    slopes = 2 * apart * logs[..., None]  # and apart itself, which the side conditions cancel
    one, zero = numpy.ones((len(points), 1)), numpy.zeros((len(points), 1))
    system = _system(rows)
    return (
        numpy.concatenate([slopes[..., 0], zero, one, zero], 1) @ system,
        numpy.concatenate([slopes[..., 1], zero, zero, one], 1) @ system,
    )
