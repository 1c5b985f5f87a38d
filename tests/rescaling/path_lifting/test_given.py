"""Functions of paths take the group, or the traced network that it stands on."""

import pytest
import torch
from torch import nn

from pyro_symvi.rescaling import RescalingGroup, path_norm, path_norm_squared, paths


def test_the_group_and_its_traced_network_mean_the_same() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    group = RescalingGroup.from_module(net, (3,))
    theta = group.parameters(net)
    assert torch.equal(path_norm(group, theta, p=1), path_norm(group.traced, theta, p=1))
    assert torch.allclose(path_norm_squared(group, theta), paths(group, theta).lift(theta).square().sum())
    with pytest.raises(TypeError, match="RescalingGroup"):
        path_norm(net, theta)  # type: ignore[arg-type]
