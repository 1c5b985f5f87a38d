"""The shared scenarios are what they claim: evidence, moments and symmetry by quadrature or formula."""

import math

import pytest
import torch

from pyro_symvi.density import LogDensity
from tests import scenarios
from tests.scenarios import Scenario

EVERY = pytest.mark.parametrize("name", scenarios.ALL)


def points(dim: int, n: int = 20, seed: int = 0, scale: float = 1.5) -> torch.Tensor:
    return scale * torch.randn(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@EVERY
def test_model_and_function_differ_by_a_constant(name: str) -> None:
    target = scenarios.ALL[name]()
    assert target.model is not None
    z = points(target.dim)
    difference = target.density()(z) - target.from_callable()(z)
    assert float(difference.max() - difference.min()) <= 1e-9 * float(1 + target.log_prob(z).abs().max())


@EVERY
def test_the_stated_reflection_is_a_symmetry_and_no_other_coordinate_can_be_added(name: str) -> None:
    target = scenarios.ALL[name]()
    z = points(target.dim)

    def violation(coordinates: tuple[int, ...]) -> float:
        reflected, index = z.clone(), list(coordinates)
        reflected[:, index] = 2 * target.center[index] - z[:, index]
        return float((target.log_prob(reflected) - target.log_prob(z)).abs().max())

    if target.even:
        assert violation(target.even) <= 1e-9 * float(1 + target.log_prob(z).abs().max())
    for extra in set(range(target.dim)) - set(target.even):
        if target.center is not None:
            assert violation((*target.even, extra)) > 1e-2


@EVERY
def test_log_concavity_is_as_stated(name: str) -> None:
    target = scenarios.ALL[name]()
    top = torch.linalg.eigvalsh(target.from_callable().hessian(points(target.dim, 200, scale=3.0))).max()
    assert (float(top) <= 1e-9) == target.log_concave


def grid(target: Scenario, half_width: float, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Nodes, weights of the trapezium rule and log density in one or two dimensions, in units of the sd."""
    axis = torch.linspace(-half_width, half_width, n, dtype=torch.float64)
    z = target.mean + torch.cartesian_prod(*[axis] * target.dim).reshape(-1, target.dim) * target.standard_deviation
    cell = ((axis[1] - axis[0]) * target.standard_deviation).prod()
    return z, cell, target.density()(z)


@pytest.mark.parametrize("name", ["logistic", "two_modes", "skew_normal", "crescent", "laplace"])
def test_evidence_and_moments_by_quadrature(name: str) -> None:
    target = scenarios.ALL[name]()
    # 30 sd: an exponential tail beyond holds less than 1e-20. Laplace's kink costs h^2/2 = 2e-4 of its second moment;
    # the crescent's arms leave the square at 4.9 sd of z1, with 1e-6 of the mass and 2e-4 of the second moment
    z, cell, log_p = grid(target, 30.0 if target.dim == 1 else 16.0, 8001 if target.dim == 1 else 1601)
    weights = log_p.exp() * cell
    evidence = weights.sum()
    assert math.log(float(evidence)) == pytest.approx(target.log_evidence, abs=2e-4)
    mean = (weights / evidence) @ z
    centred = (z - mean) / target.standard_deviation
    assert torch.allclose(mean, target.mean, atol=2e-4)
    covariance = (centred * (weights / evidence)[:, None]).mT @ centred
    assert torch.allclose(covariance, target.correlation, atol=1e-3)


def test_regression_moments_by_integrating_the_coefficients_out() -> None:
    target = scenarios.flat_regression()
    density = target.density()
    # given sigma the coefficients are normal with covariance sigma^2 (X'X)^-1 around the centre, so the marginal of
    # log sigma is the density at the centre times sigma^p
    s = target.mean[3] + torch.linspace(-3.0, 6.0, 4001, dtype=torch.float64)
    z = target.mean.repeat(len(s), 1)
    z[:, 3] = s
    weights = torch.softmax(density(z) + 3 * s, 0)
    mean = weights @ s
    assert float(mean) == pytest.approx(float(target.mean[3]), abs=1e-9)
    assert float(weights @ (s - mean) ** 2) == pytest.approx(float(target.standard_deviation[3]) ** 2, rel=1e-9)
    design = target.args[0]
    second = torch.linalg.inv(design.mT @ design) * (weights @ (2 * s).exp())
    assert torch.allclose(second.diagonal().sqrt(), target.standard_deviation[:3], rtol=1e-9)
    at_centre = density.hessian(target.mean)[:3, :3]
    assert torch.allclose(-torch.linalg.inv(at_centre) / (2 * target.mean[3]).exp(), second / (weights @ (2 * s).exp()))


def test_a_wrong_moment_would_be_seen() -> None:
    target = scenarios.skew_normal()
    z, cell, log_p = grid(target, 30.0, 8001)
    assert abs(float((log_p.exp() * cell * z[:, 0]).sum() / (log_p.exp() * cell).sum()) - 0.7) > 0.05


def test_a_scenario_from_a_function_has_one_site() -> None:
    density = scenarios.funnel().from_callable()
    assert isinstance(density, LogDensity)
    assert density.names == ("z",)
    assert scenarios.funnel().density().names == ("v", "x")
