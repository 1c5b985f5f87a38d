"""One representative of each orbit of the finite group."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._gauges import UnitOrder
from ._layer import SymmetricLayer


def canonical(layers: Sequence[SymmetricLayer], theta: Tensor, order: UnitOrder) -> Tensor:
    """Theta ``[*batch, dim]`` with signs fixed and units sorted, last layer first.

    Last first, because the first nonzero weight out of a unit is named by the order of the layer after it.
    """
    for layer in reversed(layers):
        if layer.odd:
            theta = move_units(layer, theta, None, leading_sign(theta[..., layer.outgoing.to(theta.device)]))
        if layer.permutable:
            theta = move_units(layer, theta, order.key(layer, theta).argsort(-1, descending=order.descending), None)
    return theta


def leading_sign(values: Tensor) -> Tensor:
    """Sign of the first nonzero entry along the last dimension, +1 where all vanish."""
    first = (values != 0).to(torch.int8).argmax(-1, keepdim=True)
    return torch.where(values.gather(-1, first)[..., 0] < 0, -1.0, 1.0).to(values)


def move_units(layer: SymmetricLayer, theta: Tensor, origin: Tensor | None, sign: Tensor | None) -> Tensor:
    """Unit ``origin[j]``, times ``sign[j]``, to place j (both ``[*batch, h]``, None: as they are)."""
    index = torch.cat([layer.incoming, layer.outgoing], -1).to(theta.device)
    source = index if origin is None else index[origin]
    source = source.expand(*theta.shape[:-1], *index.shape).flatten(-2)
    values = theta.gather(-1, source)
    if sign is not None:
        values = (values.unflatten(-1, index.shape) * sign[..., None]).flatten(-2)
    return theta.scatter(-1, index.reshape(-1).expand(values.shape), values)
