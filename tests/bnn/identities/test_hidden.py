"""Hidden units read from a perceptron and from a network's symmetry."""

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import GaussianNoise, LaplacePrior, NetworkPosterior, NetworkPrior, NormalPrior
from pyro_symvi.bnn._draws import independent_draws
from pyro_symvi.bnn.identities import balancedness, conformity, orbit_law
from pyro_symvi.bnn.symmetry import NetworkSymmetry

PRIOR = NetworkPrior(NormalPrior(0.8), {"2.weight": LaplacePrior(0.5)})


def prior_draws(network, shape, draws=1500):
    posterior = NetworkPosterior(network, GaussianNoise(1.0), PRIOR, torch.zeros(0, *shape).double(), torch.zeros(0, 2))
    theta = posterior.sample_prior(draws, generator=torch.Generator().manual_seed(0))
    return posterior, independent_draws(theta, posterior.layout, "prior")


def test_both_readings_agree():
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    posterior, draws = prior_draws(network, (3,))
    symmetry = NetworkSymmetry.of(posterior)
    ours, theirs = balancedness(posterior, draws), balancedness(posterior, draws, symmetry)
    assert len(ours.layers) == len(theirs.layers) == 1  # tanh is not homogeneous
    torch.testing.assert_close(ours.z, theirs.z)
    torch.testing.assert_close(orbit_law(posterior, draws).z, orbit_law(posterior, draws, symmetry).z)
    a, b = symmetry.energies(draws.flat, posterior.parameter_prior, 0)
    torch.testing.assert_close(ours.layers[0].mean_a, a.mean(0))
    torch.testing.assert_close(ours.layers[0].mean_b, b.mean(0))
    assert [len(layer.marginals) for layer in conformity(posterior, draws).layers] == [4 + 3, 5 + 2]


def test_channels_of_a_convolution_are_units():
    network = nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.Conv2d(3, 2, 2), nn.Flatten(), nn.Linear(8, 2))
    posterior, draws = prior_draws(network, (1, 4, 4))
    found = balancedness(posterior, draws)
    first = found.layers[0]
    assert (first.layer.units, first.layer.p, first.layer.q) == (3, 4 + 1, 2 * 4)
    assert found.verdict == "no violation seen"
    assert balancedness(posterior, independent_draws(1.1 * draws.flat, draws.layout, "wide")).verdict == "violated"


class Residual(nn.Module):
    """No layer of it can be placed: units are added to their inputs."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)

    def forward(self, x):
        return x + torch.relu(self.inner(x))


def test_networks_without_known_units_are_refused():
    network = Residual()
    x = torch.zeros(0, 2).double()
    posterior = NetworkPosterior(network, GaussianNoise(1.0), NormalPrior(1.0), x, x)
    with pytest.raises(ValueError, match="no layer could be placed"):
        balancedness(posterior, independent_draws(posterior.sample_prior(3), posterior.layout, "prior"))
