"""The logistic base."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from scipy import special

from ._base import Array, Base, Tail


@dataclass(frozen=True)
class Logistic(Base):
    r"""Product of logistic laws, :math:`q_0(\xi) = \prod_i e^{-\xi_i}/(1+e^{-\xi_i})^2`."""

    name: ClassVar[str] = "logistic"

    @property
    def log_concave(self) -> bool:
        """True."""
        return True

    @property
    def strictly_log_concave(self) -> bool:
        """True."""
        return True

    def tail(self, dim: int) -> Tail:
        r""":math:`e^{-r}`."""
        return Tail("exponential", 1.0)

    def distribution(self, dim: int, like: torch.Tensor) -> dist.TorchDistribution:
        """Independent logistic laws of scale 1."""
        return dist.Logistic(like.new_zeros(dim), like.new_ones(dim)).to_event(1)

    def cdf(self, x: Array, dim: int = 1) -> Array:
        """Sigmoid."""
        return np.asarray(special.expit(x))

    def quantile(self, u: Array, dim: int = 1) -> Array:
        """Logit."""
        return np.asarray(special.logit(u))

    def characteristic(self, t: Array) -> Array:
        r""":math:`\pi t/\sinh(\pi t)`."""
        x = np.pi * np.abs(t)
        with np.errstate(all="ignore"):
            return np.where(x < 1e-8, 1.0, 2 * x * np.exp(-x) / -np.expm1(-2 * x))

    def variance(self, dim: int = 1) -> float:
        r""":math:`\pi^2/3`."""
        return math.pi**2 / 3
