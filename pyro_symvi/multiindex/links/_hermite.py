"""Hermite polynomials of the normal law."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..._value import positive_int


def hermite_functions(z: Tensor, count: int) -> Tensor:
    r"""The first ``count`` normalised Hermite polynomials at z, ``[count, *z.shape]``.

    .. math:: h_k = \mathrm{He}_k / \sqrt{k!}, \qquad E[h_j(z)\,h_k(z)] = \delta_{jk}, \quad z \sim N(0, 1),

    by the recurrence sqrt(k + 1) h_{k+1} = z h_k - sqrt(k) h_{k-1} (DLMF 18.9).
    """
    positive_int(count, "count")
    found = [torch.ones_like(z), z]
    for k in range(1, count - 1):
        found.append((z * found[k] - math.sqrt(k) * found[k - 1]) / math.sqrt(k + 1))
    return torch.stack(found[:count])
