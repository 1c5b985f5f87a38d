"""The power spherical law: the von Mises-Fisher law's heavier-tailed neighbour, with elementary normaliser."""

from __future__ import annotations

import torch
from torch import Tensor

from pyro_symvi.special import digamma_difference

from ._axial import AxialLaw
from ._power_angle import PowerSphericalAngle


class PowerSpherical(AxialLaw):
    r""":math:`p(x) \propto (1+\mu\cdot x)^\kappa` on the sphere of R^d, against its area.

    kappa = 0 is the uniform law. De Cao and Aziz, The power spherical distribution (2020), arXiv:2006.04437.

    Args:
        direction: mu, unit vectors ``[*batch, d]``, float32 or float64.
        concentration: kappa >= 0, ``[*batch]`` or a number.

    Draws are exact (inversion in three dimensions, two gammas in the others), and differentiable in both parameters. At
    the very antipode, where the density is 0, (1 + mu.x)/2 is taken as the smallest number of the dtype.

    >>> law = PowerSpherical(torch.tensor([0.0, 0.0, 1.0]), 2.0)
    >>> law.mean
    tensor([0.0000, 0.0000, 0.5000])
    """

    _angle_law = PowerSphericalAngle

    def _shapes(self) -> tuple[Tensor, Tensor]:
        """The parameters of the Beta law of (1 + mu.x) / 2, in float64, before expansion."""
        half = torch.full_like(self._kappa, (self.dim - 1) / 2, dtype=torch.float64)
        return self._kappa.double() + half, half

    def _mean_cosine(self) -> Tensor:
        return (self.concentration / (self.concentration + (self.dim - 1)))[..., None]

    @property
    def mean(self) -> Tensor:
        """Equals kappa / (kappa + d - 1) mu, ``[*batch, d]``."""
        return self._mean_cosine() * self.direction

    @property
    def variance(self) -> Tensor:
        """Variance of each coordinate, ``[*batch, d]``, from that of the Beta law of (1 + mu.x) / 2."""
        a, b = self._shapes()
        total = a + b
        along = self._spread(4 * a * b / (total * total * (total + 1)))[..., None].to(self.direction.dtype)
        # (1 - E t^2) / (d - 1) = 4 E z (1 - z) / (2 b) with z ~ Beta(a, b)
        across = self._spread(2 * a / (total * (total + 1)))[..., None].to(self.direction.dtype)
        return across + (along - across) * self.direction.square()

    def entropy(self) -> Tensor:
        """Differential entropy against the area, ``[*batch]``; the log area at kappa = 0."""
        a, b = self._shapes()
        drop = self._kappa.double() * digamma_difference(a, b)
        return self._spread((drop - self.angle.log_density_at_mode(self._kappa.double())).to(self._kappa.dtype))
