"""The condition that a canonical point meets, as a differentiable function of the parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from ...groups import NetworkRescaling
from ..criteria import Criterion, L2Criterion, PathCriterion
from ..path_lifting import path_weights
from ..tracing import TracedNetwork


class Support(NamedTuple):
    """What an objective depends on.

    Attributes:
        live: bool ``[dim]``: entries with a positive weight whose units, if any, are free.
        free: bool ``[H]``: units on a cycle of live entries through the outside; the others keep scale one.
    """

    live: Tensor
    free: Tensor


Shares = tuple[Tensor, float | Tensor]
"""p ``[dim]`` and m."""


@dataclass(frozen=True)
class Gauge(ABC):
    """F(z) = m log sum_i w_i e^{t (B z)_i} - b^T z, whose gradient at z = 0 vanishes at canonical points.

    chi(theta) = dF/dz at 0 = m t B^T p - b, with p_i = w_i / sum w, is the gauge condition; its derivative along the
    orbit is the Hessian m t^2 (B^T diag(p) B - (B^T p)(B^T p)^T). Everything is evaluated at points near the canonical
    one, where all terms are of like size.

    Attributes:
        network: whose parameters are meant.
    """

    network: TracedNetwork

    @abstractmethod
    def weights(self, theta: Tensor) -> Tensor:
        """w_i(theta) >= 0, ``[dim]``, differentiable."""

    @property
    @abstractmethod
    def rate(self) -> float:
        """The factor t in the exponent."""

    @property
    def action(self) -> NetworkRescaling:
        """The action of rescaling."""
        return self.network.action

    def support(self, theta: Tensor) -> Support:
        """Which entries and units F speaks of, at one point; the same along an orbit."""
        live = self.weights(theta.detach()) > 0
        free = free_units(self.action, live)
        padded = torch.cat([free, free.new_ones(1)])
        return Support(live & padded[self.action.enters] & padded[self.action.leaves], free)

    def condition(self, theta: Tensor, support: Support) -> Tensor:
        """The gauge condition chi ``[H]``, 0 for units without a scale; differentiable in theta ``[dim]``."""
        return self._condition(self._shares(theta, support), support)

    def hessian(self, theta: Tensor, support: Support) -> Tensor:
        """The slope d chi(theta e^{-B z / 2}) / dz at z = 0, dense ``[H, H]``; 1 on the diagonal of other units."""
        return self._hessian(self._shares(theta, support), support)

    def newton_step(self, theta: Tensor, support: Support) -> Tensor:
        """F''^{-1} chi ``[H]``: how far z = 0 is from the optimum, to first order."""
        shares = self._shares(theta, support)
        return torch.linalg.solve(self._hessian(shares, support), self._condition(shares, support))

    def _condition(self, shares: Shares, support: Support) -> Tensor:
        p, m = shares
        return (m * self.rate * self._transpose(p) - self._linear(support)) * support.free

    def _hessian(self, shares: Shares, support: Support) -> Tensor:
        p, m = shares
        mean, free = self._transpose(p), support.free.to(p)
        full = m * self.rate**2 * (self.gram(p) - mean[:, None] * mean[None, :])
        return full * free[:, None] * free[None, :] + torch.diag(1 - free)

    def _shares(self, theta: Tensor, support: Support) -> Shares:
        """The shares p and the factor m."""
        logs = torch.where(support.live, self.weights(theta), 1.0).log().masked_fill(~support.live, -torch.inf)
        return logs.softmax(-1), self._count(support)

    def _count(self, support: Support) -> float | Tensor:
        return 1.0

    def _linear(self, support: Support) -> Tensor:
        """The linear form b ``[H]``."""
        return torch.zeros(self.action.units, dtype=torch.float64)

    def _transpose(self, values: Tensor) -> Tensor:
        """B^T v ``[H]``."""
        H, action = self.action.units, self.action
        out = values if action.degrees is None else values * action.degrees.to(values)
        total = values.new_zeros(H + 1).index_add(0, action.leaves % (H + 1), out)
        return total.index_add(0, action.enters % (H + 1), -values)[:H]

    def gram(self, values: Tensor) -> Tensor:
        """B^T diag(v) B ``[H, H]``."""
        size, action = self.action.units + 1, self.action
        a, b = action.leaves % size, action.enters % size  # -1 becomes the last row, which is cut off
        k = torch.ones_like(values) if action.degrees is None else action.degrees.to(values)
        total = values.new_zeros(size * size)
        for row, column, value in ((a, a, k * k * values), (b, b, values), (a, b, -k * values), (b, a, -k * values)):
            total = total.index_add(0, row * size + column, value)
        return total.reshape(size, size)[:-1, :-1]


class PathGauge(Gauge):
    """w = g, the diagonal of J^T J; t = 1, m the number of live entries, b = B^T 1 over them."""

    @property
    def rate(self) -> float:
        return 1.0

    def weights(self, theta: Tensor) -> Tensor:
        return path_weights(self.network, theta)

    def _count(self, support: Support) -> float | Tensor:
        return support.live.sum()

    def _linear(self, support: Support) -> Tensor:
        return self._transpose(support.live.double())


@dataclass(frozen=True)
class PowerGauge(Gauge):
    """w = |theta|^p, t = -p / 2: the logarithm of the sum of powers."""

    power: float = 2.0

    @property
    def rate(self) -> float:
        return -self.power / 2

    def weights(self, theta: Tensor) -> Tensor:
        return theta.square() if self.power == 2 else theta.abs().pow(self.power)


def gauge_of(criterion: Criterion, network: TracedNetwork) -> Gauge | None:
    """The gauge of a criterion; None where it has none that can be differentiated (``"range"``, one's own)."""
    if type(criterion) is PathCriterion:
        return PathGauge(network)
    if type(criterion) is L2Criterion:
        return PowerGauge(network, float(criterion.power))
    return None


def free_units(action: NetworkRescaling, live: Tensor) -> Tensor:
    """Units in the strongly connected component of the outside in the graph of live entries, bool ``[H]``."""
    size = action.units + 1
    tails, heads = (np.mod(i.numpy()[live.numpy()], size) for i in (action.leaves, action.enters))
    graph = sparse.coo_matrix((np.ones(len(tails)), (tails, heads)), shape=(size, size))
    _, labels = connected_components(graph, directed=True, connection="strong")
    return torch.from_numpy(labels[:-1] == labels[-1])
