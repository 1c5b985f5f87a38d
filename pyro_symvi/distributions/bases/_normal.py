"""The normal base."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from scipy import special

from ._base import Array, Base, Tail


@dataclass(frozen=True)
class Normal(Base):
    r""":math:`q_0(\xi) = (2\pi)^{-d/2} e^{-\lVert\xi\rVert^2/2}`: the only law both spherical and a product."""

    name: ClassVar[str] = "normal"

    @property
    def spherical(self) -> bool:
        """True."""
        return True

    @property
    def log_concave(self) -> bool:
        """True."""
        return True

    @property
    def strictly_log_concave(self) -> bool:
        """True."""
        return True

    def tail(self, dim: int) -> Tail:
        r""":math:`e^{-r^2}`."""
        return Tail("exponential", 2.0)

    def distribution(self, dim: int, like: torch.Tensor) -> dist.TorchDistribution:
        """Independent standard normals."""
        return dist.Normal(like.new_zeros(dim), like.new_ones(dim)).to_event(1)

    def cdf(self, x: Array, dim: int = 1) -> Array:
        """The error function."""
        return np.asarray(special.ndtr(x))

    def quantile(self, u: Array, dim: int = 1) -> Array:
        """Probit."""
        return np.asarray(special.ndtri(u))

    def characteristic(self, t: Array) -> Array:
        r""":math:`e^{-t^2/2}`."""
        return np.exp(-0.5 * t**2)

    def variance(self, dim: int = 1) -> float:
        """1."""
        return 1.0
