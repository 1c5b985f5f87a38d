r"""Laws of the angle :math:`\theta\in[0,\pi]` to an axis, and the implicit gradient of their draws.

A law on the sphere of R^d that is symmetric about an axis is the law of theta times the uniform law around the axis.
The laws here are exponential families in their concentration,

.. math:: f(\theta;\kappa) \propto e^{\kappa T(\theta)}\sin^{d-2}\theta, \qquad T(0)=0,\quad T'\le0.

A draw of theta by any exact method moves with kappa at the speed that carries the law along (implicit
reparameterisation; Figurnov, Mohamed and Mnih, 2018), whatever was rejected on the way to it: its cosine t at

.. math:: \frac{dt}{d\kappa} = \sin^2\!\theta\ q,\qquad
          q(\theta;\kappa) = \frac1{\sin\theta}\int_0^\theta (T(s)-ET)\,\frac{f(s)}{f(\theta)}\,ds > 0 .

In place of theta stand h = 1 - t and g = 1 + t (``versine`` and ``coversine``), which keep their digits at both ends.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ._cosine import OfCosine
from ._interpolation import interpolated, is_worthwhile
from ._rules import drop_length, integrated

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class AngleLaw(ABC):
    """A law of the angle in dimension ``dim``, with one parameter ``kappa >= 0``; in float64 unless said otherwise.

    To implement one, give ``draw``, the statistic T, bounds on how fast the density falls, and a closed form of
    ``pull`` where there is one.
    """

    dim: int
    name: ClassVar[str]
    of_cosine: ClassVar[type[OfCosine]]
    """T as a function of points."""

    @abstractmethod
    def draw(self, kappa: Tensor, shape: torch.Size) -> Pair:
        """Exact draws h and g of the given shape, to which ``kappa`` broadcasts, from torch's global generator."""

    @abstractmethod
    def statistic(self, versine: Tensor, coversine: Tensor) -> Tensor:
        """T, as a function of h and g."""

    @abstractmethod
    def inverse_statistic(self, value: Tensor) -> Pair:
        """The h and g at which T takes the value."""

    @abstractmethod
    def constant(self, kappa: Tensor) -> Tensor:
        """Minus the mean of T, which is the derivative of `log_density_at_mode`, in kappa's dtype."""

    @abstractmethod
    def log_density_at_mode(self, kappa: Tensor) -> Tensor:
        """Log density of the law of points at the direction, against the area of the sphere, in kappa's dtype."""

    @abstractmethod
    def slope(self, theta: Tensor) -> Tensor:
        """T' at theta."""

    @abstractmethod
    def bends(self, theta: Tensor, kappa: Tensor) -> Pair:
        """Lower bounds of minus the second derivative of log f below and above theta: they set a range, no value."""

    @property
    def interpolates(self) -> bool:
        """Whether q has few Chebyshev coefficients in T over any range that draws fill."""
        return True

    def log_gain(self, s: Tensor, theta: Tensor, kappa: Tensor) -> Tensor:
        """Rise of log f from theta to s, less the common (dim - 2) log(sin s / sin theta)."""
        return kappa * (self.statistic(*versines(s)) - self.statistic(*versines(theta)))

    def pull(self, versine: Tensor, coversine: Tensor, kappa: Tensor) -> Tensor:
        """The factor q for draws ``[*s]`` and ``kappa``, which broadcasts to them; relative error below 1e-9.

        Where a concentration has many draws, q is interpolated between a few of its values: as a function of T it is
        analytic, and entire for the von Mises-Fisher law.
        """
        if self.interpolates and is_worthwhile(versine, kappa):
            value = self.statistic(versine, coversine)
            return interpolated(lambda at: self._quadrature(angle(*self.inverse_statistic(at)), kappa), value, kappa)
        return self._quadrature(angle(versine, coversine), kappa)

    def velocity(self, theta: Tensor, kappa: Tensor) -> Tensor:
        """Derivative of a draw of theta in kappa, -sin(theta) q, itself differentiable by autograd."""
        if torch.is_grad_enabled():
            return -theta.sin() * self._quadrature(theta, kappa)
        return -theta.sin() * self.pull(*versines(theta), kappa)

    def _quadrature(self, theta: Tensor, kappa: Tensor) -> Tensor:
        """The factor q by a Gauss rule on that side of theta on which T - ET keeps its sign: nothing cancels."""
        theta = theta.clamp(min=1e-150)
        start, constant = self.statistic(*versines(theta)), self.constant(kappa)
        below = start + constant > 0
        with torch.no_grad():
            rise = kappa * self.slope(theta)
            if self.dim > 2:
                rise = rise + (self.dim - 2) / theta.tan()
            reach = drop_length(torch.where(below, rise, -rise), torch.where(below, *self.bends(theta, kappa)))
        length = torch.where(below, -torch.minimum(theta, reach), torch.minimum(math.pi - theta, reach))
        sine = theta.sin()

        def integrand(s: Tensor) -> Tensor:
            half_sine, half_cosine = (s / 2).sin(), (s / 2).cos()
            value = self.statistic(2 * half_sine.square(), 2 * half_cosine.square())
            log_ratio = kappa * (value - start)
            if self.dim > 2:
                log_ratio = log_ratio + (self.dim - 2) * (2 * half_sine * half_cosine / sine).log()
            return (value + constant) * log_ratio.exp()

        # below, the length is negative; above, T - ET is: the same sign serves both
        return -length * integrated(integrand, theta, length) / sine


def versines(theta: Tensor) -> Pair:
    """1 - cos and 1 + cos."""
    return 2 * (theta / 2).sin().square(), 2 * (theta / 2).cos().square()


def angle(versine: Tensor, coversine: Tensor) -> Tensor:
    """The angle of 1 - cos and 1 + cos."""
    return 2 * torch.atan2(versine.sqrt(), coversine.sqrt())


class ImplicitAngle(torch.autograd.Function):
    """The draw ``theta`` of a law as a function of kappa; its derivative is `AngleLaw.velocity`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(theta: Tensor, kappa: Tensor, law: AngleLaw) -> Tensor:
        return theta.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, AngleLaw], output: Tensor) -> None:
        ctx.law = inputs[2]
        ctx.save_for_backward(output, inputs[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        theta, kappa = ctx.saved_tensors
        return None, (gradient * ctx.law.velocity(theta, kappa)).sum_to_size(kappa.shape), None
