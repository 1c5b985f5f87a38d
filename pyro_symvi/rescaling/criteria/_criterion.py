"""What a good point of the orbit is: a convex function of the log scales."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from ..._value import Value
from ..tracing import TracedNetwork
from ._exponential_sum import Vector


class Problem(ABC):
    """A convex function of z ``[H]`` with its derivatives; z = 0 is where the parameters are now."""

    units: int

    @abstractmethod
    def value(self, z: Vector) -> float:
        """The objective."""

    @abstractmethod
    def gradient(self, z: Vector) -> Vector:
        """Its gradient, ``[H]``."""

    @abstractmethod
    def hessian(self, z: Vector) -> Vector:
        """Its second derivative, dense ``[H, H]``."""

    @abstractmethod
    def residual(self, z: Vector) -> float:
        """How far from optimal z is: the largest entry of the gradient, divided by what makes it a pure number."""


class Criterion(Value, ABC):
    """A rule that says which point of each orbit is best."""

    @abstractmethod
    def problem(self, network: TracedNetwork, theta: Tensor) -> Problem:
        """The objective along the orbit of theta ``[dim]`` (float64, on the CPU)."""
