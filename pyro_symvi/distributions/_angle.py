r"""Laws of the angle :math:`\theta\in[0,\pi]` to an axis, and the implicit gradient of their draws.

A law on the sphere of R^d that is symmetric about an axis is the law of theta, with density f(theta; kappa) in dtheta
(the factor sin^(d-2) theta included), times the uniform law around the axis. A draw of theta by any exact method moves
with kappa at the speed that carries the law along,

.. math:: \frac{d\theta}{d\kappa} = -\frac{\partial_\kappa F(\theta;\kappa)}{f(\theta;\kappa)}
          = -\frac{1}{f(\theta)}\int_0^\theta \partial_\kappa\log f(s)\, f(s)\, ds,

(implicit reparameterisation; Figurnov, Mohamed and Mnih, 2018), whatever was rejected on the way to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

_NODES, _WEIGHTS = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(48))
_REACH = 10.0
"""Width of the integral in standard deviations of the mode: beyond, the density has fallen by 50 in logarithm."""

_CELLS = 2**18
"""At most this many integrand values are held at once."""


@dataclass(frozen=True)
class AngleLaw(ABC):
    """A law of the angle in dimension ``dim``, all in float64; ``kappa >= 0`` is its one parameter, ``[*batch]``."""

    dim: int
    name: ClassVar[str]

    @abstractmethod
    def draw(self, kappa: Tensor) -> Tensor:
        """An exact draw for each entry of ``kappa``, from torch's global generator."""

    @abstractmethod
    def log_gain(self, s: Tensor, theta: Tensor, kappa: Tensor) -> Tensor:
        """Rise of log f from theta to s, less the common (dim - 2) log(sin s / sin theta)."""

    @abstractmethod
    def score(self, s: Tensor, kappa: Tensor, constant: Tensor) -> Tensor:
        """The derivative of log f(s; kappa) in kappa."""

    @abstractmethod
    def constant(self, kappa: Tensor) -> Tensor:
        """The part of the score that does not depend on s, computed once."""

    @abstractmethod
    def mode(self, kappa: Tensor) -> tuple[Tensor, Tensor]:
        """The cosine of the mode of f, and minus the second derivative of log f there."""

    def velocity(self, theta: Tensor, kappa: Tensor) -> Tensor:
        """Derivative of a draw in kappa, ``[*batch]``: 48 Gauss-Legendre nodes on theta's side of the mode."""
        cosine, precision = self.mode(kappa)
        width = precision.clamp(min=1e-30).rsqrt()
        reach = _REACH * width
        lower = (theta.cos() > cosine) | (theta < width)  # on the circle the upper integral cancels near the mode 0
        length = torch.where(lower, -torch.minimum(theta, reach), torch.minimum(torch.pi - theta, reach))
        constant = self.constant(kappa)
        total = torch.zeros_like(theta)
        group = max(1, min(len(_NODES), _CELLS // max(theta.numel(), 1)))
        for start in range(0, len(_NODES), group):
            node = (_NODES[start : start + group].to(theta.device) + 1) / 2
            weight = _WEIGHTS[start : start + group].to(theta.device) / 2
            s = theta[..., None] + length[..., None] * node
            log_ratio = self.log_gain(s, theta[..., None], kappa[..., None])
            if self.dim > 2:
                log_ratio = log_ratio + (self.dim - 2) * (s.sin() / theta.sin()[..., None]).log()
            score = self.score(s, kappa[..., None], constant[..., None])
            total = total + (score * log_ratio.exp()) @ weight
        # below the mode length < 0, above it the integral runs to the other end: the same sign serves both
        return torch.where(length == 0, 0.0, length * total)


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
        return None, gradient * ctx.law.velocity(theta, kappa), None
