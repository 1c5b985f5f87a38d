"""Windows of an image of unit numbers: what one output of a convolution or a pool looks at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ._units import ZERO, UnitTable


def per_dim(value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """One number for each spatial dimension."""
    return tuple(value) * (dims // len(tuple(value))) if not isinstance(value, int) else (value,) * dims


def channels_alike(units: Tensor, dims: int) -> Tensor | None:
    """The unit of each channel ``[*, C]`` where it is the same at all positions (or zero there); None elsewhere."""
    flat = units.flatten(-dims)
    most = flat.amax(-1)
    return most if bool(((flat == most[..., None]) | (flat == ZERO)).all()) else None


def windows(
    units: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    out: Sequence[int],
) -> Tensor:
    """Views ``[*, C, *out, *kernel]`` of units ``[*, C, *in]``, with zeros around as far as windows reach."""
    dims = len(kernel)
    pads: list[int] = []
    for d in reversed(range(dims)):
        reach = (out[d] - 1) * stride[d] + dilation[d] * (kernel[d] - 1) + 1
        pads += [padding[d], max(0, reach - padding[d] - units.shape[d - dims])]
    view = F.pad(units, pads, value=ZERO)
    first = view.ndim - dims
    for d in range(dims):
        view = view.unfold(first + d, dilation[d] * (kernel[d] - 1) + 1, stride[d])[..., :: dilation[d]]
        view = view.narrow(first + d, 0, out[d])
    return view


def merge_windows(table: UnitTable, view: Tensor, dims: int, reason: str) -> Tensor:
    """Tie the units in each window: ``[*, C, *out]``."""
    axes = tuple(range(view.ndim - dims, view.ndim))
    return table.merge(view, axes, reason).flatten(-dims).squeeze(-1) if dims else view


def pad_like(units: Tensor, padding: Sequence[int], mode: str) -> Tensor:
    """Pad as a convolution with ``padding_mode`` does; ``padding`` in the order of ``F.pad``."""
    if mode in ("zeros", "constant"):
        return F.pad(units, list(padding), value=ZERO)
    return F.pad(units.double(), list(padding), mode=mode).round().long()


def spread(units: Tensor, shape: torch.Size, axis: int) -> Tensor:
    """Units ``[C]`` along one axis of an activation of this shape."""
    view = [1] * len(shape)
    view[axis] = -1
    return units.reshape(view).expand(shape)
