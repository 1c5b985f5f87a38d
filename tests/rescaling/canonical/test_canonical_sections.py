"""Canonical points: one for each orbit, and differentiable."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.rescaling import Canonicaliser, RescalingGroup


def perceptron(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


GROUP = RescalingGroup.from_module(perceptron(2, 3, 2, 1), (2,))


@pytest.mark.parametrize("criterion", ["path", "l2"])
def test_orbit_points_have_one_canonical_point(criterion: str) -> None:
    canon = Canonicaliser(GROUP, criterion)
    theta, z = normal(GROUP.dim), 3 * normal(5, GROUP.num_units, seed=1)
    point, scale = canon(theta)
    points, scales = canon(GROUP.act(theta, z))
    assert torch.allclose(points, point.expand_as(points), rtol=1e-12, atol=0)
    assert torch.allclose(scales, scale - z, atol=1e-11)
    assert torch.equal(canon.canonicalize(theta), point)
    assert float(canon.log_scale(point).abs().max()) < 1e-12  # a second time changes nothing
    assert float((canon.section(theta + 0.1) - point).abs().max()) > 0.01  # other orbits have other points


@pytest.mark.parametrize("criterion", ["path", "l2"])
def test_derivatives_against_finite_differences(criterion: str) -> None:
    canon = Canonicaliser(GROUP, criterion)
    theta = normal(2, GROUP.dim, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(canon, (theta,), fast_mode=True)


@pytest.mark.parametrize("criterion", ["path", "l2"])
def test_second_derivatives_against_finite_differences(criterion: str) -> None:
    group = RescalingGroup.from_module(perceptron(1, 2, 1), (1,))
    canon = Canonicaliser(group, criterion)
    theta = normal(group.dim, seed=3).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda t: canon(t)[0], (theta,), fast_mode=True)
