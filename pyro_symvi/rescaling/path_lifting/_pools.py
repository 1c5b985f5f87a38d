"""Pooling in the squared network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...groups import UnsupportedError


def average_pool(dims: int, power: float) -> Callable[..., Tensor]:
    """Average pooling with its weights 1/k to a power; the arguments are those of ``F.avg_pool*d``."""

    def pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:
        plane, lead = (F.avg_pool3d, 0) if dims == 3 else (F.avg_pool2d, 2 - dims)

        def pair(value: Any, first: int) -> tuple[int, ...]:  # one dimension is treated as two
            return (first,) * lead + (tuple(value) if isinstance(value, Sequence) else (int(value),) * dims)

        stride = kernel_size if stride is None or stride == [] or stride == () else stride
        where = (pair(kernel_size, 1), pair(stride, 1), pair(padding, 0), ceil_mode, count_include_pad)
        x = input.unsqueeze(-2) if lead else input
        total = plane(x, *where, divisor_override=1)
        ones = torch.ones_like(x[:1])
        weight = plane(ones, *where, divisor_override=divisor_override) / plane(ones, *where, divisor_override=1)
        result = total * weight.abs() ** power
        return result.squeeze(-2) if lead else result

    return pool


def adaptive_average_pool(dims: int, power: float) -> Callable[..., Tensor]:
    """Adaptive average pooling with its weights to a power."""
    plain = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[dims - 1]

    def pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Tensor:
        return plain(input, output_size) * window_sizes(input, dims, output_size) ** (1 - power)

    return pool


def adaptive_sum_pool(dims: int) -> Callable[..., Tensor]:
    """Sums over the windows of adaptive pooling."""
    plain = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[dims - 1]

    def pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Tensor:
        return plain(input, output_size) * window_sizes(input, dims, output_size)

    return pool


def window_sizes(x: Tensor, dims: int, output_size: Any) -> Tensor:
    """Entries in each window of an adaptive pool, broadcasting over leading dimensions."""
    sizes = list(output_size) if isinstance(output_size, Sequence) else [output_size] * dims
    result = x.new_ones(())
    for axis, given in zip(range(-dims, 0), sizes, strict=True):
        n = x.shape[axis]
        out = n if given is None else int(given)
        counts = x.new_tensor([-(-(i + 1) * n // out) - i * n // out for i in range(out)])
        result = result[..., None] * counts
    return result


def sum_pool(dims: int) -> Callable[..., Tensor]:
    """Sums over the windows of max pooling; the arguments are those of ``F.max_pool*d``."""

    def pool(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Tensor:
        if any(d != 1 for d in (dilation if isinstance(dilation, Sequence) else (dilation,))):
            raise UnsupportedError(
                f"expected max pooling without dilation for max_pool='sum', got dilation {dilation}; try max_pool='max'"
            )
        return average_pool(dims, 0.0)(input, kernel_size, stride, padding, ceil_mode)

    return pool
