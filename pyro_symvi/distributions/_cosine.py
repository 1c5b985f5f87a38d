r"""Functions of the cosine :math:`\mu\cdot x` that keep their digits near the direction, and near its antipode.

Values come from the distances between the points; the derivative is that in the cosine, which agrees along the sphere
and takes one product. Forward and reverse mode, any order, and under ``vmap``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pyro_symvi.special._numbers import is_plain, number

_NARROW = 48
"""Below this dimension one pass of ``torch.cdist`` gives all distances the fastest."""

_CLOSE = 0.25
"""A 1 - cos or 1 + cos above it loses no more than two bits as a difference."""

_FIRST = 64

_FAR = 2 - 2**-4
"""Up to here log(1 - (1 - cos)/2) has a relative error of a few units of rounding."""


def half_square(value: Tensor, direction: Tensor) -> Tensor:
    """1 - cos as half the squared distance of ``value [..., d]`` and ``direction [..., d]``."""
    plain = direction.ndim == 1 and value.dtype == direction.dtype and is_plain(value) and is_plain(direction)
    if plain and value.numel():
        return _from_one(value.reshape(-1, len(direction)), direction).view(value.shape[:-1])
    return _distance(value, direction)


def _distance(value: Tensor, direction: Tensor) -> Tensor:
    return torch.linalg.vector_norm(value - direction, dim=-1).square().div_(2)


def _from_one(points: Tensor, direction: Tensor) -> Tensor:
    """The same for ``points [n, d]``: 1 - x.mu where it is not small, the distance where it is."""
    if len(direction) < _NARROW:
        distance = torch.cdist(points, direction[None], compute_mode="donot_use_mm_for_euclid_dist")
        return distance[:, 0].square().div_(2)
    versine = 1 - points[:_FIRST] @ direction
    if 2 * len((versine < _CLOSE).nonzero()) > len(versine):  # judged by the first, most points are close
        return _distance(points, direction)
    versine = (points @ direction).neg_().add_(1)
    lowest = number(versine.min())
    if lowest is None or lowest < _CLOSE:
        close = (versine < _CLOSE).nonzero()[:, 0]
        versine = versine.index_copy_(0, close, _distance(points[close], direction))
    return versine


def product(value: Tensor, direction: Tensor) -> Tensor:
    """mu.x, both ``[..., d]``."""
    if direction.ndim == 1:
        return value @ direction
    return (value * direction).sum(-1)


def weighted(weight: Tensor, value: Tensor, like: Tensor) -> Tensor:
    """The sum of weight ``[...]`` times ``value [..., d]``, broadcast, over all but the axes of ``like``."""
    if like.ndim == 1 and weight.dtype == value.dtype and weight.shape == value.shape[:-1]:
        return weight.reshape(-1) @ value.reshape(-1, len(like))
    return (weight[..., None] * value).sum_to_size(like.shape)


def lined_up(in_dims: Sequence[int | None], tensors: Sequence[Tensor], event_dims: Sequence[int]) -> list[Tensor]:
    """The tensors of a mapped function with the mapped axis first, and ones where their other batch axes need them."""
    triples = list(zip(tensors, in_dims, event_dims, strict=True))
    rank = max(x.ndim - (axis is not None) - event for x, axis, event in triples)
    lined = []
    for x, axis, event in triples:
        if axis is not None:
            x = x.movedim(axis, 0)
            x = x.reshape(len(x), *(1,) * (rank + 1 + event - x.ndim), *x.shape[1:])
        lined.append(x)
    return lined


class OfCosine(torch.autograd.Function):
    """f(mu.x) of ``value [..., d]`` and ``direction [..., d]``. To implement one, give ``value_of`` and ``slope``."""

    @staticmethod
    def value_of(value: Tensor, direction: Tensor) -> Tensor:
        """The function."""
        raise NotImplementedError("a subclass gives the function")

    @staticmethod
    def slope(output: Tensor) -> Tensor | None:
        """Its derivative in the cosine, from its value; None is 1."""
        raise NotImplementedError("a subclass gives the slope")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs, output)

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Tensor, int]:
        return cls.apply(*lined_up(in_dims, inputs, (1, 1))), 0

    @classmethod
    def _pull(cls, ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        value, direction, output = ctx.saved_tensors
        slope = cls.slope(output)
        weight = gradient if slope is None else gradient * slope
        in_value, in_direction = ctx.needs_input_grad
        return (
            (weight[..., None] * direction).sum_to_size(value.shape) if in_value else None,
            weighted(weight, value, direction) if in_direction else None,
        )

    @classmethod
    def _push(cls, ctx: Any, value_: Tensor | None, direction_: Tensor | None) -> Tensor:
        value, direction, output = ctx.saved_tensors
        parts = [product(value_, direction)] if value_ is not None else []
        if direction_ is not None:
            parts.append(product(value, direction_))
        total, slope = sum(parts[1:], parts[0]), cls.slope(output)
        return total if slope is None else total * slope


class MinusVersine(OfCosine):
    """cos - 1, as -|x - mu|^2 / 2."""

    @staticmethod
    def value_of(value: Tensor, direction: Tensor) -> Tensor:
        return half_square(value, direction).neg_()

    @staticmethod
    def slope(output: Tensor) -> None:
        return None

    @staticmethod
    def forward(value: Tensor, direction: Tensor) -> Tensor:
        return MinusVersine.value_of(value, direction)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return MinusVersine._pull(ctx, gradient)

    @staticmethod
    def jvp(ctx: Any, value_: Tensor | None, direction_: Tensor | None) -> Tensor:
        return MinusVersine._push(ctx, value_, direction_)


class LogCoversine(OfCosine):
    """log((1 + cos)/2), near the antipode from the distance to it.

    At the very antipode (1 + cos)/2 is taken as the smallest number of the dtype, with slope 0.
    """

    @staticmethod
    def value_of(value: Tensor, direction: Tensor) -> Tensor:
        versine = half_square(value, direction)
        highest = number(versine.max()) if versine.numel() else 0.0
        if highest is not None and highest <= _FAR:
            return versine.div_(-2).log1p_()
        log, far, tiny = torch.log1p(versine.clamp(max=_FAR) / -2), versine > _FAR, torch.finfo(versine.dtype).tiny
        if highest is None:
            return torch.where(far, _distance(value, -direction).div_(2).clamp_(min=tiny).log_(), log)
        antipode = -direction.expand(*log.shape, -1)[far]
        log[far] = _distance(value.expand(*log.shape, -1)[far], antipode).div_(2).clamp_(min=tiny).log_()
        return log

    @staticmethod
    def slope(output: Tensor) -> Tensor:
        slope = torch.exp(-math.log(2) - output)
        bound = math.log(torch.finfo(output.dtype).tiny)
        lowest = number(output.detach().min()) if output.numel() else 0.0
        return slope if lowest is not None and lowest > bound else slope * (output > bound)

    @staticmethod
    def forward(value: Tensor, direction: Tensor) -> Tensor:
        return LogCoversine.value_of(value, direction)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return LogCoversine._pull(ctx, gradient)

    @staticmethod
    def jvp(ctx: Any, value_: Tensor | None, direction_: Tensor | None) -> Tensor:
        return LogCoversine._push(ctx, value_, direction_)
