"""Canonical points: one for each orbit, and differentiable."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.groups import UnsupportedError
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


class Squares(nn.Module):
    """Squared ReLU: its units have degree 2."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu() ** 2)


def test_activations_of_degree_two() -> None:
    group = RescalingGroup.from_module(Squares(), (2,))
    canon = Canonicaliser(group, "l2")
    theta, z = normal(group.dim, seed=4), normal(group.num_units, seed=5)
    point, _ = canon(theta)
    assert torch.allclose(canon.canonicalize(group.act(theta, z)), point, rtol=1e-12)
    squares = [point[index >= 0].square() for index in (group.action.enters, group.action.leaves)]
    assert float(squares[0].sum()) == pytest.approx(2 * float(squares[1].sum()))  # in = k out, summed over units
    assert torch.autograd.gradcheck(canon, (theta.requires_grad_(),), fast_mode=True)
    with pytest.raises(UnsupportedError, match="degree 1"):
        Canonicaliser(group, "path").section(theta.detach())


def test_range_gives_canonical_points_without_derivatives() -> None:
    canon = Canonicaliser(GROUP, "range")
    theta, z = normal(GROUP.dim, seed=6), normal(4, GROUP.num_units, seed=7)
    point, _ = canon(theta)
    assert torch.allclose(canon.canonicalize(GROUP.act(theta, z)), point.expand(4, -1), rtol=1e-7)
    with pytest.raises(UnsupportedError, match="expected a criterion whose optimum can be differentiated"):
        canon.log_scale(theta.requires_grad_()).sum().backward()
    with pytest.raises(UnsupportedError, match="expected a criterion whose optimum can be differentiated"):
        canon.log_volume_element(theta)


@pytest.mark.parametrize("criterion", ["path", "l2"])
def test_points_far_along_an_orbit(criterion: str) -> None:
    """Weights from 1e-60 to 1e60: the point found is the same, and so is its derivative."""
    canon = Canonicaliser(GROUP, criterion, sort=False)
    theta = normal(GROUP.dim, seed=8)
    z = 150 * normal(GROUP.num_units, seed=9)
    far = GROUP.act(theta, z)
    assert torch.allclose(canon.section(far), canon.section(theta), rtol=1e-10)
    near, there = (torch.autograd.functional.jacobian(lambda t: canon.section(t).sin().sum(), t) for t in (theta, far))
    assert torch.allclose(GROUP.act(there, z), near, rtol=1e-8, atol=1e-11)  # gradients move against the weights


def test_printing_is_short() -> None:
    assert (
        repr(Canonicaliser(GROUP, "l2")) == "Canonicaliser(5 units, 20 parameters, criterion=L2Criterion(), sort=True)"
    )
