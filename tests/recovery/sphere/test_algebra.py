"""Exact algebra on the sphere: what is proved, and twins that differ in one constant and are not."""

from __future__ import annotations

from fractions import Fraction

import pyro
import pytest
import torch

from pyro_symvi import examples
from pyro_symvi.distributions import VonMisesFisher
from pyro_symvi.recovery import SphereDensity
from pyro_symvi.recovery.sphere.algebra import SphereAlgebra
from tests.recovery.sphere.targets import Function, bipolar, flipped, small_circle

POLES = examples.get("planets").args[0]
F = Fraction
AXIS = (F(0), F(0), F(1))
DIAGONAL = (F(1), F(1), F(1))


def algebra(function: Function, dim: int = 3) -> SphereAlgebra:
    return SphereAlgebra(SphereDensity.from_callable(function, dim))


def total(x: torch.Tensor) -> torch.Tensor:
    return x[..., 0] + x[..., 1] + x[..., 2]


ZONAL: dict[str, tuple[Function, tuple[Fraction, ...]]] = {
    "linear": (lambda x: 3.0 * x[..., 2], AXIS),
    "square": (bipolar(4.0), AXIS),
    "small circle": (small_circle(0.5, 50.0), AXIS),
    "exponential": (lambda x: torch.exp(2 * x[..., 2]), AXIS),
    "steps": (flipped, AXIS),
    "diagonal": (lambda x: total(x) + 0.125 * total(x) ** 3, DIAGONAL),
    "with |x|^2": (lambda x: x[..., 2] ** 2 + 5 * (x**2).sum(-1), AXIS),
    "the complement": (lambda x: x[..., 0] ** 2 + x[..., 1] ** 2, AXIS),
}
TWINS: dict[str, Function] = {
    "linear": lambda x: 3.0 * x[..., 2] + 1e-12 * x[..., 0],
    "square": lambda x: 4 * x[..., 2] ** 2 + 1e-12 * x[..., 0] ** 2,
    "small circle": lambda x: small_circle(0.5, 50.0)(x) + 1e-12 * x[..., 0] ** 3,
    "exponential": lambda x: torch.exp(2 * x[..., 2]) + 1e-12 * torch.exp(x[..., 1]),
    "steps": lambda x: flipped(x) + torch.where(x[..., 0] > 0.999, 1e-3, 0.0),
    "diagonal": lambda x: total(x) + 0.125 * (total(x) + 1e-12 * x[..., 0]) ** 3,
    "with |x|^2": lambda x: x[..., 2] ** 2 + 5 * (x**2).sum(-1) + 1e-12 * x[..., 0],
    "the complement": lambda x: x[..., 0] ** 2 + 1.0000000001 * x[..., 1] ** 2,
}


@pytest.mark.parametrize("name", ZONAL)
def test_zonal_densities_and_their_twins(name: str) -> None:
    function, axis = ZONAL[name]
    proved, twin = algebra(function), algebra(TWINS[name])
    assert proved.is_read and twin.is_read
    assert proved.is_zonal(axis) and proved.has_half_turn(axis)
    assert not twin.is_zonal(axis)
    assert not proved.is_zonal((F(1), F(0), F(1, 3)))


def test_a_half_turn_is_less_than_all_rotations() -> None:
    """Two poles of equal height are swapped by the half-turn about their bisector, which is not zonal."""

    def poles(x: torch.Tensor) -> torch.Tensor:
        return torch.logaddexp(3 * x[..., 2], 3 * x[..., 0])

    found = algebra(poles)
    bisector = (F(1), F(0), F(1))
    assert found.has_half_turn(bisector) and not found.is_zonal(bisector)
    assert not algebra(lambda x: torch.logaddexp(3 * x[..., 2], 3.0000001 * x[..., 0])).has_half_turn(bisector)


@pytest.mark.parametrize(
    ("function", "even"),
    [
        (bipolar(4.0), True),
        (lambda x: x[..., 0] ** 2 + x[..., 1] * x[..., 2], True),
        (lambda x: torch.cos(3 * x[..., 0]), True),
        (lambda x: bipolar(4.0)(x) + 1e-12 * x[..., 2], False),
    ],
)
def test_antipodal_symmetry(function: Function, even: bool) -> None:
    assert algebra(function).is_even() is even


