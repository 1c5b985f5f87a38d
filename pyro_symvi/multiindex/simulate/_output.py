"""The output function of message passing for many samples of one variance: one softmax over a grid of z."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..channels import GaussianChannel
from ..links import Link

_REACH = 8.0
"""The grid ends at so many standard deviations of z."""

_ORDER = 8
"""Gauss-Legendre nodes of a panel."""

_PANELS = (8, 16, 32, 64, 128, 256)
"""Panels that are tried, until the next finer grid changes g_out by less than the tolerance."""

_NARROW = 0.005
"""Variances below which the channel's own nodes around each omega are better."""

_TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-7}

_ENTRIES = {"cpu": 2**19, "cuda": 2**26}
"""Samples times nodes of one softmax: 2 MB in float32 on a CPU, 256 MB on a GPU."""


@lru_cache(maxsize=256)
def output_grid(link: Link, snr: float, level: int, tol: float) -> tuple[Tensor, Tensor, Tensor]:
    r"""Nodes z_j, values sqrt(snr) sigma(z_j) and log weights of Lebesgue measure, each ``[m]`` in float64.

    The grid serves variances from 2^-level to 2^(1 - level): the number of panels grows until halving them changes
    g_out by less than ``tol`` times its root mean square, at points (y, omega) drawn from the model.
    """
    variance = 2.0**-level
    generator = torch.Generator().manual_seed(0)
    omega, u, noise = torch.randn(3, 512, generator=generator, dtype=torch.float64)
    omega = omega * max(1 - variance, 0.1) ** 0.5
    y = snr**0.5 * link(omega + variance**0.5 * u) + noise
    spread = torch.tensor(variance)
    grids = [_grid(link, snr, panels) for panels in _PANELS]
    before = posterior_score(y, omega, spread, grids[0])
    for coarse, fine in pairwise(grids):
        after = posterior_score(y, omega, spread, fine)
        if (after - before).abs().max() <= tol * after.square().mean().sqrt():
            return coarse
        before = after
    return grids[-1]


def _grid(link: Link, snr: float, panels: int) -> tuple[Tensor, Tensor, Tensor]:
    """Equal panels, cut at kinks and jumps of sigma."""
    inside = [edge for edge in link.breaks if abs(edge) < _REACH]
    edges = torch.tensor(sorted({*np.linspace(-_REACH, _REACH, panels + 1).tolist(), *inside}), dtype=torch.float64)
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(_ORDER))
    half = (edges[1:] - edges[:-1])[:, None] / 2
    z = (edges[:-1, None] + half * (1 + nodes)).reshape(-1)
    kept = (half * weights).reshape(-1) > 1e-12  # an edge next to a kink makes an empty panel
    return z[kept], snr**0.5 * link(z[kept]), (half * weights).reshape(-1)[kept].log()


def posterior_score(y: Tensor, omega: Tensor, variance: Tensor, grid: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """(E[z | y, omega, V] - omega) / V ``[n]`` for y and omega ``[n]`` and one variance V, in the dtype of y."""
    z, signal, log_weight = grid
    bias = log_weight - signal.square() / 2 - z.square() / (2 * variance.to(z))
    table = torch.stack([z, signal]).to(y)
    chunk = max(_ENTRIES.get(y.device.type, 2**22) // len(z), 1)
    scaled = torch.stack([omega / variance, y], -1)
    target, shift = z.to(y)[:, None], bias.to(y)
    means = [torch.addmm(shift, rows, table).softmax(-1) @ target for rows in scaled.split(chunk)]
    return (torch.cat(means)[:, 0] - omega) / variance


class OutputFunction:
    r"""The output function g_out of a channel y = sqrt(snr) sigma(z) + xi, for many samples that share a variance.

    .. math:: g_{out}(y, \omega, V) = (E[z | y, \omega, V] - \omega)/V, \qquad z \sim N(\omega, V), \quad
        p(y | z) = N(y; \sqrt{snr}\,\sigma(z), 1).

    The posterior of z lives on a fixed Gauss-Legendre grid, so that its log density is linear in (omega / V, y): a
    matrix product and a softmax give all samples, exactly up to the tolerance of the grid, and no table has to be
    interpolated: the values are those of ``channel.output`` in a thirtieth of the time. Samples are worked off in
    chunks of 2 MB (256 MB on a GPU). Below a variance of 0.005 ``channel.output`` itself is called.

    Args:
        channel: the law of the outputs.
        dtype: of the samples. In float32 the grid leaves an error of 1e-5, in float64 one of 1e-7, relative to the root
            mean square of g_out and for nearly all samples of the model (the largest of 512 is looked at).
    """

    def __init__(self, channel: GaussianChannel, dtype: torch.dtype) -> None:
        self._channel, self._tol = channel, _TOLERANCES[dtype]
        self._grids: dict[tuple[int, torch.device], tuple[Tensor, Tensor, Tensor]] = {}

    def grid(self, variance: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Nodes, values and log weights for this variance, in (0, 1], on the device."""
        level = int(max(np.ceil(-np.log2(max(variance, 1e-9)) - 1e-9), 0))
        if (level, device) not in self._grids:
            z, signal, log_weight = output_grid(self._channel.link, self._channel.snr, level, self._tol)
            self._grids[level, device] = z.to(device), signal.to(device), log_weight.to(device)
        return self._grids[level, device]

    def __call__(self, y: Tensor, omega: Tensor, variance: Tensor) -> Tensor:
        """Values ``[S, n, C]`` at y ``[S, n]``, omega ``[S, n, C]`` and variances ``[S, C]``."""
        out = torch.empty_like(omega)
        for s, c, v in _numbered(variance):
            at = y[s], omega[s, :, c], variance[s, c]
            out[s, :, c] = self._channel.output(*at) if v < _NARROW else posterior_score(*at, self.grid(v, y.device))
        return out


def _numbered(variance: Tensor) -> Iterable[tuple[int, int, float]]:
    """Indices and values of a table, with one copy from the device."""
    for s, row in enumerate(variance.tolist()):
        for c, v in enumerate(row):
            yield s, c, v
