"""How noise turns into data: x_t = alpha x_0 + beta x_1 + gamma eps."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import Value


class Interpolant(Value, ABC):
    """A path from the prior at t = 0 to data at t = 1: x_t = alpha(t) x_0 + beta(t) x_1 + gamma(t) eps.

    alpha(0) = beta(1) = 1 and alpha(1) = beta(0) = gamma(0) = gamma(1) = 0. With a prior x_0 of covariance Sigma,
    x_t given x_1 is normal about beta x_1 with covariance C = alpha^2 Sigma + gamma^2.

    To implement one, write a frozen dataclass (``eq=False, repr=False``) with ``_alpha``, ``_beta`` and their
    derivatives; gamma^2 and its derivative are 0 unless given. All are elementwise functions of t in [0, 1].

    Source: Albergo, Boffi and Vanden-Eijnden, Stochastic interpolants, arXiv 2303.08797, section 2.
    """

    def alpha(self, t: Tensor) -> Tensor:
        """Weight of the prior's draw."""
        return self._alpha(t)

    def beta(self, t: Tensor) -> Tensor:
        """Weight of the data."""
        return self._beta(t)

    def beta_rate(self, t: Tensor) -> Tensor:
        """The derivative of beta."""
        return self._beta_rate(t)

    def gamma_squared(self, t: Tensor) -> Tensor:
        """gamma^2."""
        return self._gamma_squared(t)

    def variance(self, t: Tensor, prior: Tensor) -> Tensor:
        """C = alpha^2 sigma^2 + gamma^2, where ``prior`` is the prior's variance sigma^2 (broadcast with t)."""
        return self._alpha(t).square() * prior + self._gamma_squared(t)

    def half_variance_rate(self, t: Tensor, prior: Tensor) -> Tensor:
        """(dC/dt) / 2 = alpha alpha' sigma^2 + gamma gamma'."""
        return self._alpha(t) * self._alpha_rate(t) * prior + self._gamma_squared_rate(t) / 2

    @abstractmethod
    def _alpha(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _beta(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _alpha_rate(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _beta_rate(self, t: Tensor) -> Tensor: ...

    def _gamma_squared(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def _gamma_squared_rate(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)


@dataclass(frozen=True, eq=False, repr=False)
class Linear(Interpolant):
    """alpha = 1 - t, beta = t (flow matching), with a bridge noise gamma = bridge sqrt(t (1 - t)) where wanted.

    Args:
        bridge: standard deviation of the bridge noise in units of the data; 0, the default, for none.

    Raises:
        ValueError: for a bridge that is negative or not finite.
    """

    bridge: float = 0.0

    def __post_init__(self) -> None:
        if not (isinstance(self.bridge, int | float) and 0 <= self.bridge < math.inf):
            raise ValueError(f"expected a finite bridge >= 0, got {self.bridge!r}")

    def _alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def _beta(self, t: Tensor) -> Tensor:
        return t

    def _alpha_rate(self, t: Tensor) -> Tensor:
        return -torch.ones_like(t)

    def _beta_rate(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def _gamma_squared(self, t: Tensor) -> Tensor:
        return self.bridge**2 * t * (1 - t)

    def _gamma_squared_rate(self, t: Tensor) -> Tensor:
        return self.bridge**2 * (1 - 2 * t)


@dataclass(frozen=True, eq=False, repr=False)
class Trigonometric(Interpolant):
    """alpha = cos(pi t / 2), beta = sin(pi t / 2): the variance stays put where data have the prior's.

    The cosine is taken as sin(pi (1 - t) / 2), which is 0 at t = 1 in every dtype and never negative.
    """

    def _alpha(self, t: Tensor) -> Tensor:
        return torch.sin(math.pi / 2 * (1 - t))

    def _beta(self, t: Tensor) -> Tensor:
        return torch.sin(math.pi / 2 * t)

    def _alpha_rate(self, t: Tensor) -> Tensor:
        return -math.pi / 2 * torch.sin(math.pi / 2 * t)

    def _beta_rate(self, t: Tensor) -> Tensor:
        return math.pi / 2 * torch.sin(math.pi / 2 * (1 - t))
