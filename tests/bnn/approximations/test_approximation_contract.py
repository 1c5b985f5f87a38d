"""What all approximations owe: draws in the right layout, seeds that reproduce, a density that fits the draws."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from pyro_symvi.bnn import LearnedGaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.approximations import DeepEnsemble, Laplace, LastLayerLaplace, MeanField, Symmetrized

QUICK = DeepEnsemble(3, epochs=5)
ALL = {
    "ensemble": QUICK,
    "mean-field": MeanField(max_steps=60, training=QUICK),
    "laplace": Laplace(training=QUICK),
    "last layer": LastLayerLaplace(training=QUICK),
    "symmetrized": Symmetrized(MeanField(max_steps=60, training=QUICK)),
}
WITH_DENSITY = ["mean-field", "laplace", "last layer"]


def posterior(dtype: torch.dtype = torch.float64) -> NetworkPosterior:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 2, generator=generator, dtype=torch.float64).to(dtype)
    network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    return NetworkPosterior(network, LearnedGaussianNoise(), NormalPrior(1.0), x, x.sum(-1).sin())


@pytest.mark.parametrize("name", ALL)
def test_draws(name):
    target = posterior(torch.float32)
    fitted = ALL[name].fit(target, seed=5)
    draws = fitted.sample(7, torch.Generator().manual_seed(1))
    assert draws.theta.shape == (1, 7, target.dim)
    assert draws.layout == target.layout
    assert draws.theta.dtype == torch.float32
    assert draws.source == fitted.source
    assert not draws.theta.requires_grad
    assert target.outputs(draws.flat).shape == (7, 30, 1)
    again = ALL[name].fit(target, seed=5).sample(7, torch.Generator().manual_seed(1))
    assert torch.equal(again.theta, draws.theta)
    other = ALL[name].fit(target, seed=6).sample(7, torch.Generator().manual_seed(1))
    assert not torch.equal(other.theta, draws.theta)
    with pytest.raises(ValueError, match="n >= 1"):
        fitted.sample(0)


@pytest.mark.parametrize("name", ALL)
def test_global_state_is_left_alone(name):
    target = posterior()
    before = torch.random.get_rng_state()
    ALL[name].fit(target).sample(3, torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_the_density_is_that_of_the_draws(name):
    """By importance: the mean of r(theta) / q(theta) over draws of q is one for each density r with lighter tails."""
    fitted = ALL[name].fit(posterior())
    theta = fitted.sample(4000, torch.Generator().manual_seed(2)).flat
    moving = theta.std(0) > 0
    law = torch.distributions.MultivariateNormal(theta[:, moving].mean(0), 0.64 * torch.cov(theta[:, moving].T))
    one = (law.log_prob(theta[:, moving]) - fitted.log_prob(theta)).exp()
    error = float(one.std()) / math.sqrt(4000)
    assert error < 0.05
    assert abs(float(one.mean()) - 1) < 4 * error
    theta[:, moving] = law.loc + 0.9 * (theta[:, moving] - law.loc)  # no draws of that density
    wrong = (law.log_prob(theta[:, moving]) - fitted.log_prob(theta)).exp()
    assert abs(float(wrong.mean()) - 1) > 4 * float(wrong.std()) / math.sqrt(4000)


def test_mean_field_draws_by_their_probability_transforms():
    fitted = ALL["mean-field"].fit(posterior())
    theta = fitted.sample(3000, torch.Generator().manual_seed(4)).flat
    u = torch.distributions.Normal(fitted.loc, fitted.scale).cdf(theta)
    worst = min(stats.kstest(column, "uniform").pvalue for column in u.T.numpy())
    assert worst > 1e-3 / u.shape[1]
    wrong = torch.distributions.Normal(fitted.loc, 1.2 * fitted.scale).cdf(theta)
    assert stats.kstest(wrong[:, 0].numpy(), "uniform").pvalue < 1e-6


@pytest.mark.parametrize("name", ALL)
def test_bad_arguments(name):
    target, approximation = posterior(), ALL[name]
    x, y = target.x, target.y
    with pytest.raises(TypeError, match="NetworkPosterior"):
        approximation.fit(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="seed"):
        approximation.fit(target, seed=-1)
    with pytest.raises(TypeError, match="progress"):
        approximation.fit(target, progress="bar")
    with pytest.raises(TypeError, match="pair"):
        approximation.fit(target, validation=x)
    with pytest.raises(ValueError, match="as many"):
        approximation.fit(target, validation=(x, y[:3]))
    with pytest.raises(ValueError, match="validation inputs"):
        approximation.fit(target, validation=(x[:, :1], y))
    with pytest.raises(ValueError, match="finite"):
        approximation.fit(target, validation=(x, y * math.nan))
