"""The Bessel core as differentiable functions of x: forward and reverse mode, twice, and under vmap."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import _bessel
from ._bessel import Order


class _Derivable(torch.autograd.Function):
    """f(x, order, flag) elementwise, with its derivative from `derivative`; float64 in, float64 out."""

    generate_vmap_rule = True

    @staticmethod
    def derivative(x: Tensor, order: Order, flag: bool) -> Tensor:
        """df/dx, itself differentiable."""
        raise NotImplementedError("a subclass gives the derivative")

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
        return _bessel.log_hyp0f1(order, x, flag)

    @staticmethod
    def derivative(x: Tensor, order: Order, flag: bool) -> Tensor:
        return -Ratio.apply(x, order, True) if flag else Ratio.apply(x, order, False)

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
        return _bessel.ratio_complement(order, x) if flag else _bessel.ratio(order, x)

    @staticmethod
    def derivative(x: Tensor, order: Order, flag: bool) -> Tensor:
        slope: Tensor = RatioSlope.apply(x, order, False)
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
        return _bessel.ratio_slope(order, x)

    @staticmethod
    def derivative(x: Tensor, order: Order, flag: bool) -> Tensor:
        a = order + 1
        small = x < 1e-3 * a
        y = torch.where(small, 1.0, x)
        r = Ratio.apply(y, order, False)
        riccati = (
            -2 * r * RatioSlope.apply(y, order, False) - (2 * a - 1) * (RatioSlope.apply(y, order, False) - r / y) / y
        )
        series = x / (a * a * (a + 1)) * (-0.75 + 1.25 * x * x / (a * (a + 2)))
        return torch.where(small, series, riccati)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * RatioSlope._slope(ctx), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        return tangent * RatioSlope._slope(ctx)
