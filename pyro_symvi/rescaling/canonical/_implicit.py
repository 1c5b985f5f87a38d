"""The log scales of the canonical point, differentiated by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ...groups import UnsupportedError
from ._gauge import Gauge, Support

Solve = Callable[[Tensor], Tensor]
"""From theta ``[dim]`` in float64 on the CPU to z ``[H]``, without gradients."""


class CanonicalScale(Function):
    """z(theta) with chi(theta e^{-B z / 2}) = 0, for theta ``[N, dim]``.

    dz = -(d^2F/dz^2)^{-1} d_theta chi(theta e^{-B z / 2}) dtheta: one linear solve a vector, whatever the solver did to
    find z. The backward pass is made of differentiable operations and of z itself, so derivatives of all orders are
    right.
    """

    @staticmethod
    def forward(theta: Tensor, solve: Solve, gauge: Gauge | None) -> tuple[Tensor, ...]:
        rows = theta.detach().reshape(-1, theta.shape[-1])
        z = torch.stack([solve(row) for row in rows]).reshape(*theta.shape[:-1], -1)
        if gauge is None:
            return z, torch.zeros(0), torch.zeros(0)
        points = rows * gauge.action.log_factors(z.reshape(len(rows), -1) / 2).exp()
        live, free = zip(*(gauge.support(row) for row in points), strict=True)
        return z, torch.stack(live), torch.stack(free)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        theta, _, gauge = inputs
        ctx.gauge = gauge
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(theta, *output)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor, *masks: Any) -> tuple[Tensor | None, None, None]:
        if ctx.gauge is None:
            raise UnsupportedError(
                "expected a criterion whose optimum can be differentiated, got another, because its weights have kinks "
                "or are not known; try criterion='path' or 'l2', or torch.no_grad()"
            )
        theta, z, live, free = ctx.saved_tensors
        rows = [
            _pull(ctx.gauge, one, scale, bar, Support(*masks))
            for one, scale, bar, *masks in zip(theta, z, cotangent, live, free, strict=True)
        ]
        return torch.stack(rows), None, None


def _pull(gauge: Gauge, theta: Tensor, z: Tensor, cotangent: Tensor, support: Support) -> Tensor:
    """The cotangent of theta ``[dim]`` from that of z ``[H]``."""

    def condition(start: Tensor) -> Tensor:
        return gauge.condition(start * factors, support)

    factors = gauge.action.log_factors(z / 2).exp()
    v = torch.linalg.solve(gauge.hessian(theta * factors, support), cotangent * support.free)
    (pulled,) = torch.func.vjp(condition, theta)[1](-v)
    return pulled
