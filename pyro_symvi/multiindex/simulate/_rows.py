"""Several sample sizes on one data set: each ratio uses the first rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ._draws import checked_positive


def checked_data(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Inputs ``[S, n, d]`` and outputs ``[S, n]``, and whether they came with the axis of data sets.

    Raises:
        ValueError: shapes, dtypes or devices that do not fit.
    """
    if x.ndim not in (2, 3) or y.shape != x.shape[:-1]:
        raise ValueError(
            f"expected x of shape [n, d] or [S, n, d] and y of shape [n] or [S, n], got {list(x.shape)} and "
            f"{list(y.shape)}"
        )
    if x.dtype != y.dtype or x.device != y.device or x.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"expected x and y of one dtype, float32 or float64, on one device, got {x.dtype} on {x.device} and "
            f"{y.dtype} on {y.device}; try y.to(x)"
        )
    if not (bool(torch.isfinite(x.sum())) and bool(torch.isfinite(y.sum()))):
        raise ValueError("expected finite x and y, got nan or infinity; try x[torch.isfinite(y)]")
    return (x, y, True) if x.ndim == 3 else (x[None], y[None], False)


def row_counts(x: Tensor, ratios: Sequence[float] | None) -> list[int]:
    """Rows that each ratio uses; all of them without ratios.

    Raises:
        ValueError: no ratio, or a ratio that needs more rows than there are.
    """
    n, d = x.shape[-2:]
    if ratios is None:
        return [n]
    counts = [max(round(checked_positive(float(ratio), "each of ratios") * d), 1) for ratio in ratios]
    if not counts or max(counts) > n:
        raise ValueError(
            f"expected ratios n / d up to {n / d:.6g}, one or more, got {list(ratios)}, because x has {n} rows of "
            f"{d} numbers; try data drawn at the largest ratio"
        )
    return counts


def segments(counts: Sequence[int], most: int) -> Iterator[tuple[slice, list[int]]]:
    """Slices of at most ``most`` rows, with the indices of the sizes that use them: no row is read in vain."""
    begin = 0
    for end in sorted(set(counts)):
        using = [index for index, count in enumerate(counts) if count >= end]
        while begin < end:
            stop = min(begin + most, end)
            yield slice(begin, stop), using
            begin = stop


def fields(x: Tensor, vectors: Tensor) -> Tensor:
    """Products x_i . v ``[S, n, C]`` of x ``[S, n, d]`` and vectors ``[S, C, d]``: a gemm a data set (bmm is slow)."""
    return torch.stack([rows @ several.mT for rows, several in zip(x, vectors, strict=True)])


def pulls(x: Tensor, weights: Tensor) -> Tensor:
    """Sums of rows sum_i g_i x_i ``[S, C, d]`` of x ``[S, n, d]`` with weights ``[S, n, C]``."""
    return torch.stack([several.mT @ rows for rows, several in zip(x, weights, strict=True)])
