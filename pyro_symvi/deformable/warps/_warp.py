"""Smooth maps of the image plane that can be undone."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

_LONGEST_STEP = 0.5


class Warp(ABC):
    """B maps s of the plane to itself, read as sampling maps: the warped image is J(u) = I(s(u)).

    ``forward`` therefore goes from a point of the warped image to the point of the original that is shown there. What
    lies at p in the original is seen at s^-1(p): landmarks, and whatever else is carried along, go by ``inverse``.
    Points are those of images: (x, y) in ``[-1, 1]^2``, x to the right, y downwards.

    To implement one, give ``__len__``, ``_values`` and ``_linear`` (values and Jacobian matrices at points, both
    ``[B, N, ...]``) and ``_affine`` (the affine map near it, from which the inverse starts).
    """

    @abstractmethod
    def __len__(self) -> int:
        """Number of maps."""

    def forward(self, points: Tensor) -> Tensor:
        """s(u) at points ``[B, N, 2]``, or ``[N, 2]`` for all maps: ``[B, N, 2]``."""
        return self._linear(self._checked(points))[0]

    def jacobians(self, points: Tensor) -> Tensor:
        """The matrices ds_i / du_j at points ``[B, N, 2]`` or ``[N, 2]``: ``[B, N, 2, 2]``."""
        return self._linear(self._checked(points))[1]

    def on_grid(self, height: int, width: int) -> Tensor:
        """Values of s at the centres of the pixels of an image, row by row: ``[B, height * width, 2]``."""
        return self._on_grid(height, width)

    @torch.no_grad()
    def inverse(self, points: Tensor, *, tolerance: float = 1e-5, max_steps: int = 30) -> Tensor:
        """The points u with s(u) = p, by Newton's method; it carries no gradient.

        Args:
            points: p, ``[B, N, 2]``, or ``[N, 2]`` for all maps.
            tolerance: on the distance of s(u) from p, in units of the half side of an image. One more step is taken
                once it is met.
            max_steps: after which a point is given up.

        Returns:
            u, ``[B, N, 2]``, nan where p is not finite, and where no solution was found: p is then no value of s
            near the image. Far outside an image s may take a value twice; one of the points is found.
        """
        points = self._checked(points)
        known = points.isfinite().all(-1)
        matrices, offsets = self._affine()
        found = _solved(matrices.to(points)[:, None], points - offsets.to(points)[:, None])
        for _ in range(max_steps):
            values, jacobians = self._linear(found)
            residual = values - points
            step = _solved(jacobians, residual)
            length = step.norm(dim=-1, keepdim=True)
            found = found - step * (_LONGEST_STEP / length.clamp_min(_LONGEST_STEP))
            missed = known & ~(residual.norm(dim=-1) <= tolerance)  # nan on the way is a miss
            if not bool(missed.any()):
                return found
        return found.masked_fill(missed[..., None], torch.nan)

    # -- what a warp has to say -------------------------------------------------------------------------------------
    @abstractmethod
    def _linear(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Values ``[B, N, 2]`` and Jacobian matrices ``[B, N, 2, 2]`` at points ``[B, N, 2]``."""

    @abstractmethod
    def _affine(self) -> tuple[Tensor, Tensor]:
        """Matrices ``[B, 2, 2]`` and offsets ``[B, 2]`` of affine maps close by."""

    @abstractmethod
    def _on_grid(self, height: int, width: int) -> Tensor: ...

    def _checked(self, points: Tensor) -> Tensor:
        if points.ndim not in (2, 3) or points.shape[-1] != 2 or (points.ndim == 3 and len(points) != len(self)):
            raise ValueError(f"expected points [N, 2] or [{len(self)}, N, 2], got {list(points.shape)}")
        if not points.is_floating_point():
            raise TypeError(f"expected points of a floating dtype, got {points.dtype}")
        return points.expand(len(self), -1, 2)


def _solved(matrices: Tensor, right: Tensor) -> Tensor:
    """A^-1 b for 2 x 2 matrices, nan or inf where singular."""
    (a, b), (c, d) = matrices[..., 0, :].unbind(-1), matrices[..., 1, :].unbind(-1)
    x, y = right.unbind(-1)
    return torch.stack([d * x - b * y, a * y - c * x], -1) / (a * d - b * c)[..., None]
