"""Units that fixed numbers tell apart may still be rescaled: batch normalisation in eval mode."""

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.identities import balancedness, conformity


def test_scales_of_batch_normalisation_are_balanced_and_not_exchangeable() -> None:
    norm = nn.BatchNorm1d(3)
    norm.running_mean, norm.running_var = torch.tensor([0.1, -0.3, 0.5]), torch.tensor([0.5, 1.0, 2.0])
    network = nn.Sequential(nn.Linear(1, 3), norm, nn.ReLU(), nn.Linear(3, 1)).double().eval()
    x, y = torch.tensor([[-1.0], [0.4], [1.2]]).double(), torch.tensor([0.5, -0.3, 0.9]).double()
    posterior = NetworkPosterior(network, GaussianNoise(1.0), NormalPrior(1.0), x, y)
    g = torch.Generator().manual_seed(0)
    prior = posterior.sample_prior(100_000, generator=g)
    weights = posterior.log_likelihood(prior)
    kept = torch.rand(len(prior), generator=g).double().log() < weights - weights.max()  # exact draws
    theta = prior[kept][: int(kept.sum()) // 24 * 24].reshape(24, -1, posterior.dim)
    found = balancedness(posterior, Draws(theta, posterior.layout, "rejection"))
    assert found.layers[0].layer.p == 2 and found.verdict == "no violation seen"
    assert balancedness(posterior, Draws(0.9 * theta, posterior.layout, "shrunk")).verdict == "violated"
    with pytest.raises(ValueError, match="no layer could be placed"):
        conformity(posterior, Draws(theta, posterior.layout, "rejection"))
