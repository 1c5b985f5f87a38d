"""The contract of an action, for those on several layers and for matrices on one."""

import itertools

import pytest
import torch
from torch import nn

from pyro_symvi.bnn.symmetry import NetworkSymmetry
from pyro_symvi.groups import Action, Trivial
from tests.contracts.action import ActionContract


def chain(*activations: nn.Module) -> NetworkSymmetry:
    layers: list[nn.Module] = []
    widths = (1, *(2,) * len(activations), 1)
    for (a, b), activation in zip(itertools.pairwise(widths), (*activations, nn.Identity()), strict=True):
        layers += [nn.Linear(a, b, bias=False), activation]
    return NetworkSymmetry.from_module(nn.Sequential(*layers))


def fixed() -> NetworkSymmetry:
    """Signs without permutations: the statistics of the batch normalisation tell units apart."""
    norm = nn.BatchNorm1d(2)
    norm.running_var.copy_(torch.tensor([1.0, 2.0]))  # type: ignore[union-attr, operator]
    return NetworkSymmetry.from_module(nn.Sequential(nn.Linear(1, 2), norm, nn.Tanh(), nn.Linear(2, 1)).eval())


ACTIONS: dict[str, Action | None] = {
    "finite": chain(nn.Tanh(), nn.ReLU()).finite,
    "signs alone": fixed().finite,
    "permutations of two layers": chain(nn.Tanh(), nn.ReLU()).permutation,
    "rescaling of two layers": chain(nn.ReLU(), nn.LeakyReLU()).rescaling,
    "orthogonal matrices": chain(nn.Identity()).layers[0].rotation,
}


class TestActions(ActionContract):
    tolerance = 1e-9

    @pytest.fixture(params=list(ACTIONS))
    def action(self, request: pytest.FixtureRequest) -> Action:
        found = ACTIONS[request.param]
        assert found is not None
        return found


def test_the_finite_group_of_a_network_without_one() -> None:
    symmetry = NetworkSymmetry.from_module(nn.Linear(2, 1))
    theta = torch.randn(4, symmetry.dim, generator=torch.Generator().manual_seed(0))
    assert symmetry.finite.group == Trivial() and symmetry.log_order == 0
    assert torch.equal(symmetry.act(symmetry.random(4), theta), theta)
    assert torch.equal(symmetry.canonicalize(theta), theta) and torch.equal(symmetry.match(theta, theta[0]), theta)
    assert symmetry.permutation is symmetry.rescaling is None
