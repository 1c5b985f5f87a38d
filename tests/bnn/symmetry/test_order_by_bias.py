"""Sorting by biases needs biases: without them the key of a deep unit depends on the order of the units before it."""

import pytest
import torch
from torch import nn

from pyro_symvi.bnn.symmetry import ByBias, NetworkSymmetry


def _symmetry(bias: bool) -> NetworkSymmetry:
    layers = [nn.Linear(2, 3, bias=False), nn.Tanh(), nn.Linear(3, 3, bias=bias), nn.Tanh(), nn.Linear(3, 1)]
    return NetworkSymmetry.from_module(nn.Sequential(*layers))


def test_deep_layers_without_bias_cannot_be_sorted_by_it() -> None:
    g = torch.Generator().manual_seed(0)
    symmetry = _symmetry(bias=True)
    theta = torch.randn(symmetry.dim, generator=g, dtype=torch.float64)
    images = symmetry.act(symmetry.random(20, g), theta)
    assert torch.equal(symmetry.canonicalize(images, ByBias()), symmetry.canonicalize(theta, ByBias()).expand(20, -1))
    with pytest.raises(ValueError, match="expected a bias"):
        _symmetry(bias=False).canonicalize(torch.randn(symmetry.dim - 3, generator=g), ByBias())
