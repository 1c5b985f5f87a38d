"""Moments under a normal law of activations whose curvature jumps."""

import math

import pytest
import torch
from scipy import integrate
from torch import Tensor

from pyro_symvi.multiindex import Link, unit_moments


def _huber(z: Tensor) -> Tensor:
    return torch.where(z.abs() < 0.77, 0.5 * z.square(), 0.77 * (z.abs() - 0.385))


@pytest.mark.parametrize(
    ("activation", "places"),
    [("relu2", [0.0]), ("elu", [0.0]), ("softsign", [0.0]), (_huber, [-0.77, 0.77])],
    ids=["relu2", "elu", "softsign", "huber"],
)
def test_both_moments_agree_with_adaptive_quadrature(activation: object, places: list[float]) -> None:
    link = Link.of(activation)  # type: ignore[arg-type]
    assert link.breaks == pytest.approx(places, abs=1e-3)
    mean, deviation = 0.7, 0.9
    found = unit_moments(link, *torch.tensor([mean, deviation**2], dtype=torch.float64))

    def integrand(u: float, power: int) -> float:
        value = float(link(torch.tensor(mean + deviation * u, dtype=torch.float64)))
        return value**power * math.exp(-u * u / 2) / math.sqrt(2 * math.pi)

    cuts = [(place - mean) / deviation for place in places]
    for power in (1, 2):
        truth, _ = integrate.quad(integrand, -9, 9, args=(power,), points=cuts, epsabs=1e-11, epsrel=1e-11, limit=200)
        assert float(found[power - 1]) == pytest.approx(truth, abs=2e-8)
