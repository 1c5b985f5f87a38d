r"""Functions of the cosine :math:`\mu\cdot x` that keep their digits near the direction, and near its antipode.

Values come from the distances between the points; the derivative is that in the cosine, which agrees along the sphere
and takes one product. Forward and reverse mode, any order, and under ``vmap``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_NARROW = 48
"""Below this dimension one pass of ``torch.cdist`` is faster than a difference and its norm."""


def _half_square(value: Tensor, direction: Tensor) -> Tensor:
    """Half the squared distance of ``value [..., d]`` and ``direction [..., d]``."""
    if direction.ndim == 1 and len(direction) < _NARROW and value.dtype == direction.dtype:
        flat = value.reshape(-1, len(direction))
        distance = torch.cdist(flat, direction[None], compute_mode="donot_use_mm_for_euclid_dist")
        distance = distance.view(value.shape[:-1])
    else:
        distance = torch.linalg.vector_norm(value - direction, dim=-1)
    return distance.square().div_(2)


def _product(value: Tensor, direction: Tensor) -> Tensor:
    if direction.ndim == 1:
        return value @ direction
    return (value * direction).sum(-1)


def _weighted(weight: Tensor, other: Tensor, like: Tensor) -> Tensor:
    """The sum of weight times other, both broadcast, over all but the axes of ``like``."""
    if like.ndim == 1:
        shape = torch.broadcast_shapes(weight.shape, other.shape[:-1])
        return weight.expand(shape).reshape(-1) @ other.expand(*shape, -1).reshape(-1, other.shape[-1])
    return (weight[..., None] * other).sum_to_size(like.shape)


def _batched(in_dims: tuple[int | None, ...], *tensors: Tensor) -> list[Tensor]:
    """Tensors of a mapped function with the mapped axis first, so that their other axes line up."""
    rank = max(x.ndim - (k is not None) for x, k in zip(tensors, in_dims, strict=True))
    lined = []
    for x, k in zip(tensors, in_dims, strict=True):
        if k is not None:
            x = x.movedim(k, 0)
            x = x.reshape(len(x), *(1,) * (rank + 1 - x.ndim), *x.shape[1:])
        lined.append(x)
    return lined


class _OfCosine(torch.autograd.Function):
    """f(mu.x) of ``value [..., d]`` and ``direction [..., d]``, with the slope of f in the cosine."""

    @staticmethod
    def slope(output: Tensor) -> Tensor | float:
        """The slope f' from f."""
        raise NotImplementedError("a subclass gives the slope")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs, output)

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[int | None, ...], value: Tensor, direction: Tensor) -> tuple[Tensor, int]:
        return cls.apply(*_batched(in_dims[:2], value, direction)), 0

    @classmethod
    def pull(cls, ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        value, direction, output = ctx.saved_tensors
        weight = gradient * cls.slope(output)
        in_value, in_direction = ctx.needs_input_grad
        return (
            (weight[..., None] * direction).sum_to_size(value.shape) if in_value else None,
            _weighted(weight, value, direction) if in_direction else None,
        )

    @classmethod
    def push(cls, ctx: Any, value_: Tensor | None, direction_: Tensor | None) -> Tensor:
        value, direction, output = ctx.saved_tensors
        parts = [_product(value_, direction)] if value_ is not None else []
        if direction_ is not None:
            parts.append(_product(value, direction_))
        return sum(parts[1:], parts[0]) * cls.slope(output)


class Versine(_OfCosine):
    """1 - cos, as |x - mu|^2 / 2."""

    @staticmethod
    def slope(output: Tensor) -> float:
        return -1.0

    @staticmethod
    def forward(value: Tensor, direction: Tensor) -> Tensor:
        return _half_square(value, direction)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return Versine.pull(ctx, gradient)

    @staticmethod
    def jvp(ctx: Any, value_: Tensor | None, direction_: Tensor | None) -> Tensor:
        return Versine.push(ctx, value_, direction_)


class LogCoversine(_OfCosine):
    """log((1 + cos)/2), from the nearer of the direction and its antipode.

    At the very antipode (1 + cos)/2 is taken as the smallest number of the dtype, with slope 0.
    """

    @staticmethod
    def slope(output: Tensor) -> Tensor:
        lowest = torch.log(torch.full_like(output, torch.finfo(output.dtype).tiny))
        return torch.where(output > lowest, torch.exp(-output) / 2, 0.0)

    @staticmethod
    def forward(value: Tensor, direction: Tensor) -> Tensor:
        versine = _half_square(value, direction).div_(2)
        near = versine < 0.5
        far = _half_square(value, -direction).div_(2).clamp_(min=torch.finfo(versine.dtype).tiny)
        return torch.where(near, torch.log1p(-torch.where(near, versine, 0.0)), torch.log(far))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return LogCoversine.pull(ctx, gradient)

    @staticmethod
    def jvp(ctx: Any, value_: Tensor | None, direction_: Tensor | None) -> Tensor:
        return LogCoversine.push(ctx, value_, direction_)
