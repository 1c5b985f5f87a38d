"""The Bessel core as differentiable functions of x: forward and reverse mode, twice, and under vmap."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from . import _bessel, _three
from ._bessel import Order
from ._numbers import number


def _evaluate(function: Callable[..., Any], three: Callable[..., Any], order: Order, x: Tensor, *flag: bool) -> Tensor:
    """The function where x >= 0, nan elsewhere; ``three`` is its form for the order 1/2."""
    chosen = partial(three) if not isinstance(order, Tensor) and order == 0.5 else partial(function, order)
    value = None if isinstance(order, Tensor) else number(x)
    if value is not None:
        return x.new_full((), chosen(value, *flag) if value >= 0 else math.nan)
    found: Tensor = chosen(torch.where(x >= 0, x, math.nan), *flag)
    return found


class _Derivable(torch.autograd.Function):
    """f(x, order, flag) elementwise, with its derivative from `derivative`; float64 in, float64 out."""

    generate_vmap_rule = True

    @staticmethod
    def derivative(x: Tensor, order: Order, flag: bool) -> Tensor:
        """df/dx, itself differentiable."""
        raise NotImplementedError("a subclass gives the derivative")

    @classmethod
    def of(cls, x: Tensor, order: Order, flag: bool) -> Tensor:
        """The function; a number that asks for no derivative is spared the machinery."""
        free = not (torch.is_grad_enabled() and x.requires_grad) and number(x) is not None
        found: Tensor = cls.forward(x, order, flag) if free else cls.apply(x, order, flag)
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Order, bool], output: Tensor) -> None:
        x, order, ctx.flag = inputs
        ctx.number = None if isinstance(order, Tensor) else order
        saved = (x, order) if isinstance(order, Tensor) else (x,)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @classmethod
    def _slope(cls, ctx: Any) -> Tensor:
        saved = ctx.saved_tensors
        return cls.derivative(saved[0], saved[1] if ctx.number is None else ctx.number, ctx.flag)


class LogHyp0F1(_Derivable):
    """log 0F1(v + 1; x^2 / 4), less x where the flag is set; the derivative is r_v, or r_v - 1."""

    @staticmethod
    def forward(x: Tensor, order: Order, flag: bool) -> Tensor:
        return _evaluate(_bessel.log_hyp0f1, _three.log_hyp0f1, order, x, flag)

    @staticmethod
    def derivative(x: Tensor, order: Order, flag: bool) -> Tensor:
        return -Ratio.of(x, order, True) if flag else Ratio.of(x, order, False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * LogHyp0F1._slope(ctx), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        return tangent * LogHyp0F1._slope(ctx)


class Ratio(_Derivable):
    """r_v = I_(v+1) / I_v, or 1 - r_v where the flag is set."""

    @staticmethod
    def forward(x: Tensor, order: Order, flag: bool) -> Tensor:
        if flag:
            return _evaluate(_bessel.ratio_complement, _three.ratio_complement, order, x)
        return _evaluate(_bessel.ratio, _three.ratio, order, x)

    @staticmethod
    def derivative(x: Tensor, order: Order, flag: bool) -> Tensor:
        slope: Tensor = RatioSlope.of(x, order, False)
        return -slope if flag else slope

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * Ratio._slope(ctx), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        return tangent * Ratio._slope(ctx)


class RatioSlope(_Derivable):
    """r_v'; its derivative by Riccati's equation r' = 1 - r^2 - (2 v + 1) r / x, a series where x is small."""

    @staticmethod
    def forward(x: Tensor, order: Order, flag: bool) -> Tensor:
        return _evaluate(_bessel.ratio_slope, _three.ratio_slope, order, x)

    @staticmethod
    def derivative(x: Tensor, order: Order, flag: bool) -> Tensor:
        a = order + 1
        small = x < 1e-3 * a
        y = torch.where(small, 1.0, x)
        r = Ratio.of(y, order, False)
        riccati = -2 * r * RatioSlope.of(y, order, False) - (2 * a - 1) * (RatioSlope.of(y, order, False) - r / y) / y
        series = x / (a * a * (a + 1)) * (-0.75 + 1.25 * x * x / (a * (a + 2)))
        return torch.where(small, series, riccati)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * RatioSlope._slope(ctx), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        return tangent * RatioSlope._slope(ctx)
