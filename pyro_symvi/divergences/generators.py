"""Convex generators f of divergences ``int q f(p / q)``, as functions of log u, u = p / q; f(1) = 0."""

import math

import torch
from torch import Tensor


def jensen_shannon(log_u: Tensor) -> Tensor:
    """``f(u) = (u log u - (1 + u) log((1 + u) / 2)) / 2``: (KL(P || M) + KL(Q || M)) / 2 with M = (P + Q) / 2.

    Between 0 and log 2; ``f(0) = log(2) / 2``. Source: Lin (1991), "Divergence measures based on the Shannon entropy".

    >>> float(jensen_shannon(torch.tensor(0.0)))
    0.0
    """
    soft = torch.nn.functional.softplus
    bound = 700.0 if log_u.dtype == torch.float64 else 80.0
    bounded = log_u.clamp(-bound, bound)
    u = log_u.exp()
    return 0.5 * ((1.0 + u) * math.log(2.0) - soft(log_u) - bounded.exp() * soft(-bounded))


def triangular(log_u: Tensor) -> Tensor:
    """``f(u) = (u - 1)^2 / (u + 1)``: the triangular discrimination int (p - q)^2 / (p + q), between 0 and 2.

    Source: Vincze (1981); Le Cam (1986). ``f(0) = 1``.
    """
    return torch.expm1(log_u) * torch.tanh(0.5 * log_u)
