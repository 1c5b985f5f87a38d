"""The power spherical family: heavier tails than von Mises-Fisher, elementary normaliser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special
from torch import Tensor

from ..distributions import PowerSpherical
from ..distributions._axial import AxialLaw
from ._axial import Array, AxialFamily


@dataclass(frozen=True)
class PowerSphericalFamily(AxialFamily):
    r"""The laws :math:`p(x) \propto (1+\mu\cdot x)^\kappa` on the sphere of R^d.

    A frozen value: parameters are passed in as ``{"direction": [*batch, d], "concentration": [*batch]}``. Closed under
    the same actions as `VonMisesFisherFamily`, for the same reason. De Cao and Aziz (2020), arXiv:2006.04437.

    Example:
        >>> PowerSphericalFamily(3)
        PowerSphericalFamily(dim=3)
    """

    _law: ClassVar[type[AxialLaw]] = PowerSpherical

    def _concentration_at(self, precision: Tensor) -> Tensor:
        """The curvature of kappa log(1 + cos theta) at 0 is -kappa / 2."""
        return 2 * precision

    def _angles(self, levels: Array, kappa: Array) -> Array:
        """From sin^2(theta/2), which is Beta((d - 1)/2, (d - 1)/2 + kappa)."""
        half = (self.dim - 1) / 2
        below = special.betaincinv(half, half + kappa[None], levels[:, None])
        return np.asarray(2 * np.arcsin(np.sqrt(np.clip(below, 0, 1))))
