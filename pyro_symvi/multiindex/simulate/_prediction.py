"""The overlap of the optimal spectral estimator in high dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..channels import GaussianChannel
from ..links import Link
from ._draws import require_channel

_STEP = 0.02
_BEYOND = 8.0


@dataclass(frozen=True)
class SpectralPrediction:
    """What theory says of the optimal spectral estimator at each ratio, ``[R]`` in float64.

    Attributes:
        overlap: limit of the squared cosine with the truth; 0 up to the threshold 1 / E a^2.
        edge: the location lambda >= 1 of the outlier, in the convention of :func:`spectral_prediction`.
    """

    overlap: Tensor
    edge: Tensor


def spectral_prediction(channel: GaussianChannel, ratio: float | Sequence[float]) -> SpectralPrediction:
    r"""Limit of the squared cosine between the truth and the top eigenvector with T = a/(1 + a), a(y) = E[z^2 - 1 | y].

    With r = a/(lambda + (lambda - 1) a), the outlier lambda >= 1 and the squared cosine are given by

    .. math:: 1/\alpha = E[a r], \qquad \cos^2 = \frac{1/\alpha - E[r^2]}{1/\alpha + E[a r^2]},

    which is Theorem 1 of Lu and Li (2020) for these weights, our derivation: E[(z^2 - 1) T/(lambda - T)] = E[a r]. At
    lambda = 1 the first is alpha = 1/E[a^2], the threshold; below it the overlap is 0.

    Raises:
        ValueError: for ratios that are not positive.
    """
    ratios = torch.tensor([ratio] if isinstance(ratio, int | float) else list(ratio), dtype=torch.float64)
    if not len(ratios) or not bool((ratios > 0).all()):
        raise ValueError(f"expected ratios above 0, got {ratio!r}")
    require_channel(channel)
    a, weight = output_scores(channel)

    def slope(edge: Tensor) -> Tensor:
        r = a / (edge[:, None] + (edge[:, None] - 1) * a)
        return r

    low, high = torch.ones_like(ratios), torch.full_like(ratios, 2.0)
    signal = weight @ a.square()
    while bool(((slope(high) * a) @ weight > 1 / ratios).any()) and float(high.max()) < 1e12:
        high = torch.where((slope(high) * a) @ weight > 1 / ratios, 2 * high, high)
    for _ in range(60):
        middle = (low + high) / 2
        above = (slope(middle) * a) @ weight > 1 / ratios
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    edge = torch.where(ratios * signal > 1, (low + high) / 2, 1.0)
    r = slope(edge)
    overlap = (1 / ratios - r.square() @ weight) / (1 / ratios + (a * r.square()) @ weight)
    return SpectralPrediction(torch.where(ratios * signal > 1, overlap, 0.0).clamp(0, 1), edge)


def output_scores(channel: GaussianChannel) -> tuple[Tensor, Tensor]:
    """Values a(y) = E[z^2 - 1 | y] on a grid of y, and the weights of its law, each ``[m]`` in float64."""
    link = Link.of(channel.link)
    kept = link.weights > 1e-16
    signal = channel.snr**0.5 * link.values[kept]
    y = torch.arange(float(signal.min()) - _BEYOND, float(signal.max()) + _BEYOND, _STEP, dtype=torch.float64)
    log_density = (link.weights[kept].log() - (y[:, None] - signal).square() / 2).logsumexp(-1)
    weight = (log_density - log_density.logsumexp(0)).exp()
    used = weight > 1e-18
    return channel.score(y[used]), weight[used]
