"""The optimal spectral estimator, and the overlap that theory gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..._value import positive_int
from ..channels import GaussianChannel
from ._draws import private_generator, require_channel
from ._lanczos import lanczos
from ._rows import checked_data, fields, pulls, row_counts, segments
from ._top import top_eigenvectors

Preprocessing = Callable[[Tensor], Tensor]

_DENSE = 4096
"""Dimensions up to which the d x d matrix is formed: gemm is an order of magnitude faster than products of vectors."""

_ROWS = 8192
"""Rows of x that are weighted at a time: d x 8192 numbers of memory."""


@dataclass(frozen=True, eq=False)
class SpectralEstimate:
    """Top eigenvectors of (1/d) sum_i T(y_i) x_i x_i^T. Axes of data sets and ratios are there if they were asked for.

    Attributes:
        vectors: unit vectors ``[S, R, count, d]``, each up to its sign.
        values: eigenvalues ``[S, R, count]``, largest first.
        residuals: |M v - theta v|, ``[S, R, count]``.
    """

    vectors: Tensor
    values: Tensor
    residuals: Tensor

    def squared_cosine(self, directions: Tensor) -> Tensor:
        """Mean squared cosine between the span of the vectors and ``directions``, in [0, 1].

        ``directions`` are orthonormal, ``[S, d]`` or ``[S, p, d]`` (``[d]``, ``[p, d]`` without an axis of data sets).
        For one direction and one vector it is the squared cosine.
        """
        vectors, own = self.vectors, directions.to(self.vectors)
        if directions.ndim == (1 if vectors.shape[:-2] == () else 2) or own.ndim == 1:
            own = own[..., None, :]
        while own.ndim < vectors.ndim:
            own = own.unsqueeze(-3)
        return (vectors @ own.mT).square().sum((-2, -1)) / own.shape[-2]


def optimal_preprocessing(channel: GaussianChannel) -> Preprocessing:
    r"""T(y) = a(y)/(1 + a(y)) with a(y) = E[z^2 - 1 | y]: the best weights of a spectral estimator.

    With them the top eigenvector has an overlap as soon as any first-order method has (Mondelli and Montanari 2019;
    Luo, Alghamdi and Lu 2019). 1 + a(y) = E[z^2 | y] > 0, so that T < 1.
    """
    require_channel(channel)

    def weights(y: Tensor) -> Tensor:
        a = channel.score(y)
        return a / (1 + a).clamp_min(1e-6)

    return weights


def spectral_estimator(
    x: Tensor,
    y: Tensor,
    channel: GaussianChannel | Preprocessing,
    *,
    count: int = 1,
    ratios: Sequence[float] | None = None,
    tol: float = 1e-5,
    max_steps: int = 600,
) -> SpectralEstimate:
    """Top eigenvectors of M = (1/d) sum_i T(y_i) x_i x_i^T.

    Up to d = 4096 M is formed (memory: d^2 numbers a data set and ratio), and ARPACK finds the eigenvectors on a CPU,
    our Lanczos method on a GPU. Beyond that only products with x are taken, by Lanczos (memory: d max_steps numbers at
    most for each). For a committee of p units use ``count=p``: the span of the p vectors estimates that of the weights.

    Args:
        x: inputs ``[n, d]`` or ``[S, n, d]``.
        y: outputs ``[n]`` or ``[S, n]``.
        channel: a channel, whose optimal weights are taken (:func:`optimal_preprocessing`), or a function T of y.
        count: vectors wanted, p for a committee.
        ratios: n / d; each uses the first rows of x, and adds an axis ``[R]`` after that of data sets.
        tol: residual of the eigenpairs relative to the largest absolute eigenvalue. 1e-5 is as far as float32 goes.
        max_steps: most Lanczos steps.

    Raises:
        ValueError: shapes that do not fit, weights that are not finite, ratios beyond the rows.
    """
    if isinstance(channel, str) or not callable(channel):
        require_channel(channel)
    x, y, several = checked_data(x, y)
    if positive_int(count, "count") > x.shape[-1]:
        raise ValueError(f"expected count <= d, got {count} > {x.shape[-1]}")
    counts = row_counts(x, ratios)
    weigh = optimal_preprocessing(channel) if isinstance(channel, GaussianChannel) else channel
    weights = weigh(y).to(x)
    if weights.shape != y.shape or not bool(torch.isfinite(weights).all()):
        raise ValueError(
            f"expected a finite weight for each output, shape {list(y.shape)}, got shape {list(weights.shape)}"
            + ("" if weights.shape != y.shape else " with infinite or undefined entries")
        )
    sets, dim = x.shape[0], x.shape[-1]
    generator = private_generator(0, x.device)
    start = torch.randn(1, dim, generator=generator, dtype=x.dtype, device=x.device).expand(sets * len(counts), dim)
    limits: dict[str, Any] = {"tol": tol, "max_steps": max(max_steps, 2 * count)}

    def apply(v: Tensor) -> Tensor:
        columns = v.view(sets, -1, dim)
        out = torch.zeros_like(columns)
        for rows, using in segments(counts, _ROWS):
            scores = weights[:, rows, None] * fields(x[:, rows], columns[:, using])
            out[:, using] += pulls(x[:, rows], scores)
        return out.reshape(v.shape) / dim

    if dim <= _DENSE:
        matrices = weighted_moments(x, weights, counts).view(-1, dim, dim)
        values, vectors, residuals = top_eigenvectors(matrices, start, count, **limits)
    else:
        values, vectors, residuals = lanczos(apply, start, count, **limits)
    shape = ([sets] if several else []) + ([len(counts)] if ratios is not None else [])
    return SpectralEstimate(
        vectors.reshape(*shape, count, dim), values.reshape(*shape, count), residuals.reshape(*shape, count)
    )


def weighted_moments(x: Tensor, weights: Tensor, counts: Sequence[int]) -> Tensor:
    """(1/d) sum_{i < count} T_i x_i x_i^T for each count, ``[S, len(counts), d, d]``; each row is used once."""
    dim = x.shape[-1]
    total = torch.zeros(x.shape[0], dim, dim, dtype=x.dtype, device=x.device)
    out = torch.empty(x.shape[0], len(counts), dim, dim, dtype=x.dtype, device=x.device)
    for rows, _ in segments(counts, _ROWS):
        for sums, part, weight in zip(total, x[:, rows], weights[:, rows], strict=True):
            sums.addmm_(part.mT, part * weight[:, None])
        for index, size in enumerate(counts):
            if size == rows.stop:
                out[:, index] = total / dim
    return out
