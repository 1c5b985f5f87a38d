"""The most likely point of an orbit under independent normal priors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...groups import UnsupportedError
from ..tracing import TracedNetwork
from ._block import Index, Vector
from ._blocks import blocks_of, counts_of
from ._criterion import Criterion, log_magnitudes
from ._single import SingleUnits
from ._smooth import SmoothProblem
from ._updates import positive_root


@dataclass(frozen=True, eq=False, repr=False)
class PriorCriterion(Criterion):
    """K(z) = 1/2 sum_i (theta_i / sigma_i)^2 e^{-(Bz)_i} + 1/2 1^T B z, minus the log density of z along the orbit.

    That is the prior N(0, sigma^2) at theta e^{-Bz/2} times the Jacobian of the action, up to a constant
    (:class:`~pyro_symvi.rescaling.canonical.OrbitLaw`). Convex; at its minimum in_h - out_h = |in_h| - |out_h| for each
    unit, energies in units of sigma^2. With second moments for squares it is the divergence of a mean-field normal to
    the prior along the orbit (:func:`~pyro_symvi.rescaling.guides.best_mean_field`).

    Its problem raises UnsupportedError where an activation has another degree than 1.

    Attributes:
        scale: sigma, one for all parameters or one for each ``[dim]``.

    Raises:
        ValueError: unless the prior's scales are positive and finite, a number or ``[dim]``.
    """

    scale: float | Tensor = 1.0

    def __post_init__(self) -> None:
        scale = torch.as_tensor(self.scale)
        if scale.ndim > 1 or not bool((torch.isfinite(scale) & (scale > 0)).all()):
            raise ValueError(f"expected positive finite prior scales, a number or [dim], got {self.scale!r}")

    def _problem(self, network: TracedNetwork, theta: Tensor) -> PriorProblem:
        degrees = network.action.degrees
        if degrees is not None and not bool((degrees == 1).all()):
            raise UnsupportedError(
                "expected activations of degree 1 (ReLU, abs) for the law along an orbit, got other powers, because "
                'its updates are not known there; try criterion="l2"'
            )
        scale = torch.as_tensor(self.scale, dtype=torch.float64).expand(theta.shape)
        return PriorProblem(network, log_magnitudes(theta / scale))


class PriorProblem(SmoothProblem):
    """K for given log |theta / sigma|."""

    def __init__(self, network: TracedNetwork, logs: Vector) -> None:
        super().__init__(network.action.units, -1.0, blocks_of(network, 2 * logs))
        chosen = self.counted(network.action.enters.numpy(), network.action.leaves.numpy(), np.full(len(logs), True))
        fan_in, fan_out, self.linear = counts_of(network.action, chosen)  # linear = B^T 1
        self.fans = fan_in + fan_out
        self.count = len(logs) if chosen is None else int(chosen.sum())

    def value(self, z: Vector) -> float:
        with np.errstate(over="ignore", divide="ignore"):
            return float(np.exp(self.sum.flows(z).log_total) + self.linear @ z) / 2

    def rounding(self, value: float) -> float:
        return 1e-13 * (abs(value) + self.count)

    def _parts(self, z: Vector) -> tuple[Vector, Vector]:
        """Energies into and out of each unit, ``[H]``."""
        flows = self.sum.flows(z)
        factor = np.exp(flows.shift)
        return factor * flows.into[:-1], factor * flows.weighted_out()[:-1]

    def gradient(self, z: Vector) -> Vector:
        into, out = self._parts(z)
        return self._free(into - out + self.linear) / 2

    def hessian(self, z: Vector) -> Vector:
        curvature = self.sum.curvature(z)
        result = np.exp(curvature.flows.shift) * curvature.dense() / 2
        result[self.frozen], result[:, self.frozen] = 0.0, 0.0
        return result

    def solve(self, z: Vector, v: Vector, tolerance: float = 1e-12, damping: float = 0.0) -> Vector:
        curvature = self.sum.curvature(z)
        scale = 2 / np.exp(curvature.flows.shift)
        extra = damping * (curvature.diagonal + scale * self.fans / 2)
        return self._solve(curvature, v * scale, None, extra, tolerance)

    def imbalance(self, z: Vector) -> Vector:
        """(I_h - O_h - |in_h| + |out_h|) / (I_h + O_h + |in_h| + |out_h|), in [-1, 1]."""
        into, out = self._parts(z)
        return self._free(into - out + self.linear) / (into + out + self.fans).clip(1e-300)

    def update(self, z: Vector, chosen: Index) -> Vector:
        into, out = self._logs(z, chosen)
        return z[chosen] + positive_root(into, self.linear[chosen], out[1.0])

    def sweep_units(self, z: Vector) -> Vector:
        units = SingleUnits(self.sum, z)
        for unit in np.flatnonzero(~self.frozen).tolist():
            into, out = (np.log(np.array([x])) + units.shift for x in units.flows(unit))
            units.move(unit, float(positive_root(into, self.linear[[unit]], out)[0]))
        return units.z
