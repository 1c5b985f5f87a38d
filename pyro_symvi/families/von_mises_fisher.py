"""The von Mises-Fisher family: what a normal guide is on the sphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..distributions import VonMisesFisher
from ..distributions._axial import AxialLaw
from ..distributions._vmf_angle import VonMisesFisherAngle
from ..special import inverse_bessel_ratio
from ._axial import Array, AxialFamily
from ._family import Parameters

_NODES, _WEIGHTS = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(32))
_OFFSETS = torch.tensor([0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 14, 20, 40], dtype=torch.float64)
_BISECTIONS = 60


@dataclass(frozen=True)
class VonMisesFisherFamily(AxialFamily):
    r"""The laws :math:`p(x) \propto e^{\kappa\mu\cdot x}` on the sphere of R^d.

    A frozen value: parameters are passed in as ``{"direction": [*batch, d], "concentration": [*batch]}``. An
    exponential family in :math:`\kappa\mu` with statistic x, so that moment matching, forward KL and maximum likelihood
    are one (`from_mean`). Closed under every isometry of the sphere, concentration kept: rotations, reflections,
    permutations and signs of coordinates; under nothing that moves the origin or stretches. Mardia and Jupp,
    Directional Statistics (2000), sections 9.3 and 10.3.

    Example:
        >>> family = VonMisesFisherFamily(3)
        >>> family.from_mean(torch.tensor([0.0, 0.0, 0.5]))["concentration"]
        tensor(1.7968)
    """

    _law: ClassVar[type[AxialLaw]] = VonMisesFisher

    def from_mean(self, mean: Tensor) -> Parameters:
        r"""Parameters of the law with this mean, ``mean [*batch, d]`` of length below 1.

        :math:`\mu` = mean / |mean| and :math:`A_d(\kappa)` = |mean|: the maximum-likelihood law of points with that
        average, and the law closest in forward KL to one with that mean. At mean 0 the concentration is 0 (the uniform
        law) and the direction, which then means nothing, e_1.

        Raises:
            ValueError: A wrong shape, or a length of 1 or more: no law but a point mass has it.
        """
        if not isinstance(mean, Tensor) or not mean.is_floating_point():
            raise TypeError(
                f"expected mean as a floating tensor [*batch, {self.dim}], got {mean!r}; try torch.zeros(3)"
            )
        if mean.ndim == 0 or mean.shape[-1] != self.dim:
            raise ValueError(
                f"expected mean of shape [*batch, {self.dim}], got {list(mean.shape)}, because it is a point inside "
                f"the unit ball; try a family of dimension {mean.shape[-1] if mean.ndim else 2}"
            )
        size = mean.abs().amax(-1, keepdim=True)
        zero = size == 0
        axis = torch.zeros_like(mean)
        axis[..., 0] = 1.0
        scaled = torch.where(zero, axis, mean / torch.where(zero, 1.0, size))  # no underflow in the squares
        norm = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
        length = torch.where(zero, 0.0, norm * size)[..., 0]
        if not bool((length < 1).all()):
            raise ValueError(
                f"expected means of length below 1, got {float(length.max()):.6g}, because the mean of unit vectors "
                "lies inside the ball, and on the sphere only if all of them agree; try the average of several points"
            )
        return {"direction": scaled / norm, "concentration": inverse_bessel_ratio(self.dim, length)}

    def _concentration_at(self, precision: Tensor) -> Tensor:
        """From -kappa cos'' = kappa at 0."""
        return precision

    def _angles(self, levels: Array, kappa: Array) -> Array:
        """In three dimensions 1 - cos theta = -log(1 - u (1 - e^(-2 kappa))) / kappa, else numerically."""
        u, k = torch.from_numpy(np.asarray(levels))[:, None], torch.from_numpy(np.asarray(kappa))
        if self.dim == 3:
            positive = torch.where(k > 0, k, 1.0)
            versine = torch.where(k > 0, -torch.log1p(u * torch.expm1(-2 * positive)) / positive, 2 * u)
            return np.asarray(2 * (versine / 2).clamp(max=1).sqrt().asin())
        return np.asarray(_invert(VonMisesFisherAngle(self.dim), u, k))


def _invert(law: VonMisesFisherAngle, u: Tensor, kappa: Tensor) -> Tensor:
    r"""The theta with :math:`\int_0^\theta f = u` for ``u [n, 1]`` and ``kappa [b]``: ``[n, b]``.

    The density, an entire function, is integrated by 32 Gauss-Legendre nodes on panels that grow away from the mode,
    and the integral inverted by bisection inside the panel; the mass is right to 1e-10.
    """
    cosine, precision = law.mode(kappa)
    mode, width = cosine.clamp(-1, 1).acos(), precision.rsqrt().clamp(max=torch.pi)
    offsets = torch.cat([-_OFFSETS.flip(0), torch.zeros(1, dtype=torch.float64), _OFFSETS])
    inner = (mode[:, None] + width[:, None] * offsets).clamp(0, torch.pi)
    edges = torch.cat([torch.zeros_like(inner[:, :1]), inner, torch.full_like(inner[:, :1], torch.pi)], -1)

    def integral(start: Tensor, end: Tensor) -> Tensor:
        """Of the density, unnormalised, over ``[..., b]`` intervals."""
        s = start[..., None] + (end - start)[..., None] * (_NODES + 1) / 2
        log = law.log_gain(s, mode[:, None], kappa[:, None])
        if law.dim > 2:
            log = log + (law.dim - 2) * (s.sin() / mode.sin()[:, None]).log()
        return (end - start) / 2 * (log.exp() @ _WEIGHTS)

    columns = edges.mT  # [panels + 1, b]
    below = torch.cat([torch.zeros_like(kappa)[None], integral(columns[:-1], columns[1:]).cumsum(0)])
    target = u * below[-1]
    panel = (below[None, 1:-1] <= target[:, None]).sum(1)  # [n, b]
    low, high = columns.gather(0, panel), columns.gather(0, panel + 1)
    start, missing = low, target - below.gather(0, panel)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        short = integral(start, middle) < missing
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return (low + high) / 2
