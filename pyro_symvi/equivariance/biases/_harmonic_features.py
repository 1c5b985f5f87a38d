"""Spherical harmonics of vectors as input features: the degrees a network would otherwise have to build by depth."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..._value import positive_int
from ...groups._harmonics import solid_harmonics_up_to


class HarmonicFeatures(nn.Module):
    """r -> (r, rho, Y_1, ..., Y_L): vectors ``[..., 3]`` to features ``[..., 4 + L (L + 2)]``; no parameters.

    rho = sqrt(|r|^2 + s^2) and Y_l = sqrt(4 pi) S_l(r) / rho^l with the solid harmonics S_l in the order
    m = -l, ..., l: for |r| >> s the harmonics of the direction, with components of mean square 1 over the sphere, and
    smooth through r = 0. They transform exactly by D^l. A pointwise nonlinearity of a direction spreads energy over
    degrees with a fast decay (after one rectified layer 0.6 % is left at degree 4), so a target of degree 3 or more
    is hard to reach from r alone.

    Args:
        degree: L, at least 1.
        softening: s, in the units of r.

    Raises:
        ValueError: for a negative softening.
    """

    def __init__(self, degree: int, *, softening: float = 0.1) -> None:
        super().__init__()
        self.degree = positive_int(degree, "degree")
        if not softening >= 0:
            raise ValueError(f"expected softening >= 0, got {softening!r}")
        self.softening = float(softening)

    @property
    def size(self) -> int:
        """Number of features, 4 + L (L + 2)."""
        return 4 + self.degree * (self.degree + 2)

    def forward(self, vectors: Tensor) -> Tensor:
        """Features ``[..., size]`` of ``vectors [..., 3]``."""
        rho = (vectors.square().sum(-1, keepdim=True) + self.softening**2).sqrt()
        unit = vectors / rho
        harmonics = [math.sqrt(4 * math.pi) * y for y in solid_harmonics_up_to(self.degree, unit)[1:]]
        return torch.cat([vectors, rho, *harmonics], -1)

    def extra_repr(self) -> str:
        return f"degree={self.degree}, softening={self.softening}"
