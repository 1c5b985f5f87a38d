"""The uniform law on the unit ball as a base."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from scipy import special

from ._base import Array, Base, Tail
from ._radial import Radial, RadialLaw, spherical_noise


@dataclass(frozen=True)
class _BallRadius(RadialLaw):
    """The radius of a uniform point of the unit ball of R^dim."""

    def log_profile(self, r: torch.Tensor) -> torch.Tensor:
        inside = torch.where(r <= 1, 0.0, -torch.inf).to(r)
        return inside - self.log_ball_volume()

    def draw(self, shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
        return torch.rand(shape, dtype=like.dtype, device=like.device) ** (1 / self.dim)


@dataclass(frozen=True)
class UniformBall(Base):
    r"""Uniform on the unit ball, :math:`q_0(\xi) = 1[\lVert\xi\rVert\le1]/V_d`; the interval [-1, 1] in one dimension.

    Its density is zero outside: a divergence with alpha > 0 (forward KL among them) has no useful gradient in the
    parameters, and none at all at alpha >= 1 for targets with full support. For reverse KL, log q is a constant.
    """

    name: ClassVar[str] = "uniform_ball"
    full_support: ClassVar[bool] = False

    @property
    def spherical(self) -> bool:
        """True."""
        return True

    @property
    def log_concave(self) -> bool:
        """True: the indicator of a convex set."""
        return True

    @property
    def strictly_log_concave(self) -> bool:
        """False: it is flat."""
        return False

    def tail(self, dim: int) -> Tail:
        """Zero beyond radius 1."""
        return Tail("compact", float("inf"))

    def distribution(self, dim: int, like: torch.Tensor) -> dist.TorchDistribution:
        """The spherical law with this radius."""
        return Radial(_BallRadius(dim), like)

    def cdf(self, x: Array, dim: int = 1) -> Array:
        r""":math:`(1+\xi_1)/2` is Beta((d+1)/2, (d+1)/2)."""
        half = (dim + 1) / 2
        return np.asarray(special.betainc(half, half, np.clip((1 + np.asarray(x)) / 2, 0, 1)))

    def quantile(self, u: Array, dim: int = 1) -> Array:
        """From the Beta law."""
        half = (dim + 1) / 2
        return 2 * np.asarray(special.betaincinv(half, half, u)) - 1

    def variance(self, dim: int = 1) -> float:
        """1 / (d + 2)."""
        return 1 / (dim + 2)

    def noise(self, uniforms: Array) -> Array:
        """A uniform direction times U^(1/d)."""
        dim = uniforms.shape[-1] - 1
        return spherical_noise(uniforms, uniforms[:, -1] ** (1 / dim))

    def uniforms_needed(self, dim: int) -> int:
        """One more, for the radius."""
        return dim + 1
