"""Spherical laws on R^d as Pyro distributions: a uniform direction times an independent radius."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pyro.distributions import TorchDistribution, constraints
from scipy import special
from torch import Tensor

from ._base import Array


@dataclass(frozen=True)
class RadialLaw(ABC):
    r"""A spherical density on R^dim through its profile :math:`q_0(\xi) = e^{h(\lVert\xi\rVert)}`."""

    dim: int

    @abstractmethod
    def log_profile(self, r: Tensor) -> Tensor:
        """The function h, normalised."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Radii, from torch's global generator."""

    def log_area(self) -> float:
        r"""Log of the area :math:`2\pi^{d/2}/\Gamma(d/2)` of the unit sphere, 2 in one dimension."""
        return math.log(2) + self.dim / 2 * math.log(math.pi) - math.lgamma(self.dim / 2)

    def log_ball_volume(self) -> float:
        """Log of the volume of the unit ball."""
        return self.log_area() - math.log(self.dim)


class Radial(TorchDistribution):
    """The spherical law of a `RadialLaw`; no parameters, ``event_shape (dim,)``, dtype and device of ``like``."""

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, law: RadialLaw, like: Tensor) -> None:
        self.law, self._like = law, like.detach()
        super().__init__(torch.Size(), torch.Size([law.dim]), validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """The same law with the batch shape enlarged."""
        new = self._get_checked_instance(Radial, _instance)
        new.law, new._like = self.law, self._like
        super(Radial, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        return new

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Draws ``[*sample_shape, *batch, dim]``."""
        shape = self._extended_shape(sample_shape)
        normal = torch.randn(shape, dtype=self._like.dtype, device=self._like.device)
        radius = self.law.draw(tuple(shape[:-1]), self._like)
        return normal * (radius / torch.linalg.vector_norm(normal, dim=-1))[..., None]

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density at ``value[..., dim]``."""
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        return self.law.log_profile(torch.linalg.vector_norm(value, dim=-1)).expand(shape)


def spherical_noise(uniforms: Array, radius: Array) -> Array:
    """Points ``[n, d]`` with these radii ``[n]``, directions from the first d of ``uniforms [n, d + 1]``."""
    normal = np.asarray(special.ndtri(uniforms[:, :-1]))
    return normal * (radius / np.linalg.norm(normal, axis=-1))[:, None]
