"""What a good point of the orbit is: a rule, and the problem it poses for one network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..._value import Value
from ..tracing import TracedNetwork
from ._block import Index, Vector
from ._live import LiveGraph


class Problem(ABC):
    """The search for the best log scales z ``[H]``; z = 0 is where the parameters are now.

    It has exactly one solution over the units that are free. To implement one: ``value``, ``gradient``, ``imbalance``,
    ``solve``, ``hessian``, ``update`` and ``sweep_units``.

    Attributes:
        units: H.
        frozen: ``[H]``, units that keep z = 0, and whose entries count nowhere (see :class:`LiveGraph`).
        frozen_reasons: why, by unit.
        layers: lists of free units, no two of a list joined.
        count: n, the number of entries that count.
    """

    units: int
    count: int
    graph: LiveGraph

    @property
    def frozen(self) -> NDArray[np.bool_]:
        """Units that keep z = 0, ``[H]``."""
        return self.graph.frozen

    @property
    def frozen_reasons(self) -> dict[int, str]:
        """Why units are frozen, by unit."""
        return self.graph.reasons

    @property
    def layers(self) -> tuple[Index, ...]:
        """Free units in lists within which no two are joined by an entry."""
        return self.graph.layers

    @abstractmethod
    def value(self, z: Vector) -> float:
        """The objective."""

    @abstractmethod
    def gradient(self, z: Vector) -> Vector:
        """What vanishes at the optimum ``[H]``: the gradient of the objective, 0 for frozen units."""

    @abstractmethod
    def hessian(self, z: Vector) -> Vector:
        """The derivative of :meth:`gradient`, dense ``[H, H]``; rows and columns of frozen units are 0."""

    @abstractmethod
    def solve(self, z: Vector, v: Vector, tolerance: float = 1e-12, damping: float = 0.0) -> Vector:
        """The x with hessian(z) x = v on the free units, 0 on the others, ``[H]``.

        ``tolerance`` bounds the residual, unit by unit relative to the diagonal, where the equations are solved by
        iteration. With ``damping``, that many times a diagonal matrix is added to the Hessian, which keeps steps
        bounded where it is nearly singular.
        """

    @abstractmethod
    def imbalance(self, z: Vector) -> Vector:
        """How far each unit is from its optimum, a pure number ``[H]``, 0 for frozen units."""

    @abstractmethod
    def update(self, z: Vector, chosen: Index) -> Vector:
        """New z of the chosen units ``[len(chosen)]``, each the best given all others (no two joined); never worse."""

    def sweep(self, z: Vector) -> Vector:
        """Each layer updated once, from the inputs on; the objective does not rise."""
        z = z.copy()
        for layer in self.layers:
            z[layer] = self.update(z, layer)
        return z

    def start(self) -> Vector:
        """A point to begin at, no worse than z = 0, ``[H]``."""
        return np.zeros(self.units)

    @abstractmethod
    def sweep_units(self, z: Vector) -> Vector:
        """Each unit by itself updated once, all others held: cyclic coordinate descent."""

    def rounding(self, value: float) -> float:
        """A bound on the rounding of a value of the objective."""
        return 1e-13 * abs(value)

    def normalised(self) -> tuple[Problem, float]:
        """The same search with an objective of a size that floats hold, and log of the factor that was taken out."""
        return self, 0.0

    def residual(self, z: Vector) -> float:
        """The first certificate of optimality: the largest imbalance of a unit."""
        return float(np.abs(self.imbalance(z)).max(initial=0.0))

    def distance(self, z: Vector) -> float:
        """The second one: the largest entry of the Newton step, how far z is from the optimum to first order.

        Small imbalances alone prove little where units hold together much more than they hold to the outside (a cycle
        of large weights: their common scale), or where hardly anything flows through a unit.
        """
        with np.errstate(all="ignore"):
            step = self.solve(z, self.gradient(z), tolerance=1e-3 if self.graph.acyclic else 1e-10)
        size = float(np.abs(step).max(initial=0.0))
        return size if size < np.inf else np.inf


class Criterion(Value, ABC):
    """A rule that says which point of each orbit is best.

    To implement one: ``_problem``, for parameters that are finite.
    """

    def problem(self, network: TracedNetwork, theta: Tensor) -> Problem:
        """The search along the orbit of theta ``[dim]``, in float64 on the CPU.

        Raises:
            ValueError: for nan or infinite parameters, by name; for parameters of another length.
        """
        network.layout.check(theta)
        if theta.ndim != 1:
            raise ValueError(f"expected one parameter vector [{network.layout.dim}], got shape {list(theta.shape)}")
        theta = theta.detach().to("cpu", torch.float64)
        if not bool(torch.isfinite(theta).all()):
            bad = [name for name, t in network.layout.unflatten(theta).items() if not bool(torch.isfinite(t).all())]
            raise ValueError(
                f"expected finite parameters, got nan or infinity in {_listed(bad)}, because what is no "
                "number has no scale; try the last checkpoint before training diverged"
            )
        return self._problem(network, theta)

    @abstractmethod
    def _problem(self, network: TracedNetwork, theta: Tensor) -> Problem:
        """The search for checked parameters."""


def log_magnitudes(theta: Tensor) -> Vector:
    """Log |theta_i|, -inf where theta_i is 0, ``[dim]``."""
    with np.errstate(divide="ignore"):
        result: Vector = np.log(np.abs(theta.numpy()))
    return result


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
