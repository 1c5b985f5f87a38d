r"""The von Mises-Fisher law: the normal law's counterpart on the sphere, in any dimension."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from pyro_symvi.special import (
    bessel_ratio,
    bessel_ratio_complement,
    bessel_ratio_slope,
    log_hyp0f1,
    log_sphere_area,
    log_vmf_normalizer,
)

from ._axial import AxialLaw, wants_checks
from ._vmf_angle import VonMisesFisherAngle


class VonMisesFisher(AxialLaw):
    r""":math:`p(x) = e^{\kappa\mu\cdot x} / Z(\kappa)` on the sphere of R^d, against its area.

    Z is the exponential of :func:`pyro_symvi.special.log_vmf_normalizer`; kappa = 0 is the uniform law. d >= 2; on the
    circle it is the von Mises law. Mardia and Jupp, Directional Statistics (2000), section 9.3.

    Args:
        direction: mu, unit vectors ``[*batch, d]``, float32 or float64.
        concentration: kappa >= 0, ``[*batch]`` or a number.

    Draws are exact (inversion in three dimensions, rejection in the others), and their gradients are those of the law:
    implicit in kappa through the distribution function of the angle, a rotation in mu.

    >>> law = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), 2.0)
    >>> law.mean
    tensor([0.0000, 0.0000, 0.5373])
    """

    _angle_law = VonMisesFisherAngle
    _natural: Tensor | None = None

    @classmethod
    def from_natural(cls, eta: Tensor, validate_args: bool | None = None) -> Self:
        r"""The law :math:`\propto e^{\eta\cdot x}` from ``eta [*batch, d]``: kappa = |eta|, mu = eta / kappa.

        At eta = 0 (mu is taken as e_1) ``log_prob`` has the right value and gradient, x - mean; draws have gradient 0
        there, since polar coordinates have none.
        """
        if not isinstance(eta, Tensor) or eta.ndim == 0 or not eta.is_floating_point():
            raise TypeError(
                f"expected eta as a floating tensor [*batch, d], got {eta!r}, because it is a vector for each law; "
                "try torch.zeros(3)"
            )
        if wants_checks(cls, validate_args) and not bool(eta.isfinite().all()):
            raise ValueError(
                "expected finite eta, got nan or inf, because its length is the concentration; try torch.nan_to_num"
            )
        scale = eta.detach().abs().amax(-1, keepdim=True)
        zero = scale == 0
        scale = torch.where(zero, 1.0, scale)
        axis = torch.zeros_like(eta)
        axis[..., 0] = 1.0
        scaled = torch.where(zero, axis, eta / scale)
        length = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
        law = cls(scaled / length, torch.where(zero, 0.0, length * scale)[..., 0], validate_args=validate_args)
        law._natural = eta
        return law

    @property
    def natural(self) -> Tensor:
        """The vector eta = kappa mu, ``[*batch, d]``."""
        return self.concentration[..., None] * self.direction if self._natural is None else self._natural

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """The same law with the batch shape enlarged."""
        new = super().expand(batch_shape, _instance)
        new._natural = None if self._natural is None else self._natural.expand(*batch_shape, self.dim)
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density against the area of the sphere, ``value [..., d]``; error near rounding of kappa |x - mu|^2."""
        log = super().log_prob(value)
        if self._natural is None:
            return log
        linear = (self._natural * value).sum(-1) - log_vmf_normalizer(self.dim, self._kappa)
        return torch.where(self.concentration < 1, linear, log)  # the polar form has no gradient at 0

    @property
    def mean(self) -> Tensor:
        """A_d(kappa) mu, inside the ball, ``[*batch, d]``."""
        return self._spread(bessel_ratio(self.dim, self._kappa))[..., None] * self.direction

    @property
    def variance(self) -> Tensor:
        """Variance of each coordinate i, ``[*batch, d]``: A' mu_i^2 + (1 - mu_i^2) A/kappa."""
        kappa = self._kappa
        positive = torch.where(kappa > 0, kappa, 1.0)
        across = self._spread(torch.where(kappa > 0, bessel_ratio(self.dim, positive) / positive, 1 / self.dim))
        along = self._spread(bessel_ratio_slope(self.dim, kappa))
        along, across = along[..., None], across[..., None]
        return across + (along - across) * self.direction.square()

    def entropy(self) -> Tensor:
        """Differential entropy against the area, ``[*batch]``: log Z - kappa A; the log area at kappa = 0."""
        return log_sphere_area(self.dim) - self.divergence_from_uniform()

    def divergence_from_uniform(self) -> Tensor:
        """KL(this || uniform), ``[*batch]``, without cancellation at either end."""
        kappa = self._kappa
        near = kappa * bessel_ratio(self.dim, kappa) - log_hyp0f1(self.dim, kappa)
        far = -kappa * bessel_ratio_complement(self.dim, kappa) - log_hyp0f1(self.dim, kappa, scaled=True)
        return self._spread(torch.where(kappa < 1, near, far))
