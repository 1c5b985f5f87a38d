"""Data of a committee machine and the points at which guides start."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pyro_symvi.multiindex import CommitteeData, Link, committee_data, random_start, spectral_estimator

NOISE = 0.5
TESTS = 2000
STARTS = ("centred", "tied", "broken", "random", "spectral", "informed")
"""All units alike, with means of zero; alike; a tenth of a draw of the prior; a draw; p top eigenvectors, turned in
their span; the teacher. The first for even activations alone, which leave zero means where they are."""
SCALES = {"centred": 1.0, "tied": 0.5, "broken": 1.0, "random": 0.5, "spectral": 0.5, "informed": 0.1}
"""First scale of all weights, in units of the prior's."""


def data_sets(activation: str, units: int, dim: int, ratio: float, seeds: list[int]) -> CommitteeData:
    """One data set a seed, with orthonormal teachers; the axis of seeds comes first."""
    return committee_data(activation, units, dim, ratio, NOISE, tests=TESTS, seeds=seeds)


def first_means(start: str, link: Link, data: CommitteeData, seeds: list[int]) -> Tensor:
    """Means ``[seeds, p, d]`` at which a start puts the guide."""
    sets, units, dim = data.weights.shape
    sources = [torch.Generator().manual_seed(9000 + seed) for seed in seeds]
    draws = torch.stack([random_start(units, dim, generator=source) for source in sources])
    if start in ("centred", "tied"):
        return (draws[:, :1] * (start == "tied")).expand(sets, units, dim)
    if start == "broken":
        return 0.1 * draws
    if start == "spectral":
        return torch.stack([spectral_start(link, x, y, units, g) for x, y, g in zip(data.x, data.y, sources)])  # noqa: B905
    return data.weights if start == "informed" else draws


def spectral_start(link: Link, x: Tensor, y: Tensor, units: int, generator: torch.Generator) -> Tensor:
    """The p top eigenvectors of sum_i T(y_i) x_i x_i^T, T = a / (1 + a), turned at random in their span.

    All p become visible together, so that the matrix says nothing of the axes. For activations that are not even each
    unit takes the sign of the linear estimator X^T y.
    """

    def weigh(out: Tensor) -> Tensor:
        a = committee_score(link, units, out)
        return a / (1 + a).clamp_min(1e-3)

    basis = spectral_estimator(x, y, weigh, count=units).vectors.reshape(units, -1)
    turn = torch.linalg.qr(torch.randn(units, units, generator=generator, dtype=torch.float64))[0]
    rows = turn @ basis
    return rows if link.parity == "even" else rows * (rows @ (x.mT @ y)).sign()[:, None]


def committee_score(link: Link, units: int, y: Tensor) -> Tensor:
    """Posterior mean a(y) = E[z_1^2 - 1 | y]: Fourier inversion of chi_2 chi^(p-1) over that of chi^p."""
    k = torch.arange(-12, 12, 0.04, dtype=torch.float64) / math.sqrt(NOISE)
    keep = link.weights > 1e-20
    z, weights, values = link.nodes[keep], link.weights[keep], link.values[keep]
    wave = torch.exp(1j * k[:, None] * values / math.sqrt(units))
    chi = wave @ weights.to(wave.dtype)
    moved = wave @ (weights * (z.square() - 1)).to(wave.dtype)
    fall = torch.exp(-0.5 * NOISE * k.square())
    grid = torch.linspace(float(y.min()) - 0.1, float(y.max()) + 0.1, 600, dtype=torch.float64)
    back = torch.exp(-1j * grid[:, None] * k)
    density = (back @ (chi**units * fall)).real
    score = (back @ (moved * chi ** (units - 1) * fall)).real / density.clamp_min(1e-9 * float(density.max()))
    return torch.from_numpy(np.interp(y.numpy(), grid.numpy(), score.numpy()))
