"""Exact draws from small posteriors, made once: rejection from the prior under the bound of the likelihood."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NetworkPrior, NormalPrior, WeightPrior
from pyro_symvi.bnn.approximations import MeanField


def make_posterior(
    hidden: int = 2,
    rows: int = 3,
    *,
    activation: type[nn.Module] = nn.ReLU,
    prior: NetworkPrior | WeightPrior | None = None,
    scale: float = 0.5,
) -> NetworkPosterior:
    """1-h-1 with biases, up to three rows on a bent line, known noise."""
    x = torch.tensor([[-1.0], [0.2], [1.3]], dtype=torch.float64)[:rows]
    y = torch.tensor([0.4, -0.3, 1.0], dtype=torch.float64)[:rows]
    network = nn.Sequential(nn.Linear(1, hidden), activation(), nn.Linear(hidden, 1))
    return NetworkPosterior(network, GaussianNoise(scale), prior or NormalPrior(1.0), x, y)


def exact_draws(posterior: NetworkPosterior, proposals: int, seed: int, chains: int = 24) -> Draws:
    """Independent draws of the posterior: a prior draw is kept with probability likelihood / its largest value."""
    generator = torch.Generator().manual_seed(seed)
    y = posterior.y
    top = posterior.likelihood.log_prob(y, y, y.new_zeros(0)).sum() if len(y) else torch.tensor(0.0)
    kept = []
    for _ in range(proposals // 100_000):
        theta = posterior.sample_prior(100_000, generator=generator)
        u = torch.rand(len(theta), generator=generator, dtype=torch.float64)
        kept.append(theta[u.log() < posterior.log_likelihood(theta) - top])
    theta = torch.cat(kept)
    theta = theta[: len(theta) // chains * chains].reshape(chains, -1, posterior.dim)
    return Draws(theta, posterior.layout, "exact draws")


@pytest.fixture(scope="session")
def make() -> Callable[..., NetworkPosterior]:
    return make_posterior


@pytest.fixture(scope="session")
def exactly() -> Callable[..., Draws]:
    return exact_draws


@pytest.fixture(scope="session")
def relu() -> tuple[NetworkPosterior, Draws]:
    """1-2-1 ReLU on three rows, about 20000 exact draws in 24 pieces."""
    posterior = make_posterior()
    return posterior, exact_draws(posterior, 500_000, 0)


@pytest.fixture(scope="session")
def mean_field(relu: tuple[NetworkPosterior, Draws]) -> tuple[Draws, Tensor, Tensor]:
    """Draws of mean-field VI on the same posterior, its locations and scales."""
    posterior, _ = relu
    fitted = MeanField(starts=1, max_steps=800, pairs=8, training=None).fit(posterior, seed=0)
    draws = fitted.sample(24 * 1500, torch.Generator().manual_seed(5))
    return draws, fitted.loc.double(), fitted.scale.double()
