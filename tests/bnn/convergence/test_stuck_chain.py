"""A chain that never moves reads bad, also where it is compared with itself alone; so does one that is a copy."""

import torch
from torch import nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.convergence import Reading, chainwise_rhat, check_convergence


def test_a_stuck_chain_among_moving_ones_has_an_infinite_chainwise_rhat() -> None:
    values = torch.randn(3, 400, 2, generator=torch.Generator().manual_seed(0))
    values[1] = values[1, :1].clone()
    found = chainwise_rhat(values)
    assert bool(torch.isinf(found[1]).all()) and bool((found[[0, 2]] < 1.1).all())
    values[:, :, 0] = 3.0  # what moves in no chain tells nothing
    found = chainwise_rhat(values)
    assert bool(found[:, 0].isnan().all()) and bool(torch.isinf(found[1, 1]))


def test_chains_that_are_copies_cannot_agree() -> None:
    network = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    posterior = NetworkPosterior(network, GaussianNoise(1.0), NormalPrior(1.0), torch.ones(1, 1)[:0], torch.ones(0))
    theta = posterior.sample_prior(2000, generator=torch.Generator().manual_seed(0)).reshape(2, 1000, -1)
    x = torch.linspace(-1, 1, 4)[:, None]
    assert check_convergence(posterior, Draws(theta, posterior.layout, "two"), x).reading() is Reading.GOOD
    theta[1] = theta[0]
    check = check_convergence(posterior, Draws(theta, posterior.layout, "one, twice"), x)
    assert check.reading() is Reading.BAD and check.line("copied chains").worst == 1
