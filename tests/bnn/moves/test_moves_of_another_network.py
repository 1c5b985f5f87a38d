"""Moves along the symmetry of another network of the same size are refused: they would change the posterior."""

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.identities import balancedness, orbit_law
from pyro_symvi.bnn.moves import OrbitRefresh, RandomPermutation
from pyro_symvi.bnn.symmetry import NetworkSymmetry


def _posterior(activation: nn.Module, dtype: torch.dtype) -> NetworkPosterior:
    network = nn.Sequential(nn.Linear(1, 3), activation, nn.Linear(3, 1))
    x = torch.linspace(-1, 1, 4, dtype=dtype)[:, None]
    return NetworkPosterior(network, GaussianNoise(0.3), NormalPrior(1.0), x, x[:, 0].sin())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
def test_the_symmetry_must_be_that_of_the_network(dtype: torch.dtype) -> None:
    relu, tanh, sigmoid = (_posterior(phi, dtype) for phi in (nn.ReLU(), nn.Tanh(), nn.Sigmoid()))
    OrbitRefresh(NetworkSymmetry.of(relu)).check(relu)
    RandomPermutation(NetworkSymmetry.of(tanh)).check(tanh)
    with pytest.raises(ValueError, match="symmetry of the network of the posterior"):
        OrbitRefresh(NetworkSymmetry.of(relu)).check(tanh)
    with pytest.raises(ValueError, match="symmetry of the network of the posterior"):
        RandomPermutation(NetworkSymmetry.of(tanh)).check(sigmoid)


@pytest.mark.parametrize("check", [balancedness, orbit_law], ids=lambda f: f.__name__)
def test_identities_are_those_of_the_network(check) -> None:  # type: ignore[no-untyped-def]
    relu, tanh = (_posterior(phi, torch.float32) for phi in (nn.ReLU(), nn.Tanh()))
    prior = relu.sample_prior(240, generator=torch.Generator().manual_seed(0)).reshape(24, 10, -1)
    assert check(relu, Draws(prior, relu.layout, "prior"), NetworkSymmetry.of(relu)).batches == 24
    with pytest.raises(ValueError, match="symmetry of the network of the posterior"):
        check(tanh, Draws(prior, tanh.layout, "prior"), NetworkSymmetry.of(relu))
