"""The equivariance error of a model's output."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...groups import Action, Group, InvariantAction, Quadrature
from .._capture import OUTPUT
from .._inputs import Inputs
from .._moments import Moments
from .._rules import MonteCarlo, exact_rule
from .._sweep import Sweep
from ._result import EquivarianceError


def equivariance_error(
    model: Any,
    x: Any,
    group: Group,
    rho_in: Any = None,
    rho_out: Action | None = None,
    *,
    degree: int = 8,
    rule: Quadrature | MonteCarlo | None = None,
    mask: Tensor | None = None,
    batch: int = 256,
    allow_training: bool = False,
) -> EquivarianceError:
    """How far f(g x) = rho_out(g) f(x) is from holding, averaged over the group and exact for band ``degree`` / 2.

    With z(g) = rho_out(g^-1) f(g x): A^2 = E|z|^2 - |E z|^2, summed over components; E z is the equivariant part of
    the model at x. Against any exactly equivariant reference, the mean over orientations of the squared error is
    that of E z plus A^2.

    Args:
        model, x, group, rho_in, mask, batch, allow_training: as in :func:`~pyro_symvi.equivariance.spectrum`.
        rho_out: the action on the output's last axes; None for invariance of every entry.
        degree: of the rule; compare with a larger one (:func:`~pyro_symvi.equivariance.converge`).
        rule: :class:`MonteCarlo`, or a rule of your own.
    """
    inputs = Inputs.of(x, group, rho_in)
    action = InvariantAction(group) if rho_out is None else rho_out
    chosen = rule.draws(group) if isinstance(rule, MonteCarlo) else rule or exact_rule(group, 0, degree)
    moments = Moments()
    for elements, weights, responses in Sweep(model, inputs, chosen, (), batch, allow_training).blocks():
        values = responses[OUTPUT]
        moments.add(weights, turned_back(action, elements, values))
    events = len(action.event_shape)
    axes = tuple(range(-events, 0))
    squared = moments.variance.sum(axes) if events else moments.variance
    norm = moments.square.sum(axes) if events else moments.square
    dimension = math.prod(moments.mean.shape[moments.mean.ndim - events :])
    weights = torch.ones_like(squared)
    if mask is not None and squared.shape[: mask.ndim] == mask.shape:
        weights = weights * mask.to(weights).reshape(*mask.shape, *(1,) * (squared.ndim - mask.ndim))
    floor = 8 * torch.finfo(torch.float32).eps * float(norm.mean().sqrt())
    return EquivarianceError(squared, norm, moments.mean, dimension, weights, floor, len(chosen.weights))


def turned_back(action: Action, elements: Tensor, values: Tensor) -> Tensor:
    """z = rho(g^-1) u(g) for ``elements [k, ...]`` and responses ``[k, B, *rest]``."""
    back = action.group.inverse(elements)
    ones = (1,) * (values.ndim - 1 - len(action.event_shape))
    return action.act(back.reshape(len(back), *ones, *back.shape[1:]), values)
