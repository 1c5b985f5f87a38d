"""Densities, fits, certificates, guides and their losses where model and data lie on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import init_to_value
from torch import Tensor

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.distributions import SphericalUniform, VonMisesFisher
from pyro_symvi.divergences import Divergence, ForwardKL, ReverseKL
from pyro_symvi.families import LocationScale
from pyro_symvi.groups import CoordinatePermutation, PointReflection
from pyro_symvi.guides import AutoLocationScale, AutoSphere, AutoSymmetric, OrbitMixture
from pyro_symvi.infer import CompiledSVI, DivergenceELBO
from pyro_symvi.recovery import Verdict
from tests.devices.device import normal, required, same, there

DEVICE = required()
X = normal(40, 3, seed=1)
Y = X @ torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64) + 0.5 * normal(40, seed=2)


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Guides take their dtype from the default one."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def regression(x: Tensor, y: Tensor) -> None:
    """Normal and conjugate: the posterior is normal, N(mean, covariance) of ``truth``."""
    beta = pyro.sample("beta", dist.Normal(x.new_zeros(3), 2.0).to_event(1))
    mean = x @ beta if beta.dim() == 1 else (beta @ x.mT).squeeze(-2)  # particles lie left of the rows
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(mean, 0.5), obs=y)


def directional(x: Tensor, y: Tensor) -> None:
    """With a scale and an interval beside the coefficients."""
    beta = pyro.sample("beta", dist.Normal(x.new_zeros(2), 2.0).to_event(1))
    scale = pyro.sample("scale", dist.LogNormal(x.new_zeros(()), 1.0))
    share = pyro.sample("share", dist.Uniform(x.new_zeros(()), x.new_full((), 2.0)))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(x[:, :2] @ beta + share, scale), obs=y)


def truth() -> tuple[Tensor, Tensor]:
    precision = X.mT @ X / 0.25 + torch.eye(3) / 4
    return torch.linalg.solve(precision, X.mT @ Y / 0.25), torch.linalg.inv(precision)


def directions(x: Tensor) -> None:
    mu = pyro.sample("mu", SphericalUniform(3, dtype=x.dtype, device=x.device))
    kappa = pyro.sample("kappa", dist.Gamma(x.new_tensor(2.0), x.new_tensor(0.5)))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", VonMisesFisher(mu, kappa), obs=x)


def components(y: Tensor) -> None:
    mu = pyro.sample("mu", dist.Normal(y.new_zeros(2), 3.0).to_event(1))
    parts = dist.Normal(mu, 1.0)
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.MixtureSameFamily(dist.Categorical(torch.ones_like(mu) / 2), parts), obs=y)


# -- densities, fits, certificates -------------------------------------------------------------------------------------


def test_density_of_a_model() -> None:
    here, away = LogDensity.from_model(regression, X, Y), LogDensity.from_model(regression, *there((X, Y)))
    z = normal(5, 3, seed=3)
    same(away(there(z)), here(z))
    value, gradient = away.value_and_grad(there(z))
    same((value, gradient), here.value_and_grad(z))
    same(away.hessian(there(z[0])), here.hessian(z[0]), 1e-8)


def test_the_flat_vector_may_stay_on_the_cpu() -> None:
    here, away = LogDensity.from_model(directional, X, Y), LogDensity.from_model(directional, *there((X, Y)))
    z = normal(5, 4, seed=3)
    for found, expected in zip(away.value_and_grad(z), here.value_and_grad(z), strict=True):
        assert found.device.type == "cpu" and torch.allclose(found, expected, rtol=1e-9)
    values = away.unpack(z)
    assert all(value.device.type == "cpu" for value in values.values())
    row = {name: value[0] for name, value in here.unpack(z).items()}
    assert torch.allclose(away.pack(row), z[0]) and torch.allclose(away.pack(there(row)), z[0])
    same(away.log_abs_det_jacobian(there(z)), here.log_abs_det_jacobian(z))


def test_density_of_a_function() -> None:
    center = there(normal(3, seed=4))
    density = LogDensity.from_callable(lambda z: -0.5 * (z.to(center) - center).square().sum(-1), 3)
    z = normal(5, 3, seed=3)
    expected = -0.5 * (z - normal(3, seed=4)).square().sum(-1)
    same(density(there(z)), expected)
    assert torch.allclose(density(z), expected)


@pytest.mark.parametrize("divergence", [ReverseKL(), ForwardKL()], ids=repr)
def test_fit(divergence: Divergence) -> None:
    mean, covariance = truth()
    found = symvi.fit(regression, LocationScale(3, scale="full"), *there((X, Y)), divergence=divergence)
    tolerance = 1e-6 if isinstance(divergence, ReverseKL) else 0.1
    sd = covariance.diagonal().sqrt()
    assert bool(((found.loc.cpu() - mean).abs() < tolerance * sd).all())


def test_certificate() -> None:
    found = symvi.fit(regression, LocationScale(3, scale="diagonal"), *there((X, Y)))
    certificate = symvi.certify(found)
    here = symvi.certify(symvi.fit(regression, LocationScale(3, scale="diagonal"), X, Y))
    assert certificate["mean"].verdicts == here["mean"].verdicts
    assert here["mean"].verdict is Verdict.PROVED


def test_certificate_of_a_direction() -> None:
    certificates = []
    for move in (there, lambda data: data):
        pyro.clear_param_store()
        data = move(X / X.norm(dim=-1, keepdim=True))
        guide = AutoSphere(directions_alone)
        guide(data)
        certificates.append(symvi.certify(guide, data, statistics=("direction",))["direction"])
    assert certificates[0].verdicts == certificates[1].verdicts


# -- guides and losses -------------------------------------------------------------------------------------------------


def make_mixture(model: Any) -> Any:
    guide = AutoLocationScale(model, scale="diagonal", init_scale=0.3)
    return OrbitMixture(guide, CoordinatePermutation(2))


GUIDES: dict[str, tuple[Callable[..., None], Callable[[Any], Any], tuple[Tensor, ...]]] = {
    "location-scale": (regression, AutoLocationScale, (X, Y)),
    "Student, diagonal": (
        regression,
        lambda m: AutoLocationScale(m, base="student_t", df=5.0, scale="diagonal"),
        (X, Y),
    ),
    "one law a site": (directions, AutoSymmetric, (X / X.norm(dim=-1, keepdim=True),)),
    "sphere": (
        lambda x: directions_alone(x),
        AutoSphere,
        (X / X.norm(dim=-1, keepdim=True),),
    ),
    "orbit mixture": (components, make_mixture, (torch.cat([normal(10) - 2, normal(10, seed=1) + 2]),)),
}


def directions_alone(x: Tensor) -> None:
    mu = pyro.sample("mu", SphericalUniform(3, dtype=x.dtype, device=x.device))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", VonMisesFisher(mu, x.new_tensor(2.0)), obs=x)


@pytest.mark.parametrize("name", list(GUIDES))
def test_guides(name: str) -> None:
    model, build, data = GUIDES[name]
    away = there(data)
    pyro.set_rng_seed(0)
    guide = build(model)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.02}), DivergenceELBO(ReverseKL(), num_particles=4))
    losses = [svi.step(*away) for _ in range(60)]
    assert sum(losses[-20:]) < sum(losses[:20])
    assert all(p.device == DEVICE for p in pyro.get_param_store().values())
    assert all(v.device == DEVICE for v in guide(*away).values())
    assert all(v.device == DEVICE for v in guide.median(*away).values())
    for values in guide.quantiles([0.1, 0.9], *away).values():
        assert values.device == DEVICE and bool((values[0] <= values[1]).all())
    assert torch.isfinite(torch.tensor(Trace_ELBO(num_particles=3).loss(model, guide, *away)))
    drawn = Predictive(model, guide=guide, num_samples=4)(*away)
    assert all(value.device == DEVICE for value in drawn.values())


@pytest.mark.parametrize("divergence", [ReverseKL(), ForwardKL()], ids=repr)
@pytest.mark.parametrize("vectorize", [False, True], ids=["one by one", "at once"])
def test_losses_lead_to_the_posterior(divergence: Divergence, vectorize: bool) -> None:
    away = there((X, Y))
    pyro.set_rng_seed(0)
    guide = AutoLocationScale(regression, scale="diagonal", init_scale=0.3)
    loss = DivergenceELBO(divergence, num_particles=16, vectorize_particles=vectorize)
    svi = SVI(regression, guide, pyro.optim.Adam({"lr": 0.05}), loss)
    for _ in range(80):
        svi.step(*away)
    assert guide.loc.device == DEVICE
    assert float((guide.loc.detach().cpu() - truth()[0]).norm()) < 0.5 * float(truth()[0].norm())  # it started at 0


def test_orbit_closed_noise() -> None:
    """With the reflection about the posterior mean, the pathwise gradient of the location has no noise at the mean."""
    away = there((X, Y))
    start = init_to_value(values={"beta": there(truth()[0])})
    guide = AutoLocationScale(regression, scale="diagonal", init_scale=0.05, init_loc_fn=start)
    loss = DivergenceELBO(ReverseKL(), num_particles=4, vectorize_particles=True, symmetry=PointReflection())
    guide(*away)
    loss.loss_and_grads(regression, guide, *away)
    gradient = pyro.param("AutoLocationScale.loc").unconstrained().grad
    assert gradient.device == DEVICE and float(gradient.abs().max()) < 1e-6


@pytest.mark.parametrize("run", [False, True], ids=["step", "run"])
def test_compiled_steps(run: bool) -> None:
    away = there((X, Y))
    guide = AutoLocationScale(regression, scale="diagonal", init_scale=0.05)
    svi = CompiledSVI(regression, guide, pyro.optim.Adam({"lr": 0.05}), DivergenceELBO(ReverseKL(), num_particles=4))
    if run:
        svi.run(100, *away)
    else:
        for _ in range(100):
            svi.step(*away)
    assert guide.loc.device == DEVICE
    assert float((guide.loc.detach().cpu() - truth()[0]).norm()) < 0.5 * float(truth()[0].norm())  # it started at 0


def test_guide_follows_the_model_to_the_device() -> None:
    """A fit on the CPU, read by a guide whose data lie on the device, and back."""
    guide = AutoLocationScale(regression)
    symvi.fit(regression, guide, X, Y)
    same(there(guide.loc.detach()), truth()[0], 1e-6)
