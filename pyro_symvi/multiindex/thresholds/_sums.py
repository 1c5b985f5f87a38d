"""What the noisy sum of several units tells of one of them, by convolution of the outputs of single units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import mul

import numpy as np
import torch

from ..channels import GaussianChannel
from ..links import Link

_STEP = 0.25
_SPREAD = 9.0
_SEEN = 1e-14


def _transforms(channels: Sequence[GaussianChannel], spread: float) -> list[np.ndarray]:
    """Fourier transforms of E[(1, z, z^2 - 1) p(y | z)] on one grid, ``[3, k]`` for each channel."""
    step = _STEP * 0.5 ** channels[0].finer
    reach = max(float(c.means[c.nodes.abs() < 7].abs().max()) for c in channels) + _SPREAD * (1 + spread)
    size = 2 ** math.ceil(math.log2(2 * reach / step))
    grid = (torch.arange(size, dtype=torch.float64) - size // 2) * step
    found = [np.fft.rfft(np.fft.ifftshift(c.densities(grid).numpy(), axes=1), axis=1) * step for c in channels]
    return found


def _second_moment(density: np.ndarray, numerator: np.ndarray) -> float:
    """E[(numerator / density)^2] from the transforms of both."""
    z, top = np.fft.irfft(density), np.fft.irfft(numerator)
    seen = z > _SEEN * z.max()
    return float((top[seen] ** 2 / z[seen]).sum())


def committee_information(link: Link, units: int, noise: float, finer: int = 0) -> float:
    r"""E[g(y)^2], g(y) = E[z_1^2 - 1 | y] - E[z_1 z_2 | y], for y = p^{-1/2} sum_k sigma(z_k) + sqrt(Delta) xi.

    The inverse of the sample ratio at which weights that know nothing become unstable towards telling units apart. The
    noise is shared out among the units, so that p^{1/2} y is the sum of p independent outputs of `GaussianChannel` at
    lambda = 1 / Delta, whose densities are convolved by fast Fourier transforms. E[z_1 z_2 | y] = 0 for even sigma.
    """
    channel = GaussianChannel(link, 1 / noise, finer=finer)
    (found,) = _transforms([channel], math.sqrt(units * (1 + 1 / noise)))
    density, first, second = found
    numerator = second * density ** (units - 1)
    if units > 1 and link.parity != "even":
        numerator = numerator - first**2 * density ** (units - 2)
    return _second_moment(density**units, numerator)


def weighted_information(link: Link, weights: Sequence[float], noise: float, finer: int = 0) -> list[float]:
    """E[a_k(y)^2], a_k(y) = E[z_k^2 - 1 | y], for each k of y = sum_k w_k sigma(z_k) + sqrt(Delta) xi, sigma even."""
    share = noise / len(weights)
    channels = [GaussianChannel(link, w * w / share, finer=finer) for w in weights]
    spread = math.sqrt(len(weights) + sum(w * w for w in weights) / share)
    found = _transforms(channels, spread)
    densities = [f[0] for f in found]
    before = [np.ones_like(densities[0]), *accumulate(densities, mul)]
    after = [np.ones_like(densities[0]), *accumulate(reversed(densities), mul)][::-1]
    return [_second_moment(before[-1], before[k] * after[k + 1] * f[2]) for k, f in enumerate(found)]
