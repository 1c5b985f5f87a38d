"""Where a point lies in the law along its own orbit of rescaling."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

#: Log density is followed down to this far below its mode.
_DROP = 40.0
_NODES = 32
_CHUNK = 20_000


def orbit_cdf(order: float, degree: float, energies: Mapping[tuple[str, float], Tensor]) -> Tensor:
    r"""P(s <= 0) for the density exp(order s - sum_r (A_r / r) e^{r s} - sum_r (B_r / r) e^{-k r s}), normalised.

    This is the law of s = log c along w -> c w, v -> c^{-k} v under the prior, seen from the point itself: A_r and B_r
    are the energies that scale with power r (2 normal, 1 Laplace), order = p - k q is the log Jacobian. With normal
    priors and k = 1, t = e^{2 s} is generalised inverse Gaussian with order (p - q) / 2, psi = A_2, chi = B_2.

    The density is log-concave in s. Mode by bisection, then Gauss-Legendre between the points 40 below the mode, with
    panels that end at the mode and at 0; absolute error about 1e-9. Dead units (all weights of one side zero)
    have no such law: nan; nor have units whose priors are flat on one side, unless the Jacobian makes up for it.

    Args:
        order: p - k q.
        degree: k.
        energies: ("in" or "out", power) -> ``[*batch]``, as of :meth:`UnitLayer.energies_by_power`.
    """
    keys = list(energies)
    shape = next(iter(energies.values())).shape
    stacked = torch.stack([energies[key].double().reshape(-1) for key in keys])
    rates = torch.tensor([power if side == "in" else -degree * power for side, power in keys], dtype=torch.float64)
    weights = torch.tensor([1 / power for _, power in keys], dtype=torch.float64)
    parts = [_chunk(order, stacked[:, i : i + _CHUNK], rates, weights) for i in range(0, stacked.shape[1], _CHUNK)]
    return torch.cat(parts).reshape(shape) if parts else stacked.new_zeros(shape)


def _chunk(order: float, energies: Tensor, rates: Tensor, weights: Tensor) -> Tensor:
    into, out = energies[rates > 0].sum(0), energies[rates < 0].sum(0)
    weighed_in, weighed_out = bool((rates > 0).any()), bool((rates < 0).any())  # not all flat on that side
    alive = (into > 0 if weighed_in else torch.full_like(into, order < 0).bool()) & (
        out > 0 if weighed_out else torch.full_like(out, order > 0).bool()
    )
    safe = torch.where(alive, energies, torch.ones_like(energies))

    def log_density(s: Tensor) -> Tensor:
        """At ``[..., n]``."""
        value = order * s
        for energy, rate, weight in zip(safe, rates, weights, strict=True):
            value = value - weight * energy * (rate * s).exp()
        return value

    def slope(s: Tensor) -> Tensor:
        value = torch.full_like(s, order)
        for energy, rate, weight in zip(safe, rates, weights, strict=True):
            value = value - weight * rate * energy * (rate * s).exp()
        return value

    zero = torch.zeros_like(into)
    mode = _decreasing_root(slope, zero)
    top = log_density(mode)
    high = _decreasing_root(lambda s: log_density(mode + s.clamp(min=0)) - top + _DROP, zero) + mode
    low = mode - _decreasing_root(lambda s: log_density(mode - s.clamp(min=0)) - top + _DROP, zero)
    here = torch.minimum(torch.maximum(zero, low), high)
    first, second = torch.minimum(mode, here), torch.maximum(mode, here)
    nodes, node_weights = (torch.as_tensor(a) for a in np.polynomial.legendre.leggauss(_NODES))

    def integral(start: Tensor, stop: Tensor) -> Tensor:
        half = (stop - start) / 2
        s = (start + stop) / 2 + half * nodes[:, None]
        return half * (node_weights[:, None] * (log_density(s) - top).exp()).sum(0)

    pieces = [integral(low, first), integral(first, second), integral(second, high)]
    below = pieces[0] + torch.where(here > mode, pieces[1], zero)
    return torch.where(alive, below / (pieces[0] + pieces[1] + pieces[2]), torch.full_like(zero, torch.nan))


def _decreasing_root(function: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Where a decreasing function is zero, to 1e-4 or better: good enough for ends of panels."""
    low, high = torch.full_like(like, -1.0), torch.full_like(like, 1.0)
    for _ in range(9):
        low = torch.where(function(low) < 0, 2 * low, low)
        high = torch.where(function(high) > 0, 2 * high, high)
    for _ in range(24):
        middle = (low + high) / 2
        positive = function(middle) > 0
        low, high = torch.where(positive, middle, low), torch.where(positive, high, middle)
    return (low + high) / 2
