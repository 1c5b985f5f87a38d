"""A network that is linear in its last layer at one point alone has no last-layer posterior in closed form."""

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.approximations import LastLayerLaplace


@pytest.mark.parametrize("last", [nn.ReLU(), nn.Hardtanh(-50.0, 50.0)], ids=["relu", "hardtanh"])
def test_outputs_that_are_cut_off_elsewhere_are_refused(last: nn.Module) -> None:
    network = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1), last)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
    posterior = NetworkPosterior(network, GaussianNoise(0.3), NormalPrior(1.0), x, 10 + x[:, 0])
    start = torch.full((posterior.dim,), 0.5, dtype=torch.float64)
    start[-1] = 30.0  # the bias: all outputs are far above zero here
    with pytest.raises(ValueError, match="linear in the last layer"):
        LastLayerLaplace(start=start).fit(posterior)
