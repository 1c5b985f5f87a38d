r"""Base laws :math:`q_0` of location-scale families: :math:`z = \nu + C\xi,\ \xi\sim q_0`, even about zero.

To add one, subclass `Base`, fill in its four formulas, and list it in `BASES`; the contract tests take it from there.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from scipy import special

Array = np.ndarray[Any, np.dtype[np.float64]]


class Base(ABC):
    r"""A symmetric law on :math:`\mathbb R^d`: a product of one law per coordinate, or spherical."""

    name: ClassVar[str]

    @property
    def spherical(self) -> bool:
        r"""Whether the density depends on :math:`\lVert\xi\rVert` alone; if not, the coordinates are independent."""
        return False

    @abstractmethod
    def distribution(self, dim: int, like: torch.Tensor) -> dist.TorchDistribution:
        """The law as a Pyro distribution with ``event_shape (dim,)``, in ``like``'s dtype and device."""

    @abstractmethod
    def quantile(self, u: Array) -> Array:
        """Inverse distribution function of one coordinate, ``u`` in (0, 1)."""

    @abstractmethod
    def characteristic(self, t: Array) -> Array:
        r"""Characteristic function :math:`E e^{it\xi_1}` of one coordinate (real, since the law is even)."""

    @property
    @abstractmethod
    def variance(self) -> float:
        r"""Variance of one coordinate; ``inf`` or ``nan`` where it does not exist."""

    @property
    def has_mean(self) -> bool:
        """Whether the first moment exists."""
        return True

    def noise(self, uniforms: Array) -> Array:
        """Draws ``[n, dim]`` from uniforms ``[n, uniforms_needed(dim)]`` by inversion; quasi-random points will do."""
        return self.quantile(uniforms)

    def uniforms_needed(self, dim: int) -> int:
        """Number of uniforms that one draw of ``dim`` coordinates takes."""
        return dim


@dataclass(frozen=True)
class Normal(Base):
    r""":math:`q_0(\xi) = (2\pi)^{-d/2} e^{-\lVert\xi\rVert^2/2}`: the only law both spherical and a product."""

    name: ClassVar[str] = "normal"

    @property
    def spherical(self) -> bool:
        """True."""
        return True

    def distribution(self, dim: int, like: torch.Tensor) -> dist.TorchDistribution:
        """Independent standard normals."""
        return dist.Normal(like.new_zeros(dim), like.new_ones(dim)).to_event(1)

    def quantile(self, u: Array) -> Array:
        """Probit."""
        return np.asarray(special.ndtri(u))

    def characteristic(self, t: Array) -> Array:
        r""":math:`e^{-t^2/2}`."""
        return np.exp(-0.5 * t**2)

    @property
    def variance(self) -> float:
        """1."""
        return 1.0


