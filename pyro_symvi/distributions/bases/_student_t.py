"""Student's t as a base, and the Cauchy law."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from scipy import special

from ._base import Array, Base, Tail


@dataclass(frozen=True)
class StudentT(Base):
    r"""Student's t with ``df`` degrees of freedom, product or (``spherical``) multivariate.

    Multivariate: :math:`q_0(\xi) \propto (1 + \lVert\xi\rVert^2/k)^{-(k+d)/2}`. Mean for k > 1, variance k/(k-2) for
    k > 2.

    Raises:
        TypeError: for degrees of freedom that are not a number.
        ValueError: unless they are positive and finite.
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

    @property
    def log_concave(self) -> bool:
        """False: the tails are convex in logarithm."""
        return False

    @property
    def strictly_log_concave(self) -> bool:
        """False."""
        return False

    def tail(self, dim: int) -> Tail:
        r""":math:`r^{-(k+d)}` if spherical; :math:`r^{-(k+1)}` along an axis for a product."""
        return Tail("power", self.df + (dim if self.spherical else 1))

    def distribution(self, dim: int, like: torch.Tensor, df: torch.Tensor | None = None) -> dist.TorchDistribution:
        """Product of univariate laws, or one multivariate law with identity scale; a tensor ``df`` to learn it."""
        df = like.new_tensor(self.df) if df is None else df
        if self.spherical:
            return dist.MultivariateStudentT(df, like.new_zeros(dim), torch.eye(dim, dtype=like.dtype).to(like.device))
        return dist.StudentT(df[..., None], like.new_zeros(dim), like.new_ones(dim)).to_event(1)

    def cdf(self, x: Array, dim: int = 1) -> Array:
        """The t distribution function; marginals of the multivariate law are univariate t."""
        return np.asarray(special.stdtr(self.df, x))

    def quantile(self, u: Array, dim: int = 1) -> Array:
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

    def variance(self, dim: int = 1) -> float:
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
class Cauchy(StudentT):
    """Student's t with one degree of freedom: no mean, so that a location is a centre of symmetry only."""

    name: ClassVar[str] = "cauchy"
    df: float = field(default=1.0, init=False, repr=False)
