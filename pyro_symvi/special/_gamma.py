r"""Differences of log-gamma and digamma that keep their digits where both terms are large."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import checked_argument

_SHIFT = 16
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
"""B_2k / (2k (2k - 1)): lgamma(x) = (x - 1/2) log x - x + log(2 pi)/2 + sum_k c_k x^(1 - 2k) (DLMF 5.11.1)."""


def _stirling(x: Tensor, derivative: bool) -> Tensor:
    """The sum above, or its derivative in x."""
    square = 1 / (x * x)
    total = torch.zeros_like(x)
    for k in range(len(_STIRLING), 0, -1):
        total = total * square + _STIRLING[k - 1] * ((1 - 2 * k) if derivative else 1)
    return total * square if derivative else total / x


def log_gamma_ratio(a: Tensor, b: Tensor) -> Tensor:
    r""":math:`\log\Gamma(a+b) - \log\Gamma(a)` for a > 0, b >= 0, ``[*batch]`` each, differentiable in both.

    Error near rounding of the result, where lgamma(a + b) - lgamma(a) at a = 1e8 is wrong by 1e-7.
    """
    x, y = checked_argument(a, "a").double(), checked_argument(b, "b").double()
    shift = sum(torch.log1p(y / (x + j)) for j in range(_SHIFT))
    x = x + _SHIFT
    main = (x - 0.5) * torch.log1p(y / x) + y * torch.log(x + y) - y
    return (main + _stirling(x + y, False) - _stirling(x, False) - shift).to(a.dtype)


def digamma_difference(a: Tensor, b: Tensor) -> Tensor:
    r""":math:`\psi(a+b) - \psi(a)` for a > 0, b >= 0: the derivative of `log_gamma_ratio` in a. Shapes as there."""
    x, y = checked_argument(a, "a").double(), checked_argument(b, "b").double()
    shift = sum(y / ((x + j) * (x + j + y)) for j in range(_SHIFT))
    x = x + _SHIFT
    main = torch.log1p(y / x) + y / (2 * x * (x + y))
    return (main + _stirling(x + y, True) - _stirling(x, True) + shift).to(a.dtype)
