"""Weight matching: the element of the finite group that brings weights close to reference ones."""

from __future__ import annotations

import torch
from torch import Tensor

from ._canonical import move_units
from ._layer import SymmetricLayer
from ._products import FiniteAction


def matched(action: FiniteAction, theta: Tensor, reference: Tensor, *, sweeps: int = 100) -> Tensor:
    """Theta ``[n, dim]`` moved layer by layer so that <theta, reference> grows, until no unit moves.

    One layer: units of theta are assigned to places of the reference so that the summed products of their weights
    are largest (Hungarian algorithm), with the better sign where the activation is odd. Layers depend on one another
    through the weights between them, hence the sweeps (Ainsworth, Hayase and Srinivasa 2022); each step gains.

    Two starts, and the better end: layers aligned from the inputs on by incoming weights alone, and from the outputs
    back by outgoing weights alone. Neither depends on where in its orbit theta is, hence nor does the result.
    """
    forward = backward = theta
    for layer in action.movable:
        forward, _ = _align(layer, forward, reference, layer.incoming)
    for layer in reversed(action.movable):
        backward, _ = _align(layer, backward, reference, layer.outgoing)
    one, two = (_refine(action, start, reference, sweeps) for start in (forward, backward))
    gains = [end.double() @ reference.double() for end in (one, two)]
    return torch.where((gains[0] >= gains[1])[:, None], one, two)


def _refine(action: FiniteAction, theta: Tensor, reference: Tensor, sweeps: int) -> Tensor:
    theta, active = theta.clone(), torch.arange(len(theta))
    for _ in range(sweeps):
        rows, moved = theta[active], torch.zeros(len(active), dtype=torch.bool)
        for layer in action.movable:
            rows, changed = _align(layer, rows, reference, torch.cat([layer.incoming, layer.outgoing], -1))
            moved |= changed
        theta[active] = rows
        active = active[moved]
        if not len(active):
            break
    return theta


def _align(layer: SymmetricLayer, theta: Tensor, reference: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Units moved to their best places, judged by the entries ``index`` ``[h, m]``; whether any moved, ``[n]``."""
    from scipy.optimize import linear_sum_assignment

    n, h, here = len(theta), layer.h, torch.arange(layer.h)
    there, units = reference[index].double(), theta[:, index].double()
    if layer.permutable:
        gain = there @ units.mT  # [n, place, unit]
        value = gain.abs() if layer.odd else gain.clone()
        slack = 1e-9 * value.abs().amax((-1, -2))  # rounding must not swap units that fit equally well
        value.diagonal(dim1=-2, dim2=-1).add_(slack[:, None])
        found = [linear_sum_assignment(table, maximize=True)[1] for table in value.numpy()]
        origin = torch.stack([torch.from_numpy(places) for places in found])
        best = gain.gather(-1, origin[..., None])[..., 0]
    else:
        origin, best = here.expand(n, h), (there * units).sum(-1)
    negative = best < 0 if layer.odd else torch.zeros(n, h, dtype=torch.bool)
    changed = ((origin != here) | negative).any(-1)
    return move_units(layer, theta, origin, torch.where(negative, -1.0, 1.0).to(theta)), changed
