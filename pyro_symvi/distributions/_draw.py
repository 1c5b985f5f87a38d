"""A draw on the sphere as a function of its direction and its concentration."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ._angle import AngleLaw, ImplicitAngle, angle


def carried(x: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """``x`` under the rotation in the plane of two unit vectors that takes ``start`` to ``end``, all ``[*batch, d]``.

    x - (s + e) (s + e).x / (1 + s.e) + 2 e (s.x): the law about ``start`` becomes the law about ``end`` for every end
    but -start, so derivatives in ``end``, of any order, are those of the law. At end = start it is the identity, with
    derivative (s.x) de - (de.x) s, bounded whatever the dimension.
    """
    both, along = start + end, (start * x).sum(-1, keepdim=True)
    share = (both * x).sum(-1, keepdim=True) / (1 + (start * end).sum(-1, keepdim=True))
    return x - both * share + 2 * end * along


def _carried_pull(weight: Tensor, x: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The derivative of weight.carried(x, start, end) in ``end``, itself differentiable."""
    both, along = start + end, (start * x).sum(-1, keepdim=True)
    scale = 1 + (start * end).sum(-1, keepdim=True)
    share, pushed = (both * x).sum(-1, keepdim=True) / scale, (both * weight).sum(-1, keepdim=True) / scale
    return (2 * along - share) * weight - pushed * (x - share * start)


class AxialDraw(torch.autograd.Function):
    r"""The draw ``x [*s, d]``, with versine and coversine ``[*s]``, of a law of the angle to a direction.

    ``kappa [*k]`` and ``direction [*m, d]`` broadcast to the draws. With t = mu.x and `AngleLaw.pull` for q,

    .. math:: \frac{dx}{d\kappa} = q\,(\mu - t x),\qquad dx = t\,d\mu - (d\mu\cdot x)\,\mu \ \text{ as in `carried`}.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, versine: Tensor, coversine: Tensor, kappa: Tensor, direction: Tensor, law: AngleLaw
    ) -> Tensor:
        return x.detach()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.law = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        pull = _pull_again if torch.is_grad_enabled() else _pull
        wanted = ctx.needs_input_grad
        in_kappa, in_direction = pull(gradient, ctx.saved_tensors, ctx.law, wanted[3], wanted[4])
        return None, None, None, in_kappa, in_direction, None


def _pull(
    weight: Tensor, saved: tuple[Tensor, ...], law: AngleLaw, for_kappa: bool, for_direction: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Both derivatives in as few passes over the draws as may be."""
    x, h, g, kappa, direction = saved
    one = direction.ndim == 1
    along = weight @ direction if one else (weight * direction).sum(-1)
    cosine = ((g - h) / 2).to(x.dtype)
    in_kappa = in_direction = None
    if for_kappa:
        rate = along - cosine * (weight * x).sum(-1)
        in_kappa = (law.pull(h, g, kappa) * rate).sum_to_size(kappa.shape)
    if for_direction and one:
        flat_weight, flat_x = weight.reshape(-1, len(direction)), x.reshape(-1, len(direction))
        t, a = cosine.reshape(-1), along.reshape(-1)
        in_direction = t @ flat_weight - a @ flat_x + (t @ a) * direction
    elif for_direction:
        t, a = cosine[..., None], along[..., None]
        in_direction = (t * weight - a * x + t * a * direction).sum_to_size(direction.shape)
    return in_kappa, in_direction


def _pull_again(
    weight: Tensor, saved: tuple[Tensor, ...], law: AngleLaw, for_kappa: bool, for_direction: bool
) -> tuple[Tensor | None, Tensor | None]:
    """The same as functions of weight, kappa and direction that may be differentiated again."""
    x, h, g, kappa, direction = saved
    start = direction.detach()
    cosine, sine = ((g - h) / 2).to(x.dtype)[..., None], (g * h).sqrt().to(x.dtype)[..., None]
    around = (x - cosine * start) / sine.clamp(min=torch.finfo(sine.dtype).tiny)
    theta = ImplicitAngle.apply(angle(h, g), kappa, law)
    t, s = theta.cos().to(x.dtype)[..., None], theta.sin().to(x.dtype)[..., None]
    in_kappa = in_direction = None
    if for_kappa:
        step = carried(t * around - s * start, start, direction)
        in_kappa = (law.velocity(theta, kappa) * (weight * step).sum(-1)).sum_to_size(kappa.shape)
    if for_direction:
        in_direction = _carried_pull(weight, t * start + s * around, start, direction).sum_to_size(direction.shape)
    return in_kappa, in_direction
