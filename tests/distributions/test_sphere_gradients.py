"""Gradients of draws on the sphere against closed forms and quadrature, in concentration and in direction."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pyro_symvi.distributions import PowerSpherical, VonMisesFisher
from pyro_symvi.distributions._angle import AngleLaw
from pyro_symvi.distributions._angle import angle as angle_of
from pyro_symvi.distributions._power_angle import PowerSphericalAngle
from pyro_symvi.distributions._vmf_angle import VonMisesFisherAngle
from pyro_symvi.special import bessel_ratio

DIMS = (2, 3, 4, 5, 10, 50)
LAWS = {"vmf": VonMisesFisher, "power": PowerSpherical}


def unit(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x / x.norm(dim=-1, keepdim=True)


def slopes(law: type, dim: int, kappa: float, draws: int) -> Tensor:
    """d(mu.x)/d kappa draw by draw: each draw has its own copy of kappa."""
    copies = torch.full((draws,), kappa, dtype=torch.float64, requires_grad=True)
    mu = unit(dim, seed=dim)
    x = law(mu, copies).rsample()
    return torch.autograd.grad((x @ mu).sum(), copies)[0]


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("kappa", [0.5, 5.0, 100.0])
def test_gradient_in_the_concentration(dim: int, kappa: float) -> None:
    """dE[mu.x]/dkappa = 1 - A^2 - (d-1) A / kappa, and (d-1)/(kappa+d-1)^2 for the power law, to 4 standard errors."""
    torch.manual_seed(dim)
    ratio = bessel_ratio(dim, torch.tensor(kappa, dtype=torch.float64)).item()
    truths = {"vmf": 1 - ratio**2 - (dim - 1) * ratio / kappa, "power": (dim - 1) / (kappa + dim - 1) ** 2}
    for name, law in LAWS.items():
        found = slopes(law, dim, kappa, 40_000)
        error = found.std().item() / math.sqrt(len(found))
        assert abs(found.mean().item() - truths[name]) < 4 * error
        assert error < 0.02 * truths[name]  # small enough to see a gradient that ignores the rejection (13 % at d = 5)


@pytest.mark.parametrize("name", LAWS)
def test_at_concentration_zero_the_gradient_is_that_of_the_uniform_law(name: str) -> None:
    """dE[mu.x]/dkappa at 0: 1/d for von Mises-Fisher, 1/(d-1) for the power law."""
    torch.manual_seed(0)
    for dim in (2, 3, 5):
        found = slopes(LAWS[name], dim, 0.0, 40_000)
        truth = 1 / dim if name == "vmf" else 1 / (dim - 1)
        assert abs(found.mean().item() - truth) < 4 * found.std().item() / math.sqrt(len(found))


STATISTICS = {
    VonMisesFisherAngle: lambda s: -2 * (s / 2).sin().square(),
    PowerSphericalAngle: lambda s: torch.where(
        s < 2, torch.log1p(-(s / 2).sin().square().clamp(max=0.9)), 2 * (s / 2).cos().log()
    ),
}
ANGLES = [VonMisesFisherAngle, PowerSphericalAngle]


def composite(edges: Tensor, function: Any) -> float:
    """The integral over the panels between edges, 20 Gauss-Legendre nodes each."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(20))
    half = (edges[1:] - edges[:-1]) / 2
    values = function((edges[1:] + edges[:-1])[:, None] / 2 + half[:, None] * nodes)
    return float((half * (values @ weights)).sum())


def reference_velocity(angle: type[AngleLaw], dim: int, theta: float, kappa: float) -> float:
    """-int_0^theta (T - ET) f / f(theta), from that side on which T - ET keeps its sign, on 300 graded panels."""
    statistic, at = STATISTICS[angle], torch.tensor(theta, dtype=torch.float64)
    mean = -angle(dim).constant(torch.tensor(kappa, dtype=torch.float64))
    below = bool(statistic(at) > mean)
    grades = torch.linspace(0, 1, 301, dtype=torch.float64) ** 3
    if not below and angle is PowerSphericalAngle and dim <= 5:
        # singular at pi: in x = T(theta) - T(s), with 1 - cos s = 2 - 2 e^T
        z, a = statistic(at).exp(), kappa + (dim - 1) / 2

        def integrand(x: Tensor) -> Tensor:
            falls = ((1 - z * (-x).exp()) / (1 - z)) ** ((dim - 3) / 2) * (-a * x).exp()
            return (statistic(at) - x - mean) * falls

        return (z / at.sin() * 2).item() * composite(grades * 100 / a, integrand)

    def weighted(s: Tensor) -> Tensor:
        log = kappa * (statistic(s) - statistic(at)) + (dim - 2) * (s.sin() / at.sin()).log()
        return (statistic(s) - mean) * log.exp()

    if below:
        return -composite(at * (1 - grades).flip(0), weighted)
    return composite(at + (math.pi - theta) * grades, weighted)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("dim", [2, 3, 4, 5, 6, 10, 1000, 10_000])
