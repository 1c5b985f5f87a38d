"""Channels of functions with spikes that are narrow against the panels."""

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from pyro_symvi.multiindex import GaussianChannel, Link

PLACE, WIDTH, HEIGHT = 0.6042, 1e-3, 100.0


def _spiked(z: Tensor) -> Tensor:
    return z.abs() + HEIGHT * torch.exp(-0.5 * ((z.abs() - PLACE) / WIDTH).square())


@pytest.mark.parametrize("snr", [0.1, 1.0])
def test_what_outputs_tell_of_the_square_under_a_narrow_spike(snr: float) -> None:
    # composite Gauss-Legendre quadrature cut by hand around the spike, and a sum over y in steps of 0.05
    spike = PLACE + WIDTH * np.array([-9, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 9])
    edges = np.unique(np.concatenate([-spike, spike, np.linspace(-8.5, 8.5, 69)]))
    x, w = leggauss(16)
    half, middle = np.diff(edges)[:, None] / 2, (edges[1:, None] + edges[:-1, None]) / 2
    z = (middle + half * x).ravel()
    weight = (half * w).ravel() * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    value = _spiked(torch.from_numpy(z)).numpy()
    value = value - weight @ value
    mean = np.sqrt(snr / (weight @ value**2)) * value
    y = np.arange(mean.min() - 9, mean.max() + 9, 0.05)
    density = np.exp(-0.5 * (y[:, None] - mean) ** 2) / np.sqrt(2 * np.pi)
    told = 0.05 * ((density @ (weight * (z**2 - 1))) ** 2 / np.maximum(density @ weight, 1e-300)).sum()

    channel = GaussianChannel(Link.of(_spiked), snr)
    assert channel.score_information() == pytest.approx(told, rel=1e-5)
    plain = GaussianChannel("abs", snr).score_information()
    assert abs(plain / told - 1) > 0.5  # the spike matters
