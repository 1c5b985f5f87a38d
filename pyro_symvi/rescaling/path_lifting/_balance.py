"""A point of the orbit at which squares of weights neither under- nor overflow."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import cg
from torch import Tensor

from ..._layout import Layout
from ...groups import NetworkRescaling

#: Bits between one and the live weights of one tensor, above which a network is balanced at once.
WIDE = 300
#: Bits that path weights may span before they are looked at again.
SPAN = 960


def balancing_scale(action: NetworkRescaling, theta: Tensor) -> Tensor:
    """Z ``[H]`` that brings live weights as near to size one as the orbit allows: least squares in logarithms.

    Minimises sum_i (2 log|theta_i| - (Bz)_i)^2 over the weights that are not zero; the point reached is the same for
    all points of an orbit, and does not depend on sizes beyond their logarithms. Any z would do: path weights move
    with z exactly.
    """
    sizes = theta.detach().abs().numpy()
    live = sizes > 0
    units = action.units
    tails, heads = (np.where(i.numpy() < 0, units, i.numpy())[live] for i in (action.leaves, action.enters))
    target = 2 * np.log(sizes[live])
    shape = (units + 1, units + 1)
    between = sparse.coo_matrix((np.ones(len(tails)), (tails, heads)), shape=shape).tocsr()
    degree = np.bincount(tails, minlength=units + 1) + np.bincount(heads, minlength=units + 1)
    normal = (sparse.diags(degree + 1e-9) - between - between.T).tocsr()[:-1, :-1]
    right = np.bincount(tails, target, units + 1) - np.bincount(heads, target, units + 1)
    z, _ = cg(normal, right[:-1], rtol=1e-6, M=sparse.diags(1 / normal.diagonal()))
    return torch.from_numpy(z)


def moved(action: NetworkRescaling, theta: Tensor, z: Tensor) -> Tensor:
    """Theta exp(-B z / 2) in two halves, neither of which overflows where the result does not."""
    quarter = (action.log_factors(z) / 4).exp()
    return theta * quarter * quarter


def spreads(layout: Layout, theta: Tensor) -> Tensor:
    """Bits between the largest and the smallest of one and the live entries, for each tensor; ``[*batch, tensors]``."""
    result = []
    for tensor in layout.unflatten(theta.detach()).values():
        flat = tensor.abs().reshape(*theta.shape[:-1], -1)
        top = flat.amax(-1)
        low = torch.where(flat > 0, flat, torch.inf).amin(-1)
        result.append(top.clamp(min=1).log2() - low.clamp(max=1).log2())
    return torch.stack(result, -1)


def doubtful(mantissa: Tensor) -> Tensor:
    """Whether path weights ``[*batch, dim]`` came too near to the ends of the range of floating numbers."""
    top = math.ldexp(1.0, SPAN)
    low = torch.where(mantissa > 0, mantissa, torch.inf).amin(-1)
    return ~(mantissa.amax(-1) <= top) | (low < 1 / top)  # nan is not below anything
