"""Rotations in an inner product that may have to be found: elliptical symmetry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._affine_action import AffineAction
from ._orthogonal import Orthogonal
from ._rotation_maps import reflection_to_axis


@dataclass(frozen=True, eq=False, repr=False)
class EllipticalRotation(AffineAction):
    """z_J -> c_J + R g R^-1 (z_J - c_J) for g in O(|J|), where R is the lower Cholesky factor of the shape M = R R^T.

    Any other root R' = R Q gives the same set of maps, with g relabelled to Q g Q^T. Invariant laws are those with
    elliptical contours (z - c)^T M^-1 (z - c) = const; their mean is c and their covariance a multiple of M.
    """

    shape: Tensor | Sequence[Sequence[float]] | None = None

    def __init__(
        self,
        center: Tensor | Sequence[float] | float | None = None,
        shape: Tensor | Sequence[Sequence[float]] | None = None,
        coordinates: Sequence[int] | None = None,
        *,
        dim: int | None = None,
    ) -> None:
        object.__setattr__(self, "shape", None if shape is None else _positive_definite(shape))
        super().__init__(center, coordinates, dim=dim)

    @property
    def group(self) -> Orthogonal:
        if self.coordinates is None:
            raise ValueError(
                f"expected known coordinates, got {self!r}, because its group is O(number of coordinates); "
                "try .bind(dim, center=..., shape=...)"
            )
        return Orthogonal(len(self.coordinates))

    def _missing(self) -> list[str]:
        return super()._missing() + (["shape"] if self.shape is None else [])

    def _bind_shape(self, index: Tensor, dim: int, shape: object) -> dict[str, object]:
        known = self.shape if self.shape is not None else shape
        if known is None:
            return {}
        matrix = _positive_definite(known)
        if len(matrix) == dim != len(index):
            rows = index.to(matrix.device)
            matrix = matrix[rows][:, rows]
        if len(matrix) != len(index):
            raise ValueError(
                f"expected a shape matrix of size {len(index)} (moved) or {dim} (the space), got {len(matrix)}"
            )
        return {"shape": matrix}

    def _root(self, like: Tensor) -> Tensor:
        if not isinstance(self.shape, Tensor):
            raise ValueError(f"expected a bound action, got {self!r}, whose shape is open; try .bind(dim, shape=...)")
        return torch.linalg.cholesky(self.shape).to(like)

    def _act_block(self, g: Tensor, block: Tensor, center: Tensor) -> Tensor:
        root = self._root(block)
        white = torch.linalg.solve_triangular(root, (block - center)[..., None], upper=False)
        return center + (root @ (g @ white))[..., 0]

    def _block_matrix(self, g: Tensor) -> Tensor:
        root = self._root(g)
        return root @ torch.linalg.solve_triangular(root, g, upper=False, left=False)

    def _frame(self) -> Tensor:
        index = self._bound_index(torch.device("cpu"))
        frame = torch.eye(self._known_dim(), dtype=torch.float64)
        root = self._root(frame)
        frame[index[:, None], index] = root
        return frame

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The point of the orbit at R |w| e_1, w = R^-1 (x - c), reached by the Householder reflection w -> |w| e_1."""
        index = self._bound_index(x.device)
        offset = self._offset(x).index_select(-1, index)
        white = torch.linalg.solve_triangular(self._root(x), offset[..., None], upper=False)[..., 0]
        g = reflection_to_axis(white)
        return self._act(g, x), g


def _positive_definite(value: object) -> Tensor:
    """A copy of the matrix, checked to be square, finite, symmetric and positive definite."""
    try:
        matrix = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"expected a shape matrix of numbers, got {value!r}; try a tensor [n, n]") from error
    if not isinstance(value, Tensor) or not matrix.is_floating_point():
        matrix = torch.as_tensor(value, dtype=torch.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"expected a square shape matrix, got shape {list(matrix.shape)}; try one action for each matrix"
        )
    if not bool(torch.isfinite(matrix).all()):
        raise ValueError("expected a finite shape matrix, got one with nan or inf")
    scale = float(matrix.abs().max())
    asymmetry = float((matrix - matrix.mT).abs().max())
    if asymmetry > 1e-6 * scale:
        raise ValueError(f"expected a symmetric shape matrix, got asymmetry {asymmetry:.3g}; try (M + M.T) / 2")
    matrix = (matrix + matrix.mT) / 2
    if bool(torch.linalg.cholesky_ex(matrix.detach()).info != 0):
        raise ValueError(
            "expected a positive definite shape matrix, got one whose Cholesky factorisation fails, because an "
            "elliptical symmetry needs an inner product; try the covariance of full-rank draws"
        )
    return matrix
