"""Averages over rescaling orbits: the function stays, the balance of each unit becomes the posterior's."""

import math

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.approximations import DeepEnsemble, OrbitAveraged

H, N = 3, 4000


def posterior(activation: type[nn.Module] = nn.ReLU) -> NetworkPosterior:
    x = torch.linspace(-1, 1, 25, dtype=torch.float64)[:, None]
    network = nn.Sequential(nn.Linear(1, H), activation(), nn.Linear(H, 1))
    return NetworkPosterior(network, GaussianNoise(0.2), NormalPrior(1.0), x, x[:, 0].abs())


def imbalance(theta: torch.Tensor) -> torch.Tensor:
    """a_j - b_j by hand, unit prior scales."""
    return theta[:, :H] ** 2 + theta[:, H : 2 * H] ** 2 - theta[:, 2 * H : 3 * H] ** 2


def test_the_balance_of_each_unit_becomes_exact():
    target = posterior()
    fitted = OrbitAveraged(DeepEnsemble(3, epochs=20)).fit(target)
    base = fitted.base.sample(N, torch.Generator().manual_seed(0)).flat
    moved = fitted.sample(N, torch.Generator().manual_seed(0)).flat
    torch.testing.assert_close(target.outputs(moved), target.outputs(base))
    found = imbalance(moved)
    assert ((found.mean(0) - 1).abs() < 4 * found.std(0) / math.sqrt(N)).all()  # p - q = 2 - 1
    before = imbalance(base)
    assert (before.mean(0) - 1).abs().max() > 10 * float(found.std()) / math.sqrt(N)  # which the base does not have
    a = moved[:, :H] ** 2 + moved[:, H : 2 * H] ** 2
    b = moved[:, 2 * H : 3 * H] ** 2
    spread = ((found - 1).square() - 2 * (a + b)).mean(0)  # Var[a - b] = 2 E[a + b]
    error = ((found - 1).square() - 2 * (a + b)).std(0) / math.sqrt(N)
    assert (spread.abs() < 4 * error).all()


def test_what_is_refused():
    with pytest.raises(ValueError, match="rescaled"):
        OrbitAveraged(DeepEnsemble(1, epochs=1)).fit(posterior(nn.Tanh))
    with pytest.raises(TypeError, match="approximation"):
        OrbitAveraged(None)
    with pytest.raises(TypeError, match="density"):
        fitted = OrbitAveraged(DeepEnsemble(1, epochs=1)).fit(posterior())
        fitted.log_prob(torch.zeros(fitted.posterior.dim).double())
