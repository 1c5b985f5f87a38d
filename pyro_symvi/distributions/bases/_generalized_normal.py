"""The generalised normal (exponential power) law as a base, product and spherical, and the Laplace law."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from scipy import optimize, special
from torch import Tensor

from ._base import Array, Base, Tail
from ._radial import Radial, RadialLaw, spherical_noise

_STEP = 1 / 32
_GRID = np.arange(-4.5, 4.5 + _STEP / 2, _STEP)


@dataclass(frozen=True)
class GeneralizedNormal(Base):
    r"""Product of laws :math:`\propto e^{-|x|^\beta}`, or spherical, :math:`\propto e^{-\lVert\xi\rVert^\beta}`.

    beta = 1 is the Laplace law, beta = 2 a normal law of variance 1/2, large beta nearly the uniform law on the cube
    (product) or on the ball (spherical). Log-concave for beta >= 1, strictly for beta > 1.

    Args:
        beta: The exponent, > 0.
        spherical: The elliptical law (Kotz type), rather than the product.

    Raises:
        TypeError: ``beta`` is no number.
        ValueError: ``beta`` is not positive and finite.
    """

    name: ClassVar[str] = "generalized_normal"
    beta: float
    spherical: bool = False

    def __post_init__(self) -> None:
        """Check the exponent."""
        if isinstance(self.beta, bool) or not isinstance(self.beta, (int, float)):
            raise TypeError(f"expected beta as a number, got {self.beta!r}, because it is an exponent; try beta=1.5")
        if not 0 < self.beta < math.inf:
            raise ValueError(f"expected 0 < beta < inf, got {self.beta}, because no such law exists; try beta=1.5")

    @property
    def log_concave(self) -> bool:
        """For beta >= 1."""
        return self.beta >= 1

    @property
    def strictly_log_concave(self) -> bool:
        """For beta > 1."""
        return self.beta > 1

    def tail(self, dim: int) -> Tail:
        r""":math:`e^{-r^\beta}` along the slowest ray (an axis for beta < 2, a diagonal beyond)."""
        return Tail("exponential", float(self.beta))

    def distribution(self, dim: int, like: Tensor) -> dist.TorchDistribution:
        """Independent coordinates, or a uniform direction times a radius whose beta-th power is Gamma(d / beta)."""
        if self.spherical:
            return Radial(_PowerRadius(dim, self.beta), like)
        return _GeneralizedNormal(self.beta, like).expand((dim,)).to_event(1)

    def cdf(self, x: Array, dim: int = 1) -> Array:
        r"""From the Gamma law of :math:`|x|^\beta`; for a spherical law in d >= 2 by quadrature, to 1e-12."""
        x = np.asarray(x, dtype=np.float64)
        upper = _upper(self.beta, dim, np.abs(x)) if self._needs_quadrature(dim) else self._upper(np.abs(x))
        return np.where(x > 0, 1 - upper, upper)

    def _upper(self, x: Array) -> Array:
        return 0.5 * np.asarray(special.gammaincc(1 / self.beta, x**self.beta))

    def quantile(self, u: Array, dim: int = 1) -> Array:
        """The inverse of `cdf`."""
        u = np.asarray(u, dtype=np.float64)
        tail = np.minimum(u, 1 - u)
        if not self._needs_quadrature(dim):
            return np.sign(u - 0.5) * np.asarray(special.gammainccinv(1 / self.beta, 2 * tail)) ** (1 / self.beta)
        found = [_upper_inverse(self.beta, dim, level) for level in tail.ravel()]
        return np.sign(u - 0.5) * np.reshape(found, u.shape)

    def _needs_quadrature(self, dim: int) -> bool:
        return self.spherical and dim > 1

    def characteristic(self, t: Array) -> Array:
        r"""Of one coordinate of the product: :math:`\int\cos(tx)\,e^{-x^\beta}dx/\Gamma(1+1/\beta)`, to 1e-12.

        On the ray :math:`x = e^{i\pi/(4\beta)}y` both factors of the integrand decay, for every t; a double-exponential
        rule then resolves it from t = 0 to the far tail, with 288 max(1, beta / 2) nodes for each t.
        """
        t = np.abs(np.asarray(t, dtype=np.float64))
        turn, step = np.exp(0.25j * np.pi / self.beta), _STEP / max(1.0, self.beta / 2)
        grid = np.arange(-4.5, 4.5, step)
        y = np.exp(np.pi / 2 * np.sinh(grid))
        weight = y * np.pi / 2 * np.cosh(grid) * step
        with np.errstate(all="ignore"):
            factor = np.nan_to_num(np.exp(-np.exp(0.25j * np.pi) * y**self.beta) * weight)
            kept = np.abs(factor) > 1e-320
            values = [np.exp(1j * turn * s[:, None] * y[kept]) @ factor[kept] for s in _pieces(t, len(grid))]
        return np.reshape(np.real(turn * np.concatenate(values)), t.shape) / math.gamma(1 + 1 / self.beta)

    def variance(self, dim: int = 1) -> float:
        r""":math:`\Gamma(3/\beta)/\Gamma(1/\beta)`; spherical: :math:`\Gamma((d+2)/\beta)/(d\,\Gamma(d/\beta))`."""
        d = dim if self.spherical else 1
        return math.exp(math.lgamma((d + 2) / self.beta) - math.lgamma(d / self.beta)) / d

    def noise(self, uniforms: Array) -> Array:
        """By inversion; spherical: a uniform direction times a radius."""
        if not self.spherical:
            return self.quantile(uniforms)
        dim = uniforms.shape[-1] - 1
        return spherical_noise(uniforms, special.gammaincinv(dim / self.beta, uniforms[:, -1]) ** (1 / self.beta))

    def uniforms_needed(self, dim: int) -> int:
        """One more for the radius."""
        return dim + 1 if self.spherical else dim


@dataclass(frozen=True)
class Laplace(GeneralizedNormal):
    r"""Product of Laplace laws :math:`\propto e^{-|x|}`; or spherical, :math:`\propto e^{-\lVert\xi\rVert}`.

    Both are log-concave. (The elliptical one is not the scale mixture of normals also called multivariate Laplace,
    which has a pole at the centre.)
    """

    name: ClassVar[str] = "laplace"
    beta: float = field(default=1.0, init=False, repr=False)

    def distribution(self, dim: int, like: Tensor) -> dist.TorchDistribution:
        """Independent Laplace laws of scale 1, or the spherical law."""
        if self.spherical:
            return super().distribution(dim, like)
        return dist.Laplace(like.new_zeros(dim), like.new_ones(dim)).to_event(1)

    def quantile(self, u: Array, dim: int = 1) -> Array:
        r""":math:`\operatorname{sign}(u-½)\,(-\log(1-|2u-1|))` for a product."""
        if self._needs_quadrature(dim):
            return super().quantile(u, dim)
        v = np.asarray(u) - 0.5
        return -np.sign(v) * np.log1p(-2 * np.abs(v))

    def characteristic(self, t: Array) -> Array:
        r""":math:`1/(1+t^2)`."""
        return 1 / (1 + np.asarray(t) ** 2)


class _GeneralizedNormal(dist.TorchDistribution):
    """The univariate law of exponent ``beta``, scale 1."""

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real
    has_rsample = True

    def __init__(self, beta: float, like: Tensor) -> None:
        self.beta, self._like = beta, like.detach()
        super().__init__(torch.Size(), validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        new = self._get_checked_instance(_GeneralizedNormal, _instance)
        new.beta, new._like = self.beta, self._like
        super(_GeneralizedNormal, new).__init__(torch.Size(batch_shape), validate_args=False)
        return new

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        size = _gamma(1 / self.beta, tuple(shape), self._like) ** (1 / self.beta)
        return torch.where(torch.rand_like(size) < 0.5, -size, size)

    def log_prob(self, value: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        constant = math.log(2) + math.lgamma(1 + 1 / self.beta)
        return (-(value.abs() ** self.beta) - constant).expand(shape)


@dataclass(frozen=True)
class _PowerRadius(RadialLaw):
    """A radius whose beta-th power is Gamma(dim / beta)."""

    beta: float

    @cached_property
    def _log_constant(self) -> float:
        return self.log_area() + math.lgamma(self.dim / self.beta) - math.log(self.beta)

    def log_profile(self, r: Tensor) -> Tensor:
        return -(r**self.beta) - self._log_constant

    def draw(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        return _gamma(self.dim / self.beta, shape, like) ** (1 / self.beta)


def _pieces(t: Array, width: int) -> list[Array]:
    """The flat entries of t, cut so that ``width`` numbers for each fit into memory."""
    return np.array_split(t.ravel(), max(1, t.size * width // 2**21))


def _gamma(concentration: float, shape: tuple[int, ...], like: Tensor) -> Tensor:
    return torch._standard_gamma(torch.full(shape, concentration, dtype=like.dtype, device=like.device))


def _upper(beta: float, dim: int, x: Array) -> Array:
    r"""P(xi_1 > x), x >= 0, for the spherical law in dim >= 2 dimensions.

    Given the radius r the coordinate exceeds x with probability :math:`½I_{1-x^2/r^2}((d-1)/2, ½)`; the mean over
    r >= x is an integral over the upper tail probability w of the radius, whose ends a tanh-sinh rule resolves.
    """
    s = np.pi / 2 * np.sinh(_GRID)
    y = special.expit(2 * s)
    weight = np.pi * np.cosh(_GRID) * y * special.expit(-2 * s) * _STEP
    top = special.gammaincc(dim / beta, x[..., None] ** beta)
    radius = special.gammainccinv(dim / beta, top * y) ** (1 / beta)
    with np.errstate(all="ignore"):
        share = np.clip(1 - np.nan_to_num((x[..., None] / radius) ** 2), 0, 1)
    return np.asarray(0.5 * top[..., 0] * (special.betainc((dim - 1) / 2, 0.5, share) * weight).sum(-1))


def _upper_inverse(beta: float, dim: int, level: float) -> float:
    """The x >= 0 with P(xi_1 > x) = level, level in (0, 1/2]; relative error of the tail probability about 1e-12."""
    if level >= 0.5:
        return 0.0
    top = float(special.gammainccinv(dim / beta, level) ** (1 / beta))  # the radius is exceeded at least as often

    def excess(x: float) -> float:
        return math.log(max(float(_upper(beta, dim, np.asarray(x))), 1e-320) / level)

    return float(optimize.brentq(excess, 0.0, top, xtol=1e-14 * top, rtol=1e-15))
