"""The Gaussian channel of a link function: posterior moments of the index given the output."""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ..links import Link
from ._number import positive_number
from ._overlap import Moments, OverlapRule, output_densities
from ._rule import NARROW, RISE, input_edges, output_edges, panel_rule

_CHUNK, _NEARBY = 2**22, 4096
_U_REACH, _U_FEWEST, _U_MOST, _U_PROBES = 7.5, 7, 256, 60


class FreeEntropy(NamedTuple):
    """The parts of the replica free entropy per dimension: ``prior + ratio * output``."""

    prior: Tensor
    """``[*batch]``, shape of the overlaps"""
    output: Tensor
    """``[*batch]``"""


class GaussianChannel:
    r"""The channel of a single-index model with additive Gaussian noise,

    .. math:: y = \sqrt{\lambda}\, \sigma(z) + \xi, \qquad z \sim N(0, 1), \quad \xi \sim N(0, 1),

    with sigma standardised, so lambda is the signal to noise ratio; noise of variance Delta on sigma itself is
    lambda = 1 / Delta (divide the output by sqrt(Delta)).

    All integrals run over panels of Gauss-Legendre nodes that have kinks and jumps of sigma as edges and on which the
    mean of y moves by at most 6, in float64 and stabilised in the logarithm. Posterior moments take tensors of any
    shape, precision and device and give them back alike.

    Args:
        link: The link function, or an activation, see `Link.of`.
        snr: The signal to noise ratio lambda > 0.
        finer: Each step of it halves every panel: what differs is the quadrature error.

    Raises:
        ValueError: for a ratio that is not positive and finite; for a channel that 20,000 panels do not resolve.

    Example:
        >>> channel = GaussianChannel("sign", snr=1.0)
        >>> round(float(channel.first_score(torch.tensor(0.5, dtype=torch.float64))), 6)  # sqrt(2 / pi) tanh(0.5)
        0.368716
    """

    def __init__(self, link: Link | str, snr: float, *, finer: int = 0) -> None:
        self.link = Link.of(link)
        self.snr = positive_number(
            snr, "a signal to noise ratio", "a channel has one; with noise variance D it is 1 / D"
        )
        self.finer = finer
        slope = math.sqrt(self.snr)
        self.edges = input_edges(self.link, slope, finer)
        self.nodes, self.weights = panel_rule(self.edges)
        self.means = slope * self.link(self.nodes)

    def refined(self) -> GaussianChannel:
        """The same channel on panels of half the width."""
        return GaussianChannel(self.link, self.snr, finer=self.finer + 1)

    def __repr__(self) -> str:
        return f"GaussianChannel({self.link.name!r}, snr={self.snr:.6g})"

    def mean(self, z: Tensor) -> Tensor:
        """E[y | z] = sqrt(lambda) sigma(z)."""
        return math.sqrt(self.snr) * self.link(z)

    def log_density(self, y: Tensor) -> Tensor:
        """The logarithm of the density of outputs, log E_z N(y; sqrt(lambda) sigma(z), 1)."""
        return self._posterior(y, 0)[0]

    def first_score(self, y: Tensor) -> Tensor:
        """E[z | y]: what the output tells of the sign of the index; zero for even activations."""
        return self._posterior(y, 1)[1]

    def score(self, y: Tensor) -> Tensor:
        """The score a(y) = E[z^2 - 1 | y]; a / (1 + a) are the weights of the optimal spectral estimator."""
        return self._posterior(y, 2)[1]

    def _posterior(self, y: Tensor, power: int) -> tuple[Tensor, Tensor]:
        y = torch.as_tensor(y)
        y = y if y.is_floating_point() else y.double()
        flat = y.detach().to(torch.float64).reshape(-1)
        nodes, means = self.nodes.to(y.device), self.means.to(y.device)
        log_prior = self.weights.to(y.device).log() - 0.5 * nodes.square() - math.log(2 * math.pi)
        statistic = nodes if power < 2 else nodes.square() - 1
        logs, moments = [], []
        for part in flat.split(max(1, _CHUNK // len(nodes))):
            logits = log_prior - 0.5 * (part[:, None] - means).square()
            log_density = logits.logsumexp(-1)
            logs.append(log_density)
            moments.append((logits - log_density[:, None]).exp() @ statistic)
        shape = y.shape
        return torch.cat(logs).reshape(shape).to(y.dtype), torch.cat(moments).reshape(shape).to(y.dtype)

    def output(self, y: Tensor, omega: Tensor, variance: Tensor | float) -> Tensor:
        r"""The output function of approximate message passing,

        .. math:: g(y, \omega, V) = \frac{E_u[u\, p(y \mid \omega + \sqrt V u)]}{\sqrt V\, E_u[p(y \mid \omega +
            \sqrt V u)]}, \qquad u \sim N(0, 1).

        Args:
            y: Outputs, in units of the noise.
            omega: Means of the index, broadcast with ``y``.
            variance: Variances V > 0 of the index, broadcast with both.

        Returns:
            g, in the shape of the three broadcast together.

        Raises:
            ValueError: for a variance that is not positive.
        """
        variance = torch.as_tensor(variance, dtype=y.dtype, device=y.device)
        if not bool((variance > 0).all()):
            raise ValueError(
                f"expected positive variances, got {float(variance.min()):.4g}, because g is a ratio to their root; "
                "try 1 - q with an overlap q below 1"
            )
        wide_y, wide_omega, wide_variance = torch.broadcast_tensors(y, omega, variance)
        points = torch.stack([wide_y, wide_omega, wide_variance]).detach().to(torch.float64).reshape(3, -1)
        out = torch.empty_like(points[0])
        narrow = points[2] < NARROW
        for mask, solve in ((~narrow, self._output_on_nodes), (narrow, self._output_nearby)):
            if bool(mask.any()):
                out[mask] = solve(points if bool(mask.all()) else points[:, mask])
        return out.reshape(wide_y.shape).to(y.dtype)

    def _output_on_nodes(self, points: Tensor) -> Tensor:
        nodes, means = self.nodes.to(points.device), self.means.to(points.device)
        log_weights = self.weights.to(points.device).log()
        found = []
        for y, omega, variance in zip(*(p.split(max(1, _CHUNK // len(nodes))) for p in points), strict=True):
            shift = nodes - omega[:, None]
            logits = log_weights - 0.5 * ((y[:, None] - means).square() + shift.square() / variance[:, None])
            found.append((logits.softmax(-1) * shift).sum(-1) / variance)
        return torch.cat(found)

    def _output_nearby(self, points: Tensor) -> Tensor:
        found = []
        for y, omega, variance in zip(*(p.split(_NEARBY) for p in points), strict=True):
            u, weights = self.nearby(omega, variance)
            means = self.mean(omega[:, None] + variance.sqrt()[:, None] * u)
            logits = weights.clamp_min(1e-300).log() - 0.5 * (y[:, None] - means).square()
            found.append((logits.softmax(-1) * u).sum(-1) / variance.sqrt())
        return torch.cat(found)

    def nearby(self, omega: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes u and weights of N(0, 1), ``[n, m]``, with edges where omega + sqrt(V) u meets a kink or jump."""
        probe = torch.linspace(-_U_REACH, _U_REACH, _U_PROBES + 1, dtype=torch.float64, device=omega.device)
        breaks = torch.tensor(self.link.breaks, dtype=torch.float64, device=omega.device)
        spread = variance.sqrt()[:, None]
        cuts = ((breaks - omega[:, None]) / spread).clamp(-_U_REACH, _U_REACH)
        rise = self.mean(omega[:, None] + spread * probe).diff().abs()
        jumped = ((probe[:-1, None] <= cuts[:, None]) & (cuts[:, None] <= probe[1:, None])).any(-1)
        steepest = float(rise.masked_fill(jumped, 0.0).max()) * _U_PROBES / RISE
        count = math.ceil(min(max(steepest, _U_FEWEST), _U_MOST)) * 2**self.finer
        base = torch.linspace(-_U_REACH, _U_REACH, count + 1, dtype=torch.float64, device=omega.device)
        edges = torch.cat([base.expand(len(omega), -1), cuts], -1).sort(-1).values
        u, weights = panel_rule(edges)
        return u, weights * torch.exp(-0.5 * u.square()) / math.sqrt(2 * math.pi)

    @cached_property
    def wavelength(self) -> float:
        """The shortest distance between turning points of the mean two apart, within 4 of zero; infinite if fewer."""
        inner = self.nodes.abs() < 4
        steps = self.means[inner].diff()
        turns = self.nodes[inner][1:-1][steps[1:] * steps[:-1] < 0]
        return float((turns[2:] - turns[:-2]).min()) if len(turns) > 2 else math.inf

    @cached_property
    def output_rule(self) -> tuple[Tensor, Tensor]:
        """Nodes and Lebesgue weights in y."""
        return panel_rule(output_edges(self.nodes, self.means, self.finer))

    @cached_property
    def overlap_rule(self) -> OverlapRule:
        """The precomputed part of all integrals at an overlap."""
        return OverlapRule.of(self)

    def score_information(self) -> float:
        """E[a(y)^2]: the inverse of the weak-recovery threshold of an even activation."""
        return self.overlap_rule.score_information()

    def densities(self, y: Tensor) -> Tensor:
        """E[(1, z, z^2 - 1) p(y | z)] at increasing outputs, ``[y] -> [3, y]``, float64 on the CPU."""
        return output_densities(self, y)

    def output_moments(self, q: float) -> Moments:
        """Both integrals at one overlap q in [0, 1), see `output_information` and `free_entropy`."""
        if not 0 <= q < 1:
            raise ValueError(f"expected an overlap in [0, 1), got {q}; at q = 1 nothing is left to learn")
        return self.overlap_rule.moments(q)

    def output_information(self, q: Tensor | float) -> Tensor:
        """E[g(y, omega, 1 - q)^2] with omega ~ N(0, q), z ~ N(omega, 1 - q): what one sample tells at overlap q.

        The state evolution of approximate message passing is q -> h / (1 + h), h = ratio * output_information(q).

        Args:
            q: Overlaps in [0, 1), any shape.

        Returns:
            The information, in the shape of ``q``, float64.
        """
        return self._over(q, 0)

    def free_entropy(self, q: Tensor | float) -> FreeEntropy:
        r"""The parts of the free entropy per dimension at overlap q, with n / d the ratio:

        .. math:: \phi(q) = \tfrac12 [q + \log(1 - q)] + \tfrac nd\, E \log E_u\, p(y \mid \omega + \sqrt{1 - q} u).

        The derivative of the second part is half of `output_information`.
        """
        at = torch.as_tensor(q, dtype=torch.float64)
        return FreeEntropy(0.5 * (at + torch.log1p(-at)), self._over(q, 1))

    def _over(self, q: Tensor | float, part: int) -> Tensor:
        at = torch.as_tensor(q, dtype=torch.float64)
        values = [self.output_moments(float(one))[part] for one in at.reshape(-1)]
        return torch.tensor(values, dtype=torch.float64).reshape(at.shape)
