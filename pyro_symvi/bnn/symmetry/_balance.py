"""The point of each rescaling orbit with the largest prior density, all layers jointly."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .._priors import ParameterPrior
from ._layer import SymmetricLayer, prior_powers


def balanced(
    layers: Sequence[SymmetricLayer],
    theta: Tensor,
    parameter_prior: ParameterPrior,
    *,
    tolerance: float = 1e-10,
    sweeps: int = 10_000,
) -> Tensor:
    """Theta ``[*batch, dim]`` moved by rescaling to the largest prior density; dead units stay.

    The negative log prior is convex in the log c of all units (strictly, where none is dead). It is minimised over
    one layer at a time: with normal priors c_j = (k b_j / a_j)^(1 / (2 + 2 k)), with Laplace priors
    (k b_j / a_j)^(1 / (1 + k)), with both by Newton's method, until no log c moves by ``tolerance`` in a sweep.
    There, a_j = k b_j for every unit at once (Kobialka et al. 2026: balancedness).
    """
    layers = [layer for layer in layers if layer.degree is not None]
    tolerance = max(tolerance, 20 * torch.finfo(theta.dtype).eps)
    for _ in range(sweeps if layers else 0):
        change = 0.0
        for layer in layers:
            step = _log_step(layer, theta, parameter_prior)
            theta = layer.rescaling.act(step.exp(), theta)  # type: ignore[union-attr]
            change = max(change, float(step.abs().max()) if step.numel() else 0.0)
        if change < tolerance or len(layers) == 1:
            return theta
    return theta


def _log_step(layer: SymmetricLayer, theta: Tensor, parameter_prior: ParameterPrior) -> Tensor:
    """The log c_j that minimise the negative log prior over one layer, ``[*batch, h]``."""
    square, linear = prior_powers(parameter_prior, theta)
    into, out = layer.incoming.to(theta.device), layer.outgoing.to(theta.device)
    k = float(layer.degree or 1.0)
    a2, b2 = square[..., into].sum(-1), square[..., out].sum(-1)
    a1, b1 = linear[..., into].sum(-1), linear[..., out].sum(-1)
    alive = (a2 + a1 > 0) & (b2 + b1 > 0)
    a2, a1, b2, b1 = (torch.where(alive, value, 1.0) for value in (a2, a1, b2, b1))
    if bool((a1 + b1 == 0)[alive].all()):
        return torch.where(alive, (k * b2 / a2).log() / (2 + 2 * k), 0.0)
    if bool((a2 + b2 == 0)[alive].all()):
        return torch.where(alive, (k * b1 / a1).log() / (1 + k), 0.0)
    s = torch.zeros_like(a2)
    for _ in range(60):
        terms = (a2 * (2 * s).exp(), a1 * s.exp(), b2 * (-2 * k * s).exp(), b1 * (-k * s).exp())
        slope = terms[0] + terms[1] - k * (terms[2] + terms[3])
        curvature = 2 * terms[0] + terms[1] + k**2 * (2 * terms[2] + terms[3])
        step = (slope / curvature).clamp(-1, 1)
        s = s - step
        if float(step.abs().max()) < 1e-13:
            break
    return torch.where(alive, s, 0.0)
