"""No exponent is certified that is not so: spikes, unresolved jumps, tiny coefficients, and what is no activation."""

import math

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.multiindex import Link, hermite_functions, noise_sensitivity


def _density(z: float) -> float:
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _mass(a: float, b: float) -> float:
    return 0.5 * (math.erf(b / math.sqrt(2)) - math.erf(a / math.sqrt(2)))


@pytest.mark.parametrize(("place", "width"), [(1.0729, 1e-2), (1.37, 1e-3), (-0.4116, 3e-3)])
def test_a_sign_flipped_on_a_short_stretch_has_a_finite_exponent(place: float, width: float) -> None:
    a, b = place - width / 2, place + width / 2
    side = math.copysign(1.0, place)

    def flipped(z: Tensor) -> Tensor:
        return torch.where((z > a) & (z < b), -torch.sign(z), torch.sign(z))

    mean = -2 * side * _mass(a, b)
    coefficient = 2 * side * (b * _density(b) - a * _density(a)) / math.sqrt(1 - mean**2)
    found = noise_sensitivity(flipped)
    assert found.exponent == 1
    assert found.coefficient == pytest.approx(coefficient, rel=1e-9)
    assert found.link.breaks == pytest.approx(sorted((0.0, a, b)), abs=1e-7)


def test_a_smooth_spike_is_seen() -> None:
    place, width = 0.6042, 1e-3
    found = noise_sensitivity(lambda z: torch.tanh(z) + torch.exp(-0.5 * ((z - place) / width).square()))
    # E[spike (z^2 - 1)] for a normal density in z: precisions add
    spread = math.sqrt(1 + width**2)
    mean, variance = place / spread**2, width**2 / spread**2
    height = width / spread * math.exp(-0.5 * (place / spread) ** 2)
    assert found.exponent == 1
    assert found.coefficient * found.link.scale == pytest.approx(height * (mean**2 + variance - 1), rel=1e-9)


def test_what_the_quadrature_does_not_settle_is_not_called_infinite() -> None:
    def many_jumps(z: Tensor) -> Tensor:  # two values, a mean and a slope that differ in and out of [-1, 1]
        return torch.where(torch.sin(3000 * z) > torch.where(z.abs() < 1, 0.5, -0.3), 1.0, -1.0).to(z.dtype)

    found = noise_sensitivity(many_jumps)
    assert found.link.parity == "none"
    assert found.first_moment_exponent is None
    assert any("E[sigma^b z]" in warning for warning in found.warnings)


def test_a_tiny_second_coefficient_is_named_as_such() -> None:
    def mixed(z: Tensor) -> Tensor:
        h = hermite_functions(z, 5)
        return h[4] + 1e-7 * h[2]

    found = noise_sensitivity(mixed)
    assert (found.exponent, found.coefficient) == (1, pytest.approx(math.sqrt(2) * 1e-7, rel=1e-6))
    assert any("formally 1" in warning for warning in found.warnings)
    assert not any("formally" in warning for warning in noise_sensitivity("he10").warnings)  # c_2 = 20 is large


@pytest.mark.parametrize(
    "activation",
    [nn.Softmax(dim=-1), lambda z: z + 0.1 * torch.rand_like(z), lambda z: z - z.mean()],
    ids=["softmax", "random", "centred"],
)
def test_what_mixes_entries_or_draws_is_refused(activation: object) -> None:
    with torch.random.fork_rng(), pytest.raises(ValueError, match="each entry alone and alike"):
        Link.of(activation)  # type: ignore[arg-type]
    assert Link.of(nn.Sequential(nn.Tanh(), nn.Dropout(0.5))).parity == "odd"
