"""The thin path through all of it, on a perceptron."""

import copy

import pytest
import torch
from torch import nn

from pyro_symvi.rescaling import RescalingGroup, path_condition


@pytest.fixture
def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 3)
        ).double()


@pytest.mark.parametrize("criterion", ["path", "l2"])
def test_function_is_kept_and_the_optimum_does_not_depend_on_the_start(net: nn.Module, criterion: str) -> None:
    group = RescalingGroup.from_module(net, (5,))
    x = torch.randn(20, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    before = net(x)
    moved = copy.deepcopy(net)
    group.apply_(moved, 3 * torch.randn(group.num_units, generator=torch.Generator().manual_seed(2)).double())
    found = []
    for model in (net, moved):
        result = path_condition(model, RescalingGroup.from_module(model, (5,)), criterion=criterion, tol=1e-10)
        assert result.solution.converged
        assert all(b <= a for a, b in zip(result.solution.history, result.solution.history[1:], strict=False))
        result.apply_()
        assert (model(x) - before).abs().max() <= 1e-12 * before.abs().max()
        found.append(group.parameters(model))
    assert torch.allclose(*found, rtol=1e-9, atol=0)
