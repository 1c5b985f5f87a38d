"""Checks of the arguments that the special functions share."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def checked_order(order: float | Tensor) -> float | Tensor:
    """An order v >= 0: a number, or a floating tensor that asks for no gradient."""
    if isinstance(order, Tensor):
        if not order.is_floating_point():
            raise TypeError(
                f"expected a floating order, got {order.dtype}, because orders are real; try order.double()"
            )
        if order.requires_grad:
            raise ValueError(
                "expected an order without gradient, got one that requires it, because only the argument is "
                "differentiated; try order.detach()"
            )
        return order.double()
    if isinstance(order, bool) or not isinstance(order, int | float):
        raise TypeError(f"expected order as a number or a tensor, got {order!r}, because I_v has a real order; try 0.5")
    if not 0 <= order < math.inf:
        raise ValueError(f"expected order >= 0, got {order}, because I_v of a negative order differs; try abs(order)")
    return float(order)


def checked_dim(dim: int) -> int:
    """The dimension d >= 2 of the space around the sphere S^(d-1)."""
    if isinstance(dim, bool) or not isinstance(dim, int):
        raise TypeError(f"expected dim as an int, got {dim!r}, because it counts coordinates; try dim=3")
    if dim < 2:
        raise ValueError(f"expected dim >= 2, got {dim}, because the sphere of R^1 is two points; try dim=2")
    return dim


def checked_argument(x: Tensor, name: str) -> Tensor:
    """A floating tensor."""
    if not isinstance(x, Tensor):
        raise TypeError(
            f"expected {name} as a tensor, got {type(x).__name__}, because results keep its dtype; try torch.as_tensor"
        )
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"expected {name} in float32 or float64, got {x.dtype}, because the error is stated for these; "
            f"try {name}.double()"
        )
    return x
