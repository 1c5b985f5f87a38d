"""What the law of x_t given the orbit of a shape is made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...groups import Orthogonal, PointCloudAction
from .._context import Context
from .._process import Diffusion

_FLOOR = 1e-18
"""Variances of x_t are not taken below this share of the prior's: the limit at t = 1 is the nearest orbit's point."""


@dataclass(frozen=True)
class Terms:
    """Of p(x | k) = average over R of N(x; beta z_k R^T, C) and of its posterior, for shapes z_1..z_K.

    Args:
        shapes: z, centred where the action is, ``[..., K, N, d]``.
        natural: F = beta x^T C^-1 W z, with masses W, ``[*batch, K, d, d]``: log p(R | x, k) = tr(R^T F) + const.
        overlap: x^T W z, ``[*batch, K, d, d]``: the best fit of z_k with x maximises tr(R^T overlap).
        exponent: -(|x|^2 + beta^2 |z|^2) / 2 in the norm of C^-1 W, ``[*batch, K]``.
    """

    shapes: Tensor
    natural: Tensor
    overlap: Tensor
    exponent: Tensor


def rotating_action(diffusion: Diffusion) -> PointCloudAction:
    """The action, if it is by rotations or proper rigid motions of clouds in the plane or in space."""
    action = diffusion.action
    if not isinstance(action, PointCloudAction) or isinstance(action.motions, Orthogonal) or action.motions.n > 3:
        raise ValueError(
            f"expected an action of SpecialOrthogonal(d) or SpecialEuclidean(d) on clouds with d = 2 or 3, got "
            f"{action!r}, because the exact laws are averages over proper rotations; for O(d) add the mirror images "
            "to the shapes and try PointCloudAction(SpecialEuclidean(d))"
        )
    return action


def by_shape(context: Context | None) -> Context | None:
    """The context with an axis for shapes behind its batch dimensions, made once."""
    if context is None or context.shape is None:
        return context
    axis = len(context.shape) - 1
    result: Context = context.remember("by shape", lambda: context.map(lambda field: field.unsqueeze(axis)))
    return result


def terms(diffusion: Diffusion, x: Tensor, shapes: Tensor, t: Tensor, context: Context | None) -> Terms:
    """Terms for centred points x ``[*batch, N, d]`` and shapes ``[..., K, N, d]``, float64; t ``[*batch]`` or one."""
    action, wide = diffusion.action_for(context), by_shape(context)
    z = diffusion.centre(shapes, wide)
    time = torch.as_tensor(t).to(x)[..., None]
    column = diffusion.column(time, z)
    path = diffusion.interpolant

    def precision(points: Tensor) -> Tensor:
        def function(s: Tensor) -> Tensor:
            return 1 / torch.maximum(path.variance(column, s), _FLOOR * s)

        return diffusion.prior.apply(function, points, wide)

    weights = action.weights if isinstance(action, PointCloudAction) else None
    masses = x.new_ones(1, 1, 1) if weights is None else torch.as_tensor(weights).to(x)[..., None, :, None]
    seen = x[..., None, :, :]
    pull = masses * precision(seen)
    natural = path.beta(column) * torch.einsum("...nd,...kne->...kde", pull[..., 0, :, :], z)
    overlap = torch.einsum("...nd,...kne->...kde", (masses * seen)[..., 0, :, :], z)
    size = (seen * pull).sum((-2, -1)) + path.beta(time).square() * (masses * z * precision(z)).sum((-2, -1))
    return Terms(z, natural, overlap, -size / 2)
