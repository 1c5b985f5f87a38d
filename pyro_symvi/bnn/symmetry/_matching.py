"""Weight matching: the element of the finite group that brings weights close to reference ones."""

from __future__ import annotations

import torch
from torch import Tensor

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
    return torch.stack([_match_one(action, row, reference, sweeps) for row in theta])


def _match_one(action: FiniteAction, theta: Tensor, reference: Tensor, sweeps: int) -> Tensor:
    ends = []
    for is_forward in (True, False):
        start = theta
        for layer in action.movable if is_forward else reversed(action.movable):
            known = layer.incoming if is_forward else layer.outgoing
            start = _place(layer, start, *_assign(layer, start, reference, known))
        ends.append(_refine(action, start, reference, sweeps))
    return max(ends, key=lambda end: float(end.double() @ reference.double()))


def _refine(action: FiniteAction, theta: Tensor, reference: Tensor, sweeps: int) -> Tensor:
    for _ in range(sweeps):
        moved = False
        for layer in action.movable:
            whole = torch.cat([layer.incoming, layer.outgoing], -1)
            origin, sign = _assign(layer, theta, reference, whole)
            if bool((origin != torch.arange(layer.h)).any() or (sign < 0).any()):
                moved = True
                theta = _place(layer, theta, origin, sign)
        if not moved:
            break
    return theta


def _assign(layer: SymmetricLayer, theta: Tensor, reference: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """For each place of the reference, the unit that goes there and its sign, judged by the entries ``[h, m]``."""
    from scipy.optimize import linear_sum_assignment

    there, here = reference[index].double(), theta[index].double()
    if layer.permutable:
        gain = there @ here.T  # place, unit
        value = gain.abs() if layer.odd else gain
        slack = 1e-9 * float(value.abs().max())  # rounding must not swap units that fit equally well
        value = value + slack * torch.eye(layer.h, dtype=value.dtype)
        origin = torch.as_tensor(linear_sum_assignment(value.numpy(), maximize=True)[1])
        best = gain.gather(1, origin[:, None])[:, 0]
    else:
        origin, best = torch.arange(layer.h), (there * here).sum(-1)
    negative = (best < 0) if layer.odd else torch.zeros(layer.h, dtype=torch.bool)
    return origin, torch.where(negative, -1.0, 1.0).to(theta)


def _place(layer: SymmetricLayer, theta: Tensor, origin: Tensor, sign: Tensor) -> Tensor:
    index = torch.cat([layer.incoming, layer.outgoing], -1)
    result = theta.clone()
    result[index] = theta[index[origin]] * sign[:, None]
    return result
