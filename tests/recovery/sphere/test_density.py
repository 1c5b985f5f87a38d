"""Densities on spheres: values, gradients along the sphere, models, and what is refused."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import stats

from pyro_symvi import examples
from pyro_symvi.distributions import SphericalUniform, VonMisesFisher
from pyro_symvi.recovery import SphereDensity
from pyro_symvi.recovery.sphere.density import great_circle, random_directions, tangent

PLANETS = examples.get("planets")
POLES = PLANETS.args[0]


def test_a_model_has_the_density_that_scipy_gives() -> None:
    """The posterior of the planets' pole, up to a constant, against scipy's von Mises-Fisher law."""
    density = SphereDensity.from_model(PLANETS.model, POLES, 500.0)
    x = random_directions(7, 3, torch.Generator().manual_seed(0))
    b = 500.0 * POLES.sum(0)
    wanted = stats.vonmises_fisher((b / b.norm()).numpy(), float(b.norm())).logpdf(x.numpy())
    gap = density(x).numpy() - wanted
    assert density.vectorized and density.coordinates == ("mu[0]", "mu[1]", "mu[2]")
    assert gap == pytest.approx(gap[0], abs=1e-8)


def test_gradients_lie_along_the_sphere_and_are_those_of_the_value() -> None:
    density = SphereDensity.from_callable(lambda x: torch.sin(3 * x[..., 0]) + x[..., 1] * x[..., 2] ** 2, 3)
    x = random_directions(5, 3, torch.Generator().manual_seed(1))
    value, gradient = density.value_and_grad(x)
    v = tangent(x, random_directions(5, 3, torch.Generator().manual_seed(2)))
    h = 1e-6
    slope = (density(great_circle(x, h * v)) - density(great_circle(x, -h * v))) / (2 * h)
    assert torch.allclose((gradient * v).sum(-1), slope, atol=1e-8) and value.shape == (5,)
    assert float((gradient * x).sum(-1).abs().max()) < 1e-14


def test_float32_data_are_promoted() -> None:
    low = SphereDensity.from_model(PLANETS.model, POLES.float(), 500.0)
    x = random_directions(4, 3, torch.Generator().manual_seed(0))
    b = 500.0 * POLES.float().double().sum(0)
    gap = low(x) - x @ b
    assert low(x).dtype == torch.float64
    assert float(gap.max() - gap.min()) < 1e-9


def two_sites() -> None:
    pyro.sample("mu", SphericalUniform(3))
    pyro.sample("nu", SphericalUniform(3))


def other_site() -> None:
    pyro.sample("mu", SphericalUniform(3))
    pyro.sample("sigma", dist.HalfNormal(1.0))


def plated() -> None:
    with pyro.plate("rows", 2):
        pyro.sample("mu", SphericalUniform(3))


def no_site(x: torch.Tensor = POLES) -> None:
    pyro.sample("x", VonMisesFisher(x[0], 3.0), obs=x[1])


def subsampled() -> None:
    mu = pyro.sample("mu", SphericalUniform(3, dtype=torch.float64))
    with pyro.plate("data", 8, subsample_size=4) as index:
        pyro.sample("x", VonMisesFisher(mu, 3.0), obs=POLES[index])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (two_sites, "expected one latent site on a sphere, got .*'mu', 'nu'.*; try"),
        (other_site, "expected no latent site but one direction, got .*sigma.*because.*; try"),
        (plated, "expected site 'mu' to be one unit vector, got shape .*2, 3.*; try"),
        (no_site, "expected one latent site on a sphere, got .*; try"),
        (subsampled, "expected a model that uses all its data"),
    ],
)
def test_models_that_are_refused(model: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SphereDensity.from_model(model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "dim", "error", "message"),
    [
        (3, 3, TypeError, "expected a function of unit vectors.*; try"),
        (lambda x: x[..., 0], 2.0, TypeError, "expected dim as an int"),
        (lambda x: x[..., 0], 1, ValueError, "expected dim >= 2, got 1.*; try"),
        (lambda x: x, 3, ValueError, "expected one number for one direction.*; try"),
        (lambda x: x[..., 0] * float("nan"), 3, ValueError, "expected a finite log density, got nan.*; try"),
        (lambda x: x[..., 0].detach() * 2, 3, ValueError, "expected the gradient of the log density.*; try"),
        (lambda x: x[..., 0] + torch.rand(()), 3, ValueError, "expected the same log density at the same point.*; try"),
        (lambda x: x[..., 7], 3, ValueError, "expected a function whose log density can be computed.*; try"),
    ],
)
def test_functions_that_are_refused(function: object, dim: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        SphereDensity.from_callable(function, dim)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.tensor([[1.0, 1.0, 0.0]]), ValueError, "expected unit vectors, got lengths from 1.41.*; try"),
        (torch.tensor([1.0, 0.0]), ValueError, "expected unit vectors x.*, 3.*, got shape.*; try"),
        (torch.tensor([1, 0, 0]), TypeError, "expected a floating-point tensor.*; try"),
    ],
)
def test_points_off_the_sphere_are_refused(x: torch.Tensor, error: type[Exception], message: str) -> None:
    density = SphereDensity.from_callable(lambda x: x[..., 0], 3)
    with pytest.raises(error, match=message):
        density(x)
