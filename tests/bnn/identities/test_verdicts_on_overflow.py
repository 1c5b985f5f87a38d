"""Verdicts on weights that overflow, and evidence of a network that ends in a nonlinearity."""

import math

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.identities import balancedness, equipartition, orbit_law, tempered_evidence


@pytest.mark.parametrize("check", [balancedness, orbit_law, equipartition], ids=lambda f: f.__name__)
def test_a_chain_that_overflows_is_a_violation(check) -> None:  # type: ignore[no-untyped-def]
    network = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    x = torch.tensor([[-1.0], [1.0]])
    posterior = NetworkPosterior(network, GaussianNoise(1.0), NormalPrior(1.0), x, x[:, 0])
    theta = torch.randn(8, 50, posterior.dim, generator=torch.Generator().manual_seed(0))
    theta[0] *= 1e19  # finite in single precision; outputs and log likelihoods are not
    assert check(posterior, Draws(theta, posterior.layout, "diverged")).verdict == "violated"


def test_evidence_of_a_network_that_ends_in_tanh() -> None:
    network = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1), nn.Tanh())
    x, y = torch.tensor([[-1.0], [1.0]]).double(), torch.tensor([0.9, -0.9]).double()
    posterior = NetworkPosterior(network, GaussianNoise(0.5), NormalPrior(1.0), x, y)
    found = tempered_evidence(posterior, particles=256, moves=3)
    prior = posterior.log_likelihood(posterior.sample_prior(100_000, generator=torch.Generator().manual_seed(1)))
    weights = prior.exp()
    truth, error = math.log(float(weights.mean())), float(weights.std() / weights.mean()) / math.sqrt(len(weights))
    assert not found.collapsed
    assert abs(found.log_evidence - truth) < 4 * math.hypot(error, found.log_evidence_error)
