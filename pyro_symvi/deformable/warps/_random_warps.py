"""Random warps: a similarity of the plane, then a smooth deformation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value, positive_int
from ._thin_plate_spline import ThinPlateSpline, control_points

_LEAST_AREA = 0.1
_ROUNDS = 50


@dataclass(frozen=True, eq=False, repr=False)
class RandomWarps(Value):
    """The law of s(u) = c Q(theta) u + t + thin-plate spline of e_k at control points.

    c is uniform within 1 +- scale, theta within +- angle, both coordinates of t within +- translation, all in units
    of the half side of an image; e_k is normal with standard deviation ``elastic`` in each coordinate. Warps that fold,
    or shrink an area to less than a tenth somewhere on a grid of 32 x 32, get another spline. The law is unchanged
    when conjugated by mirror images and quarter turns.

    Args:
        rows: control points along a side.
        translation: largest shift of x and of y.
        scale: largest relative change of size, below 1.
        angle: largest turn, in radians.
        elastic: standard deviation of the displacements; at most about a tenth of the spacing 2 / (rows - 1) keeps
            most draws.

    Raises:
        ValueError: for negative or infinite strengths, or a scale of 1 and more.
    """

    rows: int = 5
    translation: float = 0.1
    scale: float = 0.1
    angle: float = math.pi / 36
    elastic: float = 0.03

    def __post_init__(self) -> None:
        positive_int(self.rows, "rows", 2)
        for name in ("translation", "scale", "angle", "elastic"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"expected a finite {name} of 0 or more, got {value}")
        if self.scale >= 1:
            raise ValueError(f"expected a scale below 1, got {self.scale}, because sizes are within 1 +- scale")

    def sample(
        self, count: int, *, generator: torch.Generator | None = None, like: Tensor | None = None
    ) -> ThinPlateSpline:
        """``count`` independent warps, with dtype and device of ``like``.

        Raises:
            ValueError: where 50 draws in a row fold.
        """
        like = torch.zeros(()) if like is None else like
        positive_int(count, "count")
        controls = control_points(self.rows, like=torch.zeros((), dtype=like.dtype))
        base = self._similarities(count, controls, generator) - controls
        elastic = torch.zeros_like(base)
        missing = torch.arange(count)
        for _ in range(_ROUNDS):
            noise = torch.randn(len(missing), *base.shape[1:], generator=generator, dtype=like.dtype)
            elastic[missing] = self.elastic * noise
            found = ThinPlateSpline(base + elastic)
            missing = (found.least_jacobian() <= _LEAST_AREA).nonzero()[:, 0]
            if not len(missing):
                return ThinPlateSpline((base + elastic).to(like))
        raise ValueError(
            f"expected warps that do not fold, got {len(missing)} of {count} that did in each of {_ROUNDS} draws with "
            f"elastic={self.elastic} over {self.rows} control points a side; try elastic={0.2 / (self.rows - 1):.2g}"
        )

    def _similarities(self, count: int, controls: Tensor, generator: torch.Generator | None) -> Tensor:
        """Where similarities take the control points, ``[count, K, 2]``."""
        uniform = 2 * torch.rand(count, 4, generator=generator, dtype=controls.dtype) - 1
        size, angle = 1 + self.scale * uniform[:, 0], self.angle * uniform[:, 1]
        cos, sin = size * angle.cos(), size * angle.sin()
        matrices = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
        return controls @ matrices.mT + self.translation * uniform[:, None, 2:]
