r"""The factor q of the gradient of a draw (see `_angle`) in three dimensions, in elementary functions.

For the von Mises-Fisher law F = 1 - (e^(kappa t) - e^(-kappa)) / (2 sinh kappa), with phi(x) = (e^x - 1)/x

.. math:: \frac{dt}{d\kappa} = \frac h\kappa\Big(1-\frac{\varphi(\kappa h)}{\varphi(2\kappa)}\Big),

and for the power spherical law, z = (1 + t)/2 being u^(1/(1+kappa)), dz/d kappa = -z log z / (1 + kappa).
"""

from __future__ import annotations

import torch
from torch import Tensor

_SMALL = 0.1
_TERMS = 12
_TINY = 1e-300


def vmf_pull(h: Tensor, g: Tensor, kappa: Tensor) -> Tensor:
    """dt/dkappa over h g; a power series in kappa below 0.1, where the closed form cancels."""
    h, g, small = h.clamp(min=_TINY), g.clamp(min=_TINY), kappa < _SMALL
    k = torch.where(small, 1.0, kappa)
    # h - 2 (e^(k h) - 1) / (e^(2 k) - 1), without overflow; from the other end where h is near 2
    total = torch.expm1(-2 * k)
    near = h - 2 * torch.exp(-k * g) * torch.expm1(-k * h) / total
    far = 2 * torch.expm1(-k * g) / total - g
    closed = torch.where(h < 1, near, far) / (k * h * g)
    return torch.where(small, _series(torch.where(small, kappa, 0.0), h), closed)


def _series(kappa: Tensor, h: Tensor) -> Tensor:
    """(phi(a) - phi(b)) / (a - b) / phi(a), a = 2 kappa, b = kappa h: all terms are positive."""
    a, b = 2 * kappa, kappa * h
    power, sums, top, total = torch.ones_like(b), torch.ones_like(b), torch.ones_like(a), torch.zeros_like(b)
    a_power, factorial = torch.ones_like(a), 1.0
    for n in range(1, _TERMS):
        factorial *= n + 1
        total = total + sums / factorial
        power = power * b
        sums = sums * a + power
        a_power = a_power * a
        top = top + a_power / factorial
    return total / top


def power_pull(h: Tensor, g: Tensor, kappa: Tensor) -> Tensor:
    """-log z / ((1 + kappa) h)."""
    h, g = h.clamp(min=_TINY), g.clamp(min=_TINY)
    log = torch.where(h < 1, torch.log1p(-h.clamp(max=1) / 2), torch.log(g / 2))
    return -log / ((1 + kappa) * h)
