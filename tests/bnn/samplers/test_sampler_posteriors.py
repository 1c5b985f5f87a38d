"""Samplers on posteriors of networks whose moments are known: conjugate last layer, 1-1-1 linear network, prior alone.

Chains start at draws of the prior and are warmed up; standard errors are over chains, which are independent.
"""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special
from torch import nn

from pyro_symvi.bnn import GaussianNoise, LaplacePrior, NetworkPosterior, NetworkPrior, NormalPrior
from pyro_symvi.bnn._streams import stream
from pyro_symvi.bnn.samplers import HMC, MAMS, MCLMC, Sampler
from tests.contracts.sampler import advance

SAMPLERS = [MAMS(), HMC(), MCLMC(energy_variance=1e-3)]
NAMES = ["MAMS", "HMC", "MCLMC"]
DOUBLE = torch.float64


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def run(sampler: Sampler, target: NetworkPosterior, chains: int, warm_up: int, steps: int) -> torch.Tensor:
    """Positions ``[steps, chains, dim]`` after a warm-up from draws of the prior."""
    keys = list(range(chains))
    start = target.sample_prior(chains, generator=stream(9))
    state = sampler.start(target, start, [stream(8, k) for k in keys])
    found = sampler.warm_up(target, state, warm_up, [stream(6, k) for k in keys])
    return advance(sampler, target, found.state, found.tuning, steps, keys)[1]


def scores(values: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Errors of the mean of ``[steps, chains, k]`` in standard errors over the chains."""
    means = values.mean(0)
    return (means.mean(0) - truth) / (means.std(0) / math.sqrt(len(means)))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=NAMES)
def test_last_layer_is_conjugate(sampler: Sampler) -> None:
    """Given features Phi of fixed hidden units: precision Phi^T Phi / noise^2 + diag(1 / prior^2)."""
    x = normal(30, 2)
    y = torch.sin(x[:, 0]) + 0.3 * normal(30, seed=2)
    features = torch.tanh(x @ normal(2, 5, seed=4) + normal(5, seed=5))
    prior = NetworkPrior(NormalPrior(2.0), {"bias": NormalPrior(0.5)})
    target = NetworkPosterior(nn.Linear(5, 1), GaussianNoise(0.5), prior, features, y)
    phi = torch.cat([features, torch.ones(30, 1, dtype=DOUBLE)], 1)
    covariance = torch.linalg.inv(phi.T @ phi / 0.25 + torch.diag(torch.tensor([0.25] * 5 + [4.0], dtype=DOUBLE)))
    mean = covariance @ phi.T @ y / 0.25
    theta = run(sampler, target, chains=60, warm_up=160, steps=40)
    rows, columns = torch.triu_indices(6, 6)
    centred = theta - mean
    products = centred[..., rows] * centred[..., columns]
    z = torch.cat([scores(theta, mean), scores(products, covariance[rows, columns])])
    assert float(z.abs().max()) < 4.5, z
    off = scores(products, 1.5 * covariance[rows, columns])
    assert float(off.abs().max()) > 4.5


@pytest.mark.parametrize("sampler", SAMPLERS, ids=NAMES)
def test_one_linear_unit_against_quadrature_with_a_bessel_function(sampler: Sampler) -> None:
    """For y = w v x + noise and N(0, 1) priors: u = w v has density prop. to K_0(|u|) times its normal likelihood."""
    x = torch.linspace(-1, 1, 6, dtype=DOUBLE)[:, None]
    y = 0.8 * x[:, 0] + 0.4 * normal(6, seed=3)
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    target = NetworkPosterior(network, GaussianNoise(0.7), NormalPrior(1.0), x, y)
    theta = run(sampler, target, chains=120, warm_up=160, steps=40)
    u = theta.prod(-1)

    def density(v: float) -> float:
        residual = y.numpy() - v * x[:, 0].numpy()
        return special.k0(abs(v)) * math.exp(-0.5 * float(residual @ residual) / 0.49)

    def moment(f) -> float:
        return sum(integrate.quad(lambda v: f(v) * density(v), a, b, limit=200)[0] for a, b in ((-8, 0), (0, 8)))

    total = moment(lambda v: 1.0)
    truth = torch.tensor([moment(f) / total for f in (lambda v: v, lambda v: v * v, lambda v: math.exp(-v))])
    z = scores(torch.stack([u, u * u, torch.exp(-u)], -1), truth)
    assert float(z.abs().max()) < 4.5, (z, truth)
    without_bessel = integrate.quad(lambda v: v * density(v) / special.k0(abs(v)), -8, 8, points=[0])[0]
    without_bessel /= integrate.quad(lambda v: density(v) / special.k0(abs(v)), -8, 8, points=[0])[0]
    assert abs(float(scores(u[..., None], torch.tensor([without_bessel]))[0])) > 4.5


@pytest.mark.parametrize("sampler", SAMPLERS, ids=NAMES)
def test_without_data_the_prior_comes_back(sampler: Sampler) -> None:
    """Second moments and mean sizes of normal and Laplace weights; and what a tanh unit is worth: nothing changes."""
    prior = NetworkPrior(NormalPrior(0.5), {"0.weight": LaplacePrior(1.0), "*.bias": NormalPrior(3.0)})
    network = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    target = NetworkPosterior(
        network, GaussianNoise(1.0), prior, torch.zeros(0, 2, dtype=DOUBLE), torch.zeros(0, dtype=DOUBLE)
    )
    theta = run(sampler, target, chains=80, warm_up=160, steps=50)
    scale, laplace = target.parameter_prior.scale, torch.tensor([k == "laplace" for k in target.parameter_prior.kinds])
    square = torch.where(laplace, 2.0, 1.0) * scale**2
    size = torch.where(laplace, 1.0, math.sqrt(2 / math.pi)) * scale
    z = torch.cat([scores(theta, torch.zeros_like(scale)), scores(theta**2, square), scores(theta.abs(), size)])
    assert float(z.abs().max()) < 4.5, z
    assert np.abs(scores(theta**2, 1.3 * square).numpy()).max() > 4.5
