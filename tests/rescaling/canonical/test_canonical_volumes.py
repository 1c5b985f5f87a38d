"""Volume elements against the determinant of the full change of variables, and laws along an orbit."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.groups import HiddenLayer, HiddenUnitRescaling, NonCompactGroupError
from pyro_symvi.rescaling import Canonicaliser, RescalingGroup
from pyro_symvi.rescaling.canonical import OrbitLaw, log_faddeev_popov, log_orbit_volume


@functools.cache
def group_of(*widths: int) -> RescalingGroup:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return RescalingGroup.from_module(nn.Sequential(*layers[:-1]), widths[:1])


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_det_of_the_chart(canon: Canonicaliser, theta: Tensor) -> Tensor:
    """Log |d theta / d(y, s)| minus the log volume of dc / dy, for a chart y -> c(y) of the slice, by autograd."""
    group = canon.group
    point, z = canon(theta)
    orbit = group.action.vertical_basis(point)
    chart = torch.linalg.svd(orbit.mT, full_matrices=True).Vh[group.num_units :].mT  # not tangent to the slice

    def slice_point(y: Tensor) -> Tensor:
        return canon.section(point + chart @ y)

    def change(both: Tensor) -> Tensor:
        y, s = both.split([chart.shape[1], group.num_units])
        return group.act(slice_point(y), s)

    at = torch.cat([theta.new_zeros(chart.shape[1]), -z])
    jacobian = torch.autograd.functional.jacobian(slice_point, at[: chart.shape[1]])
    full = torch.autograd.functional.jacobian(change, at)
    return torch.linalg.slogdet(full).logabsdet - torch.linalg.slogdet(jacobian.mT @ jacobian).logabsdet / 2


@pytest.mark.parametrize("criterion", ["path", "l2"])
@pytest.mark.parametrize("widths", [(1, 2, 1), (2, 3, 1), (1, 2, 2, 1)], ids=str)
def test_volume_element_against_autograd(widths: tuple[int, ...], criterion: str) -> None:
    canon = Canonicaliser(group_of(*widths), criterion)
    theta = normal(canon.group.dim, seed=sum(widths))
    expected = log_det_of_the_chart(canon, theta)
    assert float(canon.log_volume_element(theta)) == pytest.approx(float(expected), abs=1e-9)
    wrong = expected - canon.log_faddeev_popov(theta) + log_orbit_volume(canon.gauge, canon.section(theta))
    if criterion == "l2":  # its slice is orthogonal to orbits; that of paths is not
        assert float(wrong) == pytest.approx(float(expected), abs=1e-9)
    else:
        assert abs(float(wrong - expected)) > 1e-3


class Squares(nn.Module):
    """Squared ReLU: degree 2, the orbit's directions carry it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(1, 2), nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu() ** 2)


def test_volume_element_of_squared_activations() -> None:
    canon = Canonicaliser(RescalingGroup.from_module(Squares(), (1,)), "l2")
    theta = normal(canon.group.dim, seed=13)
    expected = log_det_of_the_chart(canon, theta)
    assert float(canon.log_volume_element(theta)) == pytest.approx(float(expected), abs=1e-9)


def test_volume_is_one_for_an_orbit_and_differentiable() -> None:
    canon = Canonicaliser(group_of(1, 2, 1), "path")
    theta = normal(2, canon.group.dim, seed=4)
    moved = canon.group.act(theta, normal(canon.group.num_units, seed=5))
    assert torch.allclose(canon.log_faddeev_popov(theta), canon.log_faddeev_popov(moved), atol=1e-10)
    row = canon.section(theta[0])
    known = canon.group.action.log_orbit_volume(row) - canon.group.num_units * math.log(2)  # log c = s / 2
    assert float(log_orbit_volume(canon.gauge, row)) == pytest.approx(float(known), abs=1e-12)
    assert float(log_faddeev_popov(canon.gauge, row)) == pytest.approx(float(canon.log_faddeev_popov(theta)[0]))
    assert torch.autograd.gradcheck(canon.log_volume_element, (theta[:1].requires_grad_(),), fast_mode=True)


@pytest.mark.parametrize("criterion", ["path", "l2"])
def test_a_gaussian_has_its_mass_in_canonical_coordinates(criterion: str) -> None:
    """1-1-1 without biases, N(0, 1) weights: the quadrant of positive weights holds 1/4.

    For both criteria c = (r, r) / sqrt 2 and FP = r / 2 (theta = c (e^{s / 2}, e^{-s / 2})).
    """
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False))
    canon = Canonicaliser(RescalingGroup.from_module(net, (1,)), criterion)
    nodes, weights = np.polynomial.legendre.leggauss(12)
    r = torch.from_numpy(4 * (nodes + 1))[:, None]  # up to 8
    points = (r / math.sqrt(2)).expand(-1, 2)
    element = canon.log_volume_element(points)
    assert torch.allclose(element, (r[:, 0] / 2).log(), atol=1e-10)
    s = torch.linspace(-24, 24, 2001, dtype=torch.float64)
    theta = canon.group.act(points[:, None], s[:, None])
    density = (-theta.square().sum(-1) / 2 - math.log(2 * math.pi) + element[:, None]).exp()
    mass = torch.from_numpy(4 * weights) @ torch.trapezoid(density, s)
    assert float(mass) == pytest.approx(0.25, rel=1e-2)  # 12 nodes on r log r


