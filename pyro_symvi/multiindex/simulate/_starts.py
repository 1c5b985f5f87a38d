"""Where message passing begins: at random, at a spectral estimate, or near the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..channels import GaussianChannel
from ._prediction import spectral_prediction
from ._rows import fields, segments
from ._spectral import optimal_preprocessing, spectral_estimator

STARTS = ("random", "spectral", "informed")
_ROWS = 8192


@dataclass(frozen=True)
class Start:
    """A first estimate ``[S, C, d]``, the overlap it is taken to have ``[S, C]``, earlier messages ``[S, n, C]``."""

    estimate: Tensor
    overlap: Tensor
    messages: Tensor | None = None


def matched_start(
    name: str,
    x: Tensor,
    y: Tensor,
    channel: GaussianChannel,
    counts: Sequence[int],
    *,
    truth: Tensor | None,
    overlap: float | None,
    generator: torch.Generator,
) -> Start:
    r"""A start whose squared length q is the overlap it should have with the truth, so that 1 - q is its variance.

    random: length^2 q = 1/d, what a random direction has by chance; informed: q w + sqrt(q (1 - q)) times a random
    vector of unit length, q = 0.9; spectral: the top eigenvector with the length that theory predicts and the messages
    of the linear algorithm whose fixed point it is (Mondelli and Venkataramanan 2021).
    """
    sets, dim, columns = x.shape[0], x.shape[-1], len(counts)
    noise = torch.randn(sets, columns, dim, generator=generator, dtype=x.dtype, device=x.device) / dim**0.5
    if name == "spectral":
        return _spectral(x, y, channel, counts, overlap)
    if name == "informed":
        if truth is None:
            raise ValueError('expected truth with start="informed", got None; try start="spectral"')
        q = 0.9 if overlap is None else overlap
        estimate = q * truth[:, None] + (q * (1 - q)) ** 0.5 * noise
    else:
        q = 1 / dim if overlap is None else overlap
        estimate = q**0.5 * noise
    return Start(estimate, estimate.new_full((sets, columns), q))


def _spectral(x: Tensor, y: Tensor, channel: GaussianChannel, counts: Sequence[int], overlap: float | None) -> Start:
    dim = x.shape[-1]
    found = spectral_estimator(x, y, channel, ratios=[count / dim for count in counts])
    expected = spectral_prediction(channel, [count / dim for count in counts])
    q = expected.overlap.to(x).clamp_min(dim**-0.5) if overlap is None else x.new_full((len(counts),), overlap)
    estimate = q.sqrt()[:, None] * found.vectors[:, :, 0]
    messages = x.new_zeros(*y.shape, len(counts))
    scale = 1 / (expected.edge.to(x) * (1 - q))
    weights = optimal_preprocessing(channel)(y).to(x)
    for rows, using in segments(counts, _ROWS):
        scores = weights[:, rows, None] * fields(x[:, rows], estimate[:, using])
        messages[:, rows, using] = scores * scale[using]
    return Start(estimate, q.expand(x.shape[0], -1), messages)