@pytest.mark.parametrize(
    ("function", "increases"),
    [
        (lambda x: 2 * x[..., 2], True),
        (lambda x: x[..., 2] + 0.25 * x[..., 2] ** 3, True),
        (lambda x: x[..., 2] ** 3, True),
        (lambda x: x[..., 2] - 0.5 * x[..., 2] ** 3, False),  # the slope at the pole is -1/2
        (bipolar(4.0), False),
        (lambda x: -2 * x[..., 2], False),
        (lambda x: 0 * x[..., 2], False),
    ],
)
def test_increasing_profiles(function: Function, increases: bool) -> None:
    assert algebra(function).increases_along(AXIS) is increases


def posterior(x: torch.Tensor, kappa: torch.Tensor | float) -> None:
    mu = pyro.sample("mu", VonMisesFisher(torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64), 2.0))
    with pyro.plate("data", len(x)):
        pyro.sample("x", VonMisesFisher(mu, kappa), obs=x)


def test_conjugate_posteriors_have_the_sum_as_natural_parameter() -> None:
    """With a kappa for each datum: b = kappa_0 mu_0 + sum kappa_i x_i."""
    kappa = torch.linspace(1, 4, len(POLES), dtype=torch.float64)
    found = SphereAlgebra(SphereDensity.from_model(posterior, POLES, kappa)).natural_parameter()
    wanted = torch.tensor([0.0, 1.2, 1.6], dtype=torch.float64) + (kappa[:, None] * POLES).sum(0)
    assert found is not None
    assert torch.allclose(torch.tensor([float(b) for b in found], dtype=torch.float64), wanted, atol=1e-13)


def test_a_concentration_that_depends_on_the_direction_is_refused() -> None:
    """Its normaliser is no constant, so the posterior is no von Mises-Fisher law."""

    def model(x: torch.Tensor) -> None:
        mu = pyro.sample("mu", VonMisesFisher(torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64), 2.0))
        with pyro.plate("data", len(x)):
            pyro.sample("x", VonMisesFisher(mu, 3.0 + mu[..., 0]), obs=x)

    found = SphereAlgebra(SphereDensity.from_model(model, POLES))
    assert not found.is_read and found.natural_parameter() is None
    assert not found.has_half_turn(AXIS) and not found.is_even()


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda x: 3 * x[..., 2] - x[..., 0] / 4, (F(-1, 4), F(0), F(3))),
        (lambda x: 3 * x[..., 2] + (x**2).sum(-1), (F(0), F(0), F(3))),
        (lambda x: 0 * x[..., 0], (F(0), F(0), F(0))),
        (lambda x: 3 * x[..., 2] + x[..., 0] ** 2, None),
        (lambda x: torch.exp(x[..., 2]), None),
    ],
)
def test_natural_parameters(function: Function, wanted: tuple[Fraction, ...] | None) -> None:
    assert algebra(function).natural_parameter() == wanted


def test_only_exactly_orthogonal_matrices_count() -> None:
    found = algebra(lambda x: x[..., 0] ** 2 + x[..., 1] ** 2 + x[..., 2])
    quarter = [[F(0), F(-1), F(0)], [F(1), F(0), F(0)], [F(0), F(0), F(1)]]
    pythagoras = [[F(3, 5), F(-4, 5), F(0)], [F(4, 5), F(3, 5), F(0)], [F(0), F(0), F(1)]]
    rounded = [[F("0.8660254"), F("-0.5"), F(0)], [F("0.5"), F("0.8660254"), F(0)], [F(0), F(0), F(1)]]
    assert found.invariant_under(quarter) and found.invariant_under(pythagoras)
    assert not found.invariant_under(rounded)


@pytest.mark.parametrize(
    ("function", "bounded"),
    [
        (bipolar(4.0), True),
        (lambda x: torch.exp(torch.sin(3 * x[..., 0])) + torch.tanh(x[..., 1]), True),
        (flipped, True),
        (lambda x: 0 * x[..., 0], True),
        (lambda x: -torch.log(2 * x[..., 0] ** 2), False),
        (lambda x: 1 / (1 + x[..., 0] ** 2), False),  # bounded, and not claimed to be
    ],
)
def test_boundedness_is_claimed_without_poles_only(function: Function, bounded: bool) -> None:
    assert algebra(function).is_bounded() is bounded