def test_law_along_an_orbit_is_generalised_inverse_gaussian_for_one_layer() -> None:
    canon = Canonicaliser(group_of(2, 3, 2), "path")
    theta, scale = normal(canon.group.dim, seed=6), 0.5 + normal(canon.group.dim, seed=7).abs()
    prior = torch.distributions.Normal(torch.zeros(()), scale)
    law = OrbitLaw.of(canon.group.action, theta, prior)
    known = HiddenUnitRescaling(HiddenLayer.of_mlp([2, 3, 2])).orbit_conditional(theta, prior)
    s = normal(50, 3, seed=8)
    gap = law.log_density(s) - (known.log_prob(s.exp()) + s).sum(-1)  # dt = t ds
    assert float(gap.max() - gap.min()) < 1e-11
    other = OrbitLaw(canon.group.action, law.white).log_density(-s) - (known.log_prob(s.exp()) + s).sum(-1)
    assert float(other.max() - other.min()) > 1  # the sign matters
    for unit in range(3):
        one = law.conditional(unit, s[0])
        assert torch.allclose(
            torch.stack([one.order, one.psi, one.chi]),
            torch.stack([known.order[unit], known.psi[unit], known.chi[unit]]),
        )
    from_canonical = canon.orbit_law(theta, prior)  # the same law, seen from the canonical point
    z = canon.log_scale(theta)
    gap = from_canonical.log_density(s - z) - law.log_density(s)
    assert float(gap.max() - gap.min()) < 1e-10


def test_law_along_an_orbit_of_two_layers() -> None:
    """Against quadrature in both log scales of a 1-1-1-1 net; Gibbs means within 5 standard errors of 2,000 chains."""
    group = group_of(1, 1, 1, 1)
    theta = normal(group.dim, seed=9)
    law = OrbitLaw.of(group.action, theta, torch.distributions.Normal(0.0, 1.0))
    grid = torch.linspace(-14, 14, 401, dtype=torch.float64)
    s = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1)
    weight = law.log_density(s).flatten().softmax(0)
    mean = (weight[:, None] * s.reshape(-1, 2)).sum(0)
    draws = law.sample(2000, sweeps=15, generator=torch.Generator().manual_seed(0))
    assert bool(((draws.mean(0) - mean).abs() < 5 * draws.std(0) / math.sqrt(2000)).all())
    assert float((mean - law.mode()).abs().max()) > 10 * float(draws.std(0).max()) / math.sqrt(2000) / 5
    mode = law.mode()
    assert float(torch.func.grad(law.log_density)(mode).abs().max()) < 1e-8


def test_averages_need_a_window() -> None:
    canon = Canonicaliser(group_of(1, 2, 1), "l2")
    theta = normal(canon.group.dim, seed=10)
    with pytest.raises(NonCompactGroupError, match="expected a window"):
        canon.average(lambda t: t, theta)
    with pytest.raises(NonCompactGroupError):
        canon.group.group.sample(3)
    moved = canon.group.act(theta, normal(2, seed=11))
    found = [
        canon.average(lambda t: t, point, window=1.0, samples=4000, generator=torch.Generator().manual_seed(1))
        for point in (theta, moved)
    ]
    assert torch.allclose(*found, atol=1e-10)
    point, mean = canon.section(theta), 2 * math.sinh(0.5)  # of e^{s / 2} over [-1, 1]
    enters = canon.group.action.enters >= 0
    assert torch.allclose(found[0][enters], point[enters] * mean, rtol=0.03)  # sd of e^{s/2} is 0.29: se 0.005


def test_laws_of_dead_units_and_other_priors_are_refused() -> None:
    group = group_of(1, 2, 1)
    theta = normal(group.dim, seed=12)
    with pytest.raises(TypeError, match="expected the prior as"):
        OrbitLaw.of(group.action, theta, torch.distributions.Laplace(0.0, 1.0))
    theta[group.action.leaves == 0] = 0
    with pytest.raises(ValueError, match=r"dead ones: \[0\]"):
        OrbitLaw.of(group.action, theta, torch.distributions.Normal(0.0, 1.0))
