r"""The log density of an exponential family in the cosine to a direction, differentiated in few passes.

With T the statistic of an `AngleLaw`, log p = kappa T(mu.x) + c(kappa), and d log p / d kappa = T - ET.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._angle import AngleLaw
from ._cosine import lined_up, product, weighted


def log_density(value: Tensor, direction: Tensor, kappa: Tensor, law: AngleLaw) -> Tensor:
    """Log density at ``value [..., d]`` against the area, for ``direction [*m, d]`` and ``kappa [*k]``, broadcast."""
    log: Tensor = _LogDensity.apply(value, direction, kappa, law)[0]
    return log


class _LogDensity(torch.autograd.Function):
    """Gives T as a second output, without derivative, so as to keep it."""

    @staticmethod
    def forward(value: Tensor, direction: Tensor, kappa: Tensor, law: AngleLaw) -> tuple[Tensor, Tensor]:
        t, top = law.of_cosine.value_of(value, direction), law.log_density_at_mode(kappa)
        return (torch.addcmul(top, kappa, t) if top.dtype == t.dtype else top + kappa * t), t

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        value, direction, kappa, ctx.law = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(value, direction, kappa, output[1])
        ctx.save_for_forward(value, direction, kappa)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], value: Tensor, direction: Tensor, kappa: Tensor, law: AngleLaw
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        log, t = _LogDensity.apply(*lined_up(in_dims[:3], (value, direction, kappa), (1, 1, 0)), law)
        mapped = in_dims[0] is not None or in_dims[1] is not None
        return (log, t if mapped else t.expand(info.batch_size, *t.shape)), (0, 0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if gradient is None:
            return None, None, None, None
        value, direction, kappa, t = ctx.saved_tensors
        in_value, in_direction, in_kappa, _ = ctx.needs_input_grad
        of_cosine = ctx.law.of_cosine
        if torch.is_grad_enabled():
            t = of_cosine.apply(value, direction)
        slope = of_cosine.slope(t)
        weight = gradient if slope is None else gradient * slope
        return (
            ((kappa * weight)[..., None] * direction).sum_to_size(value.shape) if in_value else None,
            _in_direction(weight, value, direction, kappa) if in_direction else None,
            _in_kappa(gradient, t, kappa, ctx.law) if in_kappa else None,
            None,
        )

    @staticmethod
    def jvp(
        ctx: Any, value_: Tensor | None, direction_: Tensor | None, kappa_: Tensor | None, _: None
    ) -> tuple[Tensor, None]:
        value, direction, kappa = ctx.saved_tensors
        t = ctx.law.of_cosine.apply(value, direction)
        slope = ctx.law.of_cosine.slope(t)
        rate = kappa if slope is None else kappa * slope
        total = torch.zeros_like(kappa * t)
        if value_ is not None:
            total = total + rate * product(value_, direction)
        if direction_ is not None:
            total = total + rate * product(value, direction_)
        return (total if kappa_ is None else total + kappa_ * (t + ctx.law.constant(kappa))), None


def _in_direction(weight: Tensor, value: Tensor, direction: Tensor, kappa: Tensor) -> Tensor:
    """The sum of kappa weight value; one kappa is taken out of it."""
    if kappa.ndim == 0:
        return kappa * weighted(weight, value, direction)
    return weighted(kappa * weight, value, direction)


def _in_kappa(gradient: Tensor, t: Tensor, kappa: Tensor, law: AngleLaw) -> Tensor:
    """The sum of gradient (T - ET)."""
    constant = law.constant(kappa)
    if kappa.ndim == 0 and gradient.shape == t.shape and gradient.dtype == t.dtype:
        return gradient.reshape(-1) @ t.reshape(-1) + gradient.sum() * constant
    return (gradient * (t + constant)).sum_to_size(kappa.shape)