@pytest.mark.parametrize("kappa", [0.0, 0.01, 0.3, 1.0, 6.0, 30.0, 500.0, 1e8])
def test_velocity_by_a_finer_quadrature(angle: type[AngleLaw], dim: int, kappa: float) -> None:
    """Relative error below 1e-9 at draws from the law, those far out in its tails included, and by interpolation."""
    torch.manual_seed(3)
    law = angle(dim)
    k = torch.tensor(kappa, dtype=torch.float64)
    versine, coversine = law.draw(k, torch.Size([5000]))
    few = torch.cat([torch.arange(6), versine.topk(3).indices, versine.topk(3, largest=False).indices])
    theta = angle_of(versine[few], coversine[few])
    truth = torch.tensor([reference_velocity(angle, dim, t, kappa) for t in theta.tolist()], dtype=torch.float64)
    with torch.no_grad():
        found = law.velocity(theta, k)
        many = -theta.sin() * law.pull(versine, coversine, k)[few]
    assert torch.allclose(law.velocity(theta, k), truth, rtol=1e-9, atol=0)  # where it may be differentiated again
    assert torch.allclose(found, truth, rtol=1e-9, atol=0)
    assert torch.allclose(many, truth, rtol=1e-9, atol=0)


@pytest.mark.parametrize("angle", [VonMisesFisherAngle, PowerSphericalAngle])
def test_velocity_carries_the_distribution_function(angle: type[AngleLaw]) -> None:
    """F(theta(kappa); kappa) stays put: second differences of F by quadrature, outside the code under test."""
    law, theta, kappa, step = angle(5), 0.8, 4.0, 1e-4

    def distribution(t: float, k: float) -> float:
        s = torch.linspace(0, math.pi, 100_001, dtype=torch.float64)
        log = law.log_gain(s[1:-1], torch.tensor(0.5, dtype=torch.float64), torch.tensor(k, dtype=torch.float64))
        f = log.exp() * s[1:-1].sin() ** 3
        cumulative = torch.cat([torch.zeros(1, dtype=torch.float64), f.cumsum(0) - f / 2])
        return float(np.interp(t, s[:-1].numpy(), (cumulative / f.sum()).numpy()))

    in_kappa = (distribution(theta, kappa + step) - distribution(theta, kappa - step)) / (2 * step)
    in_theta = (distribution(theta + step, kappa) - distribution(theta - step, kappa)) / (2 * step)
    found = law.velocity(*(torch.tensor([v], dtype=torch.float64) for v in (theta, kappa)))
    assert found.item() == pytest.approx(-in_kappa / in_theta, rel=1e-3)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", [2, 3, 5, 10])
def test_gradient_in_the_direction(name: str, dim: int) -> None:
    """E (b.x)^2 = c + (E t^2 - c) (b.mu)^2, c = (1 - E t^2)/(d - 1): its slope along a tangent, 4 standard errors."""
    torch.manual_seed(dim)
    mu, tangent, b = unit(dim, seed=1), unit(dim, seed=2), unit(dim, seed=3)
    tangent = tangent - (tangent @ mu) * mu
    copies = mu.expand(40_000, dim).clone().requires_grad_()
    law = LAWS[name](copies, 3.0)
    x = law.rsample()
    (gradient,) = torch.autograd.grad((x @ b).square().sum(), copies)
    found = gradient @ tangent
    still = LAWS[name](torch.eye(dim, dtype=torch.float64)[0], 3.0)
    moment = still.variance[0] + still.mean[0] ** 2  # E t^2
    across = (1 - moment) / (dim - 1)
    truth = (2 * (moment - across) * (b @ mu) * (b @ tangent)).item()
    assert abs(found.mean().item() - truth) < 4 * found.std().item() / math.sqrt(len(found))
    assert (gradient * x).sum(-1).isfinite().all()


def test_gradient_at_the_first_axis_where_the_reflection_has_none() -> None:
    """There, and everywhere, draws turn with the direction: dx = (mu.x) dmu - (dmu.x) mu."""
    torch.manual_seed(0)
    for mu in (torch.eye(4, dtype=torch.float64)[0], -torch.eye(4, dtype=torch.float64)[0], unit(4)):
        leaf = mu.clone().requires_grad_()
        x = VonMisesFisher(leaf, 2.0).rsample()
        turn, weight = unit(4, seed=5), unit(4, seed=6)
        turn = turn - (turn @ mu) * mu
        (gradient,) = torch.autograd.grad(x @ weight, leaf)
        change = (x @ mu) * turn - (x @ turn) * mu
        assert (gradient @ turn).item() == pytest.approx((change @ weight).item(), abs=1e-12)


@pytest.mark.parametrize("dim", [2, 3, 6])
def test_second_derivative_of_a_mean(dim: int) -> None:
    """E[mu.x] differentiated twice in kappa through the draws, against A'' = d/dkappa of the closed form."""
    torch.manual_seed(dim)
    kappa = torch.full((20_000,), 3.0, dtype=torch.float64, requires_grad=True)
    mu = unit(dim)
    x = VonMisesFisher(mu, kappa).rsample()
    (first,) = torch.autograd.grad((x @ mu).sum(), kappa, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), kappa)
    truth = torch.func.grad(torch.func.grad(lambda k: bessel_ratio(dim, k)))(torch.tensor(3.0, dtype=torch.float64))
    assert abs(second.mean().item() - truth.item()) < 4 * second.std().item() / math.sqrt(len(second))


def test_single_precision_gradients_are_those_of_double_precision() -> None:
    torch.manual_seed(0)
    kappa = torch.full((2000,), 20.0, requires_grad=True)
    mu = unit(5).float()
    x = VonMisesFisher(mu / mu.norm(), kappa).rsample()
    (slope,) = torch.autograd.grad((x @ mu).sum(), kappa)
    assert slope.dtype == torch.float32
    law, theta = VonMisesFisherAngle(5), torch.arccos((x.detach().double() @ mu.double()).clamp(-1, 1))
    exact = -theta.sin() * law.velocity(theta, kappa.detach().double())
    assert torch.allclose(slope.double(), exact, rtol=1e-3, atol=1e-6)
