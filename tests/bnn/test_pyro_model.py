"""Posteriors as Pyro models: the same density, and Pyro's own inference on a posterior known in closed form."""

import pyro
import pytest
import torch
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from torch import nn

import pyro_symvi as symvi
from pyro_symvi.bnn import (
    Categorical,
    FlatPrior,
    GaussianNoise,
    HeteroscedasticGaussian,
    LaplacePrior,
    LearnedGaussianNoise,
    Likelihood,
    NetworkPosterior,
    NetworkPrior,
    NormalPrior,
)
from pyro_symvi.density import LogDensity
from pyro_symvi.guides import AutoLocationScale

MIXED = NetworkPrior(NormalPrior(0.7), {"0.weight": LaplacePrior(1.3), "2.bias": FlatPrior()})
CASES = {
    "known": (GaussianNoise(0.3), 2),
    "learned": (LearnedGaussianNoise(-1.0, 0.5), 2),
    "heteroscedastic": (HeteroscedasticGaussian(), 4),
    "categorical": (Categorical(3), 3),
}


def posterior_of(kind: str, rows: int = 7) -> NetworkPosterior:
    likelihood, outputs = CASES[kind]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    y = torch.randn(rows, 2, generator=generator, dtype=torch.float64)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, outputs))
    return NetworkPosterior(
        network, likelihood, MIXED, x, torch.arange(rows) % 3 if likelihood.is_classification else y
    )


def linear_regression() -> tuple[NetworkPosterior, torch.Tensor, torch.Tensor]:
    """A linear layer with known noise, and the exact mean and covariance of its posterior."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    y = x @ torch.tensor([1.0, -0.5], dtype=torch.float64) + 0.5 * torch.randn(30, generator=generator).double()
    posterior = NetworkPosterior(nn.Linear(2, 1), GaussianNoise(0.5), NormalPrior(1.5), x, y)
    design = torch.cat([x, torch.ones(30, 1).double()], 1)
    covariance = torch.linalg.inv(design.T @ design / 0.25 + torch.eye(3).double() / 2.25)
    return posterior, covariance @ design.T @ y / 0.25, covariance


@pytest.mark.parametrize("kind", CASES)
def test_density_of_the_model_is_that_of_the_posterior(kind):
    posterior = posterior_of(kind)
    theta = torch.randn(5, posterior.dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    model, expected = posterior.to_pyro(), posterior.log_prob(theta)
    one = pyro.poutine.trace(pyro.condition(model, posterior.layout.unflatten(theta[1]))).get_trace()
    torch.testing.assert_close(one.log_prob_sum(), expected[1], rtol=1e-12, atol=1e-12)
    assert one.nodes["y"]["is_observed"]
    particles = {name: value.unsqueeze(1) for name, value in posterior.layout.unflatten(theta).items()}
    with pyro.plate("particles", 5, dim=-2):
        many = pyro.poutine.trace(pyro.condition(model, particles)).get_trace()
    many.compute_log_prob()
    log_prob = sum(many.nodes[name]["log_prob"].sum(-1) for name in (*posterior.layout.names, "y"))
    torch.testing.assert_close(log_prob, expected, rtol=1e-12, atol=1e-12)


def test_flat_density_read_from_the_model():
    posterior = posterior_of("learned")
    density = LogDensity.from_model(posterior.to_pyro())
    theta = torch.randn(4, posterior.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert density.vectorized
    torch.testing.assert_close(density(theta), posterior.log_prob(theta), rtol=1e-12, atol=1e-12)


def test_nuts_finds_the_exact_posterior():
    posterior, mean, covariance = linear_regression()
    pyro.set_rng_seed(0)
    mcmc = MCMC(NUTS(posterior.to_pyro()), 120, 50, disable_progbar=True)
    mcmc.run()
    draws = posterior.layout.flatten(mcmc.get_samples())
    z = (draws.mean(0) - mean) / covariance.diagonal().sqrt()
    assert float(z.abs().max()) < 4 / 120**0.5  # four standard errors of independent draws


def test_svi_and_fit_find_the_exact_mean():
    posterior, mean, covariance = linear_regression()
    model = posterior.to_pyro()
    pyro.set_rng_seed(0)
    guide = AutoNormal(
        model, init_loc_fn=pyro.infer.autoguide.init_to_value(values={"weight": torch.ones(1, 2).double()})
    )
    elbo = Trace_ELBO(num_particles=8, vectorize_particles=True, max_plate_nesting=1)
    svi = SVI(model, guide, pyro.optim.ClippedAdam({"lr": 0.05, "lrd": 0.97}), elbo)
    for _ in range(120):
        svi.step()
    found = posterior.layout.flatten(guide.median())
    assert float(((found - mean) / covariance.diagonal().sqrt()).abs().max()) < 0.3
    drawn = Predictive(model, guide=guide, num_samples=6, parallel=True)(posterior.x[:4])
    assert drawn["y"].shape == (6, 4, 1)
    fit = symvi.fit(model, AutoLocationScale(model, scale="diagonal"))
    torch.testing.assert_close(fit.loc, mean, rtol=1e-4, atol=1e-4)


def test_targets_at_new_inputs_are_drawn():
    posterior = posterior_of("categorical")
    theta = posterior.layout.unflatten(torch.zeros(posterior.dim, dtype=torch.float64))
    model = pyro.condition(posterior.to_pyro(), theta)
    pyro.set_rng_seed(0)
    share = torch.stack([model(posterior.x.repeat(50, 1)) == k for k in range(3)]).double().mean(-1)
    assert float((share - 1 / 3).abs().max()) < 4 * (2 / 9 / 350) ** 0.5  # equal logits; four standard errors


def test_no_rows_leave_the_prior():
    posterior = posterior_of("known", rows=0)
    theta = torch.randn(posterior.dim, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    model = pyro.condition(posterior.to_pyro(), posterior.layout.unflatten(theta))
    trace = pyro.poutine.trace(model).get_trace()
    assert "y" not in trace.nodes
    torch.testing.assert_close(trace.log_prob_sum(), posterior.log_prior(theta), rtol=1e-12, atol=1e-12)


class Tilted(GaussianNoise):
    """A likelihood of the user that does not say the law of its own parameter."""

    extra_names = ("tilt",)


def test_likelihoods_without_laws_are_refused():
    posterior = posterior_of("known")
    assert issubclass(Tilted, Likelihood)
    tilted = NetworkPosterior(posterior.network, Tilted(), NormalPrior(), posterior.x, posterior.y)
    with pytest.raises(ValueError, match="try to write extra_law"):
        tilted.to_pyro()
