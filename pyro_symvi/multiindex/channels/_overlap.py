"""Integrals over outputs and partly known indices: the information and free entropy at an overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ._rule import MARGIN, NARROW, panel_rule

if TYPE_CHECKING:
    from ._channel import GaussianChannel

_BLOCK, _SPAN = 96, 2 * MARGIN
_X_REACH = 7.5
_X_WIDTH, _X_ORDER = 0.75, 8
_NEAR_BREAK = (-8.0, -4.0, -2.0, -1.0, 1.0, 2.0, 4.0, 8.0)
_TINY = 1e-290
_GROUP, _Y_MOST, _CHUNK, _KERNEL = 8, 96, 2**20, 2**23


class Moments(NamedTuple):
    """At one overlap: E g^2 and E log E_u p."""

    information: float
    log_likelihood: float


class _Block(NamedTuple):
    """Some outputs, with the stretch of nodes whose means lie near: weights in y and densities ``[y, z]``."""

    first: int
    last: int
    weights: Tensor
    densities: Tensor


@dataclass(frozen=True)
class OverlapRule:
    """Densities phi(y - mean(z)) on nodes sorted by mean, in blocks of y with the nodes that matter to each."""

    channel: GaussianChannel
    order: Tensor
    blocks: list[_Block]

    @staticmethod
    def of(channel: GaussianChannel) -> OverlapRule:
        """Precompute the blocks of a channel."""
        order = channel.means.argsort()
        return OverlapRule(channel, order, list(_blocks(channel, order, *channel.output_rule)))

    def score_information(self) -> float:
        """E[a(y)^2], a(y) = E[z^2 - 1 | y]."""
        both = _priors(self.channel, self.order)[:, [0, 2]]
        total = 0.0
        for block in self.blocks:
            density, numerator = (block.densities @ both[block.first : block.last]).T
            total += float(block.weights @ (numerator.square() / density.clamp_min(_TINY)))
        return total

    def moments(self, q: float) -> Moments:
        """Both integrals at overlap q.

        The index is z = omega + sqrt(1 - q) u with omega ~ N(0, q) known. While the conditional law of z is wide
        against the nodes of the channel, E_u p = sum_z P[y, z] N(z; omega, 1 - q) is a matrix product; else every
        omega takes nodes in u of its own.
        """
        omega, weights = self._omegas(q)
        if 1 - q < NARROW:
            return self._nearby(q, omega, weights)
        lengths = [block.last - block.first for block in self.blocks]
        shared = sum(lengths) > len(self.order)
        size = max(1, _KERNEL // (len(self.order) if shared else max(lengths)))
        parts = [self._on_nodes(q, shared, *both) for both in zip(omega.split(size), weights.split(size), strict=True)]
        return Moments(sum(p.information for p in parts), sum(p.log_likelihood for p in parts))

    def _on_nodes(self, q: float, shared: bool, omega: Tensor, weights: Tensor) -> Moments:
        """The sums for some omega, with the conditional law on all nodes at once (shared) or block by block."""
        nodes, node_weights = self.channel.nodes[self.order], self.channel.weights[self.order]

        def kernel(first: int, last: int) -> Tensor:
            shift = (nodes[first:last, None] - omega) / math.sqrt(1 - q)
            found = node_weights[first:last, None] * _normal(shift) / math.sqrt(1 - q)
            return torch.cat([found, found * shift / math.sqrt(1 - q)], 1)

        both = kernel(0, len(nodes)) if shared else None
        information, log_likelihood = 0.0, 0.0
        for block in self.blocks:
            near = kernel(block.first, block.last) if both is None else both[block.first : block.last]
            density, slope = (block.densities @ near).chunk(2, 1)
            density = density.clamp_min(_TINY)
            information += float(block.weights @ (slope.square() / density) @ weights)
            log_likelihood += float(block.weights @ (density * density.log()) @ weights)
        return Moments(information, log_likelihood)

    def _omegas(self, q: float) -> tuple[Tensor, Tensor]:
        """Nodes omega and weights of N(0, q), closing in on kinks and jumps at the scale sqrt(1 - q)."""
        channel = self.channel
        if q == 0:
            return torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        halved = channel.link.parity != "none"
        width = min(_X_WIDTH, channel.wavelength / 3) * 0.5**channel.finer / max(1.0, channel.snr) ** 0.25
        base = torch.linspace(-_X_REACH, _X_REACH, 2 * math.ceil(_X_REACH / width) + 1, dtype=torch.float64)
        near = torch.tensor(_NEAR_BREAK, dtype=torch.float64) * math.sqrt((1 - q) / q)
        cuts = [base]
        for place in channel.link.breaks:
            centre = torch.tensor([place / math.sqrt(q)], dtype=torch.float64)
            cuts += [centre, centre + near]
        edges = torch.cat(cuts).clamp(-_X_REACH, _X_REACH)
        if halved:
            edges = torch.cat([edges.abs(), torch.zeros(1, dtype=torch.float64)])
        edges = torch.unique(edges)
        edges = edges[torch.cat([edges.diff() > 1e-9, torch.ones(1, dtype=torch.bool)])]
        x, weights = panel_rule(edges, _X_ORDER)
        return math.sqrt(q) * x, weights * _normal(x) * (2.0 if halved else 1.0)

    def _nearby(self, q: float, omegas: Tensor, weights: Tensor) -> Moments:
        """The same integrals with nodes in u for each omega, and panels in y over the means that these reach."""
        channel, spread = self.channel, math.sqrt(1 - q)
        information, log_likelihood = 0.0, 0.0
        for omega, weight in zip(omegas.split(_GROUP), weights.split(_GROUP), strict=True):
            u, weight_u = channel.nearby(omega, torch.full_like(omega, 1 - q))
            means = channel.mean(omega[:, None] + spread * u)
            low, high = means.amin(-1) - MARGIN, means.amax(-1) + MARGIN
            count = min(math.ceil(float((high - low).max()) / 1.5), _Y_MOST) * 2**channel.finer
            steps = torch.linspace(0, 1, count + 1, dtype=torch.float64)
            y, weight_y = panel_rule(low[:, None] + (high - low)[:, None] * steps)
            both = torch.stack([weight_u, weight_u * u / spread], -1)
            size = max(1, _CHUNK // means.numel())
            for part, weight_part in zip(y.split(size, 1), weight_y.split(size, 1), strict=True):
                density, slope = (_normal(part[..., None] - means[:, None, :]) @ both).unbind(-1)
                density = density.clamp_min(_TINY)
                information += float(weight @ (weight_part * slope.square() / density).sum(-1))
                log_likelihood += float(weight @ (weight_part * density * density.log()).sum(-1))
        return Moments(information, log_likelihood)


def output_densities(channel: GaussianChannel, y: Tensor) -> Tensor:
    """E[(1, z, z^2 - 1) p(y | z)] at increasing outputs: ``[y] -> [3, y]``."""
    order = channel.means.argsort()
    priors = _priors(channel, order)
    found = torch.zeros(3, len(y), dtype=torch.float64)
    start = 0
    for block in _blocks(channel, order, y, torch.ones_like(y)):
        stop = start + len(block.weights)
        found[:, start:stop] = (block.densities @ priors[block.first : block.last]).T
        start = stop
    return found


def _priors(channel: GaussianChannel, order: Tensor) -> Tensor:
    nodes = channel.nodes[order]
    return (channel.weights[order] * _normal(nodes))[:, None] * torch.stack(
        [torch.ones_like(nodes), nodes, nodes.square() - 1], 1
    )


def _blocks(channel: GaussianChannel, order: Tensor, y: Tensor, weights: Tensor) -> Iterator[_Block]:
    """Stretches of increasing y, each with the nodes whose means lie within reach: where y lies far apart, few y."""
    means = channel.means[order]
    start = 0
    while start < len(y):
        reach = int(torch.searchsorted(y, y[start] + _SPAN, right=True))
        part = slice(start, min(start + _BLOCK, reach))
        first = int(torch.searchsorted(means, y[part][0] - MARGIN))
        last = int(torch.searchsorted(means, y[part][-1] + MARGIN, right=True))
        yield _Block(first, last, weights[part], _normal(y[part, None] - means[first:last]))
        start = part.stop


def _normal(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)