@dataclass(frozen=True)
class StudentT(Base):
    r"""Student's t with ``df`` degrees of freedom, product or (``spherical``) multivariate.

    Multivariate: :math:`q_0(\xi) \propto (1 + \lVert\xi\rVert^2/k)^{-(k+d)/2}`. Mean for k > 1, variance k/(k-2) for
    k > 2.
    """

    name: ClassVar[str] = "student_t"
    df: float
    spherical: bool = False

    def __post_init__(self) -> None:
        """Check the degrees of freedom."""
        if isinstance(self.df, bool) or not isinstance(self.df, (int, float)):
            raise TypeError(
                f"expected df as a number, got {self.df!r}, because it counts degrees of freedom; try df=5.0"
            )
        if not 0 < self.df < math.inf:
            raise ValueError(f"expected 0 < df < inf, got {self.df}, because no such t law exists; try df=5.0")

    def distribution(self, dim: int, like: torch.Tensor) -> dist.TorchDistribution:
        """Product of univariate laws, or one multivariate law with identity scale."""
        df = like.new_tensor(self.df)
        if self.spherical:
            return dist.MultivariateStudentT(df, like.new_zeros(dim), torch.eye(dim, dtype=like.dtype).to(like.device))
        return dist.StudentT(df, like.new_zeros(dim), like.new_ones(dim)).to_event(1)

    def quantile(self, u: Array) -> Array:
        """Inverse t distribution function."""
        return np.asarray(special.stdtrit(self.df, u))

    def characteristic(self, t: Array) -> Array:
        r""":math:`g_{k/2}(\sqrt k|t|)` with :math:`g_v(x) = K_v(x) x^v / (2^{v-1}\Gamma(v))` (Hurst, 1995).

        By :math:`g_{v+1}/g_v = 1 + x/(2v r_v)`, where :math:`r_v = K_v/K_{v-1} = 2(v-1)/x + 1/r_{v-1}`: all terms are
        positive and of order one, where :math:`K_v` itself overflows. O(df) array operations.
        """
        steps = math.ceil(self.df / 2) - 1
        v = self.df / 2 - steps  # in (0, 1]
        t = np.asarray(t, dtype=np.float64)
        x = np.maximum(math.sqrt(self.df) * np.abs(t), 1e-100)
        start = special.kve(v, x)
        log = np.log(start) - x + v * np.log(x) - (v - 1) * math.log(2) - special.gammaln(v)
        inverse = special.kve(abs(v - 1), x) / start  # 1 / r_v, as K_{v-1} = K_{1-v}
        for _ in range(steps):
            log += np.log1p(x / (2 * v) * inverse)
            inverse = 1 / (2 * v / x + inverse)
            v += 1
        return np.where(t == 0, 1.0, np.exp(log))

    @property
    def variance(self) -> float:
        """``df / (df - 2)``; infinite to 2, undefined to 1."""
        if self.df > 2:
            return self.df / (self.df - 2)
        return math.inf if self.df > 1 else math.nan

    @property
    def has_mean(self) -> bool:
        """``df > 1``."""
        return self.df > 1

    def noise(self, uniforms: Array) -> Array:
        """Spherical: a normal vector times the root of df over an independent chi-square."""
        if not self.spherical:
            return self.quantile(uniforms)
        chi2 = 2 * special.gammaincinv(self.df / 2, uniforms[:, -1:])
        return np.asarray(special.ndtri(uniforms[:, :-1]) * np.sqrt(self.df / chi2))

    def uniforms_needed(self, dim: int) -> int:
        """One more for the chi-square."""
        return dim + 1 if self.spherical else dim


@dataclass(frozen=True)
class Laplace(Base):
    r"""Product of Laplace laws, :math:`q_0(\xi) = 2^{-d} e^{-\lVert\xi\rVert_1}`."""

    name: ClassVar[str] = "laplace"

    def distribution(self, dim: int, like: torch.Tensor) -> dist.TorchDistribution:
        """Independent Laplace laws of scale 1."""
        return dist.Laplace(like.new_zeros(dim), like.new_ones(dim)).to_event(1)

    def quantile(self, u: Array) -> Array:
        r""":math:`\operatorname{sign}(u-½)\,(-\log(1-|2u-1|))`."""
        v = u - 0.5
        return -np.sign(v) * np.log1p(-2 * np.abs(v))

    def characteristic(self, t: Array) -> Array:
        r""":math:`1/(1+t^2)`."""
        return 1 / (1 + t**2)

    @property
    def variance(self) -> float:
        """2."""
        return 2.0


@dataclass(frozen=True)
class Logistic(Base):
    r"""Product of logistic laws, :math:`q_0(\xi) = \prod_i e^{-\xi_i}/(1+e^{-\xi_i})^2`."""

    name: ClassVar[str] = "logistic"

    def distribution(self, dim: int, like: torch.Tensor) -> dist.TorchDistribution:
        """Independent logistic laws of scale 1."""
        return dist.Logistic(like.new_zeros(dim), like.new_ones(dim)).to_event(1)

    def quantile(self, u: Array) -> Array:
        """Logit."""
        return np.asarray(special.logit(u))

    def characteristic(self, t: Array) -> Array:
        r""":math:`\pi t/\sinh(\pi t)`."""
        x = np.pi * np.abs(t)
        with np.errstate(all="ignore"):
            return np.where(x < 1e-8, 1.0, 2 * x * np.exp(-x) / -np.expm1(-2 * x))

    @property
    def variance(self) -> float:
        r""":math:`\pi^2/3`."""
        return math.pi**2 / 3


BASES: dict[str, type[Base]] = {base.name: base for base in (Normal, StudentT, Laplace, Logistic)}
"""The bases by name."""
