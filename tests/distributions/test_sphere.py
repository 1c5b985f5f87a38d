"""The laws on the sphere: densities, moments, draws and divergences against SciPy, quadrature and closed forms."""

import math
import pickle
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import kl_divergence

from pyro_symvi.distributions import PowerSpherical, SphericalUniform, VonMisesFisher
from pyro_symvi.distributions._angle import angle
from pyro_symvi.special import bessel_ratio, log_hyp0f1, log_sphere_area

DIMS = (2, 3, 4, 5, 10, 50)
LAWS = {"vmf": VonMisesFisher, "power": PowerSpherical}
LEVEL = 1e-4
"""Level of each Kolmogorov-Smirnov test; the seeds are fixed."""


def unit(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (x / x.norm(dim=-1, keepdim=True)).to(dtype)


def angle_rule(law: Any, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Angles, log density there, and weights for the law of the angle: 20 Gauss-Legendre nodes on 200 panels."""
    nodes, weights = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(20))
    edges = math.pi * (torch.linspace(0, math.pi / 2, 201, dtype=torch.float64)).sin().square()  # finer at the ends
    half = (edges[1:] - edges[:-1])[:, None] / 2
    theta = (edges[:-1, None] + half * (1 + nodes)).reshape(-1)
    x = torch.zeros(len(theta), dim, dtype=torch.float64)
    x[:, 0], x[:, 1] = theta.cos(), theta.sin()
    log = law.log_prob(x)
    belt = math.exp(log_sphere_area(dim - 1)) if dim > 2 else 2.0  # area of the sphere around the axis
    return theta, log, (half * weights).reshape(-1) * belt * theta.sin() ** (dim - 2) * log.exp()


def about_first_axis(name: str, dim: int, kappa: float) -> Any:
    e1 = torch.zeros(dim, dtype=torch.float64)
    e1[0] = 1.0
    return LAWS[name](e1, kappa)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", [2, 3, 4, 10])
@pytest.mark.parametrize("kappa", [0.0, 0.3, 8.0, 200.0])
def test_normaliser_mean_variance_and_entropy_by_quadrature(name: str, dim: int, kappa: float) -> None:
    law = about_first_axis(name, dim, kappa)
    theta, log, weights = angle_rule(law, dim)
    assert weights.sum().item() == pytest.approx(1.0, abs=1e-10)
    assert law.mean[0].item() == pytest.approx((weights @ theta.cos()).item(), abs=1e-10)
    assert law.mean[1:].abs().max().item() == 0.0
    along = weights @ (theta.cos() - law.mean[0]).square()
    assert law.variance[0].item() == pytest.approx(along.item(), abs=1e-10)
    across = weights @ theta.sin().square() / (dim - 1)
    assert law.variance[1].item() == pytest.approx(across.item(), abs=1e-10)
    assert law.entropy().item() == pytest.approx(-(weights @ log).item(), abs=1e-9)


@pytest.mark.parametrize(
    ("dim", "kappa"),
    [(d, k) for d in (2, 3, 4, 5, 10, 50) for k in (1e-3, 0.01, 0.1, 1.0, 30.0, 1000.0)] + [(300, 30.0), (300, 1000.0)],
)
def test_von_mises_fisher_against_scipy(dim: int, kappa: float) -> None:
    """Where SciPy has a value: its Bessel function underflows at d = 300 and kappa = 1."""
    mu, x = unit(dim), unit(50, dim, seed=1)
    law, reference = VonMisesFisher(mu, kappa), stats.vonmises_fisher(mu.numpy(), kappa)
    assert np.allclose(law.log_prob(x).numpy(), reference.logpdf(x.numpy()), rtol=1e-11, atol=1e-11)
    assert law.entropy().item() == pytest.approx(reference.entropy(), rel=1e-9, abs=1e-9)
    assert not np.allclose(VonMisesFisher(mu, 1.1 * kappa).log_prob(x).numpy(), reference.logpdf(x.numpy()), rtol=1e-9)


def test_von_mises_fisher_on_the_circle_is_pyros_von_mises() -> None:
    at, angles = torch.tensor(0.7, dtype=torch.float64), torch.linspace(-3, 3, 9, dtype=torch.float64)
    points = torch.stack([angles.cos(), angles.sin()], -1)
    law = VonMisesFisher(torch.stack([at.cos(), at.sin()]), 2.5)
    assert torch.allclose(law.log_prob(points), dist.VonMises(at, at.new_tensor(2.5)).log_prob(angles), atol=1e-6)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", [2, 3, 7, 1000])
def test_concentration_zero_is_uniform_in_value_and_gradient(name: str, dim: int) -> None:
    mu, x = unit(dim).requires_grad_(), unit(6, dim, seed=2)
    x = torch.cat([x, mu[None].detach(), -mu[None].detach()])  # the mode and its antipode included
    kappa = torch.zeros((), dtype=torch.float64, requires_grad=True)
    law = LAWS[name](mu, kappa)
    log = law.log_prob(x)
    assert torch.allclose(log, SphericalUniform(dim).log_prob(x), rtol=1e-12)
    assert law.entropy().item() == pytest.approx(log_sphere_area(dim), rel=1e-12)
    in_kappa, in_mu = torch.autograd.grad(log[:6].sum(), (kappa, mu), retain_graph=True)
    cosine = (x[:6] @ mu).detach()
    expected = cosine if name == "vmf" else torch.log1p(cosine) - angle_mean_log(dim)
    assert in_kappa.item() == pytest.approx(expected.sum().item(), abs=1e-9)
    assert in_mu.abs().max().item() == 0.0
    everything = torch.autograd.grad(log.sum() + law.entropy() + law.mean.sum() + law.rsample().sum(), (kappa, mu))
    assert all(bool(g.isfinite().all()) for g in everything)


def angle_mean_log(dim: int) -> float:
    """E log(1 + mu.x) under the uniform law."""
    half = torch.tensor((dim - 1) / 2, dtype=torch.float64)
    return math.log(2) + (torch.digamma(half) - torch.digamma(2 * half)).item()


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", [3, 10_000])
def test_very_concentrated_laws_keep_their_digits(name: str, dim: int) -> None:
    """Around the mode the law is normal: at angle r, log p(mu) - log p(x) = kappa_eff r^2 / 2 + O(r^4)."""
    kappa = torch.tensor(1e8, dtype=torch.float64, requires_grad=True)
    law = about_first_axis(name, dim, 1.0)
    law = type(law)(law.direction, kappa)
    r = 1e-4
    x = torch.zeros(dim, dtype=torch.float64)
    x[0], x[1] = math.cos(r), math.sin(r)
    drop = (law.log_prob(law.direction) - law.log_prob(x)).item()
    assert drop == pytest.approx({"vmf": 1e8, "power": 5e7}[name] * r**2 / 2, rel=1e-7)
    precision = {"vmf": 1e8, "power": 5e7}[name]
    normal = (dim - 1) / 2 * math.log(precision / (2 * math.pi))
    assert law.log_prob(law.direction).item() == pytest.approx(normal, abs=dim**2 * 1e-8)
    assert bool(torch.autograd.grad(law.log_prob(x), kappa)[0].isfinite())


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("kappa", [0.0, 0.5, 10.0, 1000.0])
def test_the_cosine_of_draws_follows_its_law(name: str, dim: int, kappa: float) -> None:
    """Kolmogorov-Smirnov at level 1e-4, 4,000 draws, against the law of the angle on a grid of 20,001 nodes."""
    torch.manual_seed(dim)
    mu = unit(dim, seed=3)
    x = LAWS[name](mu, kappa).sample((4000,))
    angle = torch.arccos((x @ mu).clamp(-1, 1)).numpy()
    reach = min(math.pi, 12 * math.sqrt(max(dim, 4) / max(kappa, 1e-9)))
    grid = torch.linspace(0, reach, 20_001, dtype=torch.float64)[1:-1]
    points = torch.zeros(len(grid), dim, dtype=torch.float64)
    points[:, 0], points[:, 1] = grid.cos(), grid.sin()
    log = about_first_axis(name, dim, kappa).log_prob(points) + (dim - 2) * grid.sin().log()
    cdf = (log - log.max()).exp().cumsum(0)
    cdf = (cdf / cdf[-1]).numpy()
    assert stats.kstest(angle, lambda t: np.interp(t, grid.numpy(), cdf)).pvalue > LEVEL
    other = (2 * (log - log.max())).exp().cumsum(0)
    other = (other / other[-1]).numpy()
    if dim > 2 or kappa > 0:  # twice the exponent is another law, and would be seen
        assert stats.kstest(angle, lambda t: np.interp(t, grid.numpy(), other)).pvalue < LEVEL
    # around the axis: uniform, so that the coordinate along any other vector b orthogonal to mu is even
    b = unit(dim, seed=4)
    b = b - (b @ mu) * mu
    signs = ((x @ b) > 0).double().mean().item()
    assert abs(signs - 0.5) < 4 * 0.5 / math.sqrt(4000)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("kappa", [0.0, 3.0, 1e5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [2, 3, 50, 2000])
def test_draws_are_points_of_the_sphere(name: str, kappa: float, dtype: torch.dtype, dim: int) -> None:
    torch.manual_seed(0)
    mu = torch.cat([unit(20, dim, dtype=dtype), torch.eye(dim, dtype=dtype)[:1], -torch.eye(dim, dtype=dtype)[:1]])
    for x in (LAWS[name](mu, kappa).sample((9,)), LAWS[name](mu.clone().requires_grad_(), kappa).rsample((9,))):
        assert x.dtype == dtype and x.shape == (9, 22, dim)
        assert bool(dist.constraints.sphere.check(x).all())
        cosine = (x.double() * mu.double()).sum(-1)
        if kappa == 1e5 and dim <= 50:
            assert cosine.min().item() > 0.99


@pytest.mark.parametrize("name", LAWS)
def test_mean_and_covariance_of_draws(name: str) -> None:
    """Each coordinate's mean and variance within 4.5 standard errors, 40,000 draws."""
    torch.manual_seed(1)
    law = LAWS[name](unit(4, seed=5), 3.0)
    x = law.sample((40_000,))
    error = x.std(0) / math.sqrt(len(x))
    assert bool(((x.mean(0) - law.mean).abs() < 4.5 * error).all())
    squares = (x - law.mean).square()
    assert bool(((squares.mean(0) - law.variance).abs() < 4.5 * squares.std(0) / math.sqrt(len(x))).all())


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", [2, 3, 50, 10_000])
def test_draws_of_very_concentrated_laws(name: str, dim: int) -> None:
    """At kappa = 1e8, precision times theta^2 is chi-square with d - 1 degrees; Kolmogorov-Smirnov at level 1e-4."""
    torch.manual_seed(dim)
    law = LAWS[name](unit(dim), 1e8)
    precision = 1e8 if name == "vmf" else 5e7
    theta = angle(*law.angle.draw(torch.full((500,), 1e8, dtype=torch.float64), torch.Size([500])))
    assert stats.kstest(precision * theta.square().numpy(), stats.chi2(dim - 1).cdf).pvalue > LEVEL
    x = law.sample((500,))
    square = (x - law.direction).square().sum(-1)
    assert stats.kstest(precision * square.numpy(), stats.chi2(dim - 1).cdf).pvalue > LEVEL


def test_unchecked_nan_gives_nan_and_an_empty_batch_nothing() -> None:
    """No endless loop in the rejection."""
    for law in LAWS.values():
        x = law(unit(4), torch.tensor([1.0, math.nan], dtype=torch.float64), validate_args=False).sample()
        assert bool(x[0].isfinite().all()) and bool(x[1].isnan().any())
        assert law(unit(0, 4), 1.0).sample((3,)).shape == (3, 0, 4)


# divergences


def test_divergence_between_von_mises_fisher_laws() -> None:
    """Against quadrature on the sphere of R^3, 0 on itself, and its curvature against the Fisher information."""
    p, q = VonMisesFisher(unit(3), 4.0), VonMisesFisher(unit(3, seed=1), 2.5)
    heights, weights = np.polynomial.legendre.leggauss(60)
    turns = torch.arange(120, dtype=torch.float64) * (2 * math.pi / 120)
    h = torch.from_numpy(heights)[:, None]
    x = torch.stack([(1 - h**2).sqrt() * turns.cos(), (1 - h**2).sqrt() * turns.sin(), h.expand(60, 120)], -1)
    log_p, log_q = p.log_prob(x), q.log_prob(x)
    truth = (torch.from_numpy(weights)[:, None] * (2 * math.pi / 120) * log_p.exp() * (log_p - log_q)).sum().item()
    assert kl_divergence(p, q).item() == pytest.approx(truth, rel=1e-10)
    assert kl_divergence(p, p).item() == 0.0
    assert abs(kl_divergence(q, p).item() - truth) > 0.1


@pytest.mark.parametrize("dim", [2, 3, 50])
def test_divergences_from_and_to_the_uniform_law(dim: int) -> None:
    uniform = SphericalUniform(dim, dtype=torch.float64)
    zero, kappa = VonMisesFisher(unit(dim), 0.0), torch.tensor([0.0, 1e-3, 0.9999999, 1.0, 50.0], dtype=torch.float64)
    p = VonMisesFisher(unit(dim), kappa)
    assert torch.allclose(kl_divergence(p, uniform), kl_divergence(p, zero), rtol=1e-7, atol=1e-15)
    assert torch.allclose(kl_divergence(uniform, p), kl_divergence(zero, p), rtol=1e-7, atol=1e-12)
    assert torch.allclose(kl_divergence(uniform, p), log_hyp0f1(dim, kappa))
    assert kl_divergence(p, uniform)[1].item() == pytest.approx(1e-6 / (2 * dim), rel=1e-5)
    assert torch.allclose(kl_divergence(p, uniform), log_sphere_area(dim) - p.entropy(), atol=1e-11)
    s = PowerSpherical(unit(dim), kappa)
    assert torch.allclose(kl_divergence(s, uniform), log_sphere_area(dim) - s.entropy(), atol=1e-11)
    assert kl_divergence(uniform, uniform).item() == 0.0


def product_rule(dim: int) -> tuple[Tensor, Tensor]:
    """Points of the sphere and weights, for functions of two coordinates: angles to e_1, and around it to e_2."""
    nodes, weights = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(120))
    theta, first = (nodes + 1) * math.pi / 2, weights * math.pi / 2
    x = torch.zeros(120, 120, dim, dtype=torch.float64)
    x[..., 0] = theta.cos()[:, None]
    if dim == 2:
        x[..., 1] = theta.sin()[:, None] * torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(60)
        return x, (first[:, None] / 60).expand(120, 120)
    x[..., 1] = theta.sin()[:, None] * theta.cos()
    x[..., 2] = theta.sin()[:, None] * theta.sin()
    belt = math.exp(log_sphere_area(dim - 2)) if dim > 3 else 2.0
    weight = belt * (first * theta.sin() ** (dim - 2))[:, None] * first * theta.sin() ** (dim - 3)
    return x, weight


@pytest.mark.parametrize("dim", [2, 3, 4, 7])
def test_every_registered_divergence_by_quadrature(dim: int) -> None:
    """Laws in different directions of the plane of e_1 and e_2, at small and at larger concentrations."""
    x, weight = product_rule(dim)
    assert weight.sum().item() == pytest.approx(math.exp(log_sphere_area(dim)), rel=1e-8)

    def turned(angle: float) -> Tensor:
        mu = torch.zeros(dim, dtype=torch.float64)
        mu[0], mu[1] = math.cos(angle), math.sin(angle)
        return mu

    uniform = SphericalUniform(dim, dtype=torch.float64)
    for kappa, other in ((2.0, 5.0), (6.0, 0.5), (3.0, 0.0)):
        vmf, vmf2 = VonMisesFisher(turned(0.4), kappa), VonMisesFisher(turned(1.7), other)
        power, power2 = PowerSpherical(turned(0.4), kappa), PowerSpherical(turned(1.7), other)
        for p, q in (
            (vmf, vmf2),
            (power, vmf2),
            (vmf, uniform),
            (power, uniform),
            (uniform, vmf2),
            (uniform, uniform),
        ):
            log_p, log_q = p.log_prob(x), q.log_prob(x)
            truth = (weight * log_p.exp() * (log_p - log_q)).sum().item()
            exact = not isinstance(p, PowerSpherical)  # whose density is singular at its antipode, or nearly so
            assert kl_divergence(p, q).item() == pytest.approx(truth, rel=1e-7 if exact else 1e-4, abs=1e-9)
        still = about_first_axis("power", dim, other)  # the logarithm is singular at the end of the rule
        _, log_q, mass = angle_rule(still, dim)
        truth = -(mass / log_q.exp() * math.exp(-log_sphere_area(dim))) @ (log_q + log_sphere_area(dim))
        assert kl_divergence(uniform, power2).item() == pytest.approx(truth.item(), rel=1e-6, abs=1e-9)
        with pytest.raises(NotImplementedError):
            kl_divergence(vmf, power2)


def test_divergences_have_the_joint_batch_shape() -> None:
    """And gradients, in all parameters, those of finite differences."""
    mu, nu = unit(3, seed=1), unit(5, 3, seed=2)
    kappa, other = torch.tensor([[0.5], [4.0]], dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    for law in (VonMisesFisher, PowerSpherical):
        assert kl_divergence(law(mu, kappa), VonMisesFisher(nu, other)).shape == (2, 5)
        assert kl_divergence(law(mu, other).expand((4,)), SphericalUniform(3)).shape == (4,)
        assert kl_divergence(SphericalUniform(3).expand((4,)), law(mu, other)).shape == (4,)

        def divergence(a: Tensor, b: Tensor, k: Tensor, l: Tensor, law: Any = law) -> Tensor:
            p = law(a / a.norm(dim=-1, keepdim=True), k, validate_args=False)
            return kl_divergence(p, VonMisesFisher(b / b.norm(dim=-1, keepdim=True), l, validate_args=False))

        leaves = tuple(t.clone().requires_grad_() for t in (mu, nu, kappa, other))
        assert torch.autograd.gradcheck(divergence, leaves)


def test_divergence_of_laws_on_different_spheres_is_refused() -> None:
    with pytest.raises(ValueError, match="expected two laws on one sphere, got dimensions 3 and 4, because .*; try"):
        kl_divergence(VonMisesFisher(unit(3), 1.0), VonMisesFisher(unit(4), 1.0))
    with pytest.raises(ValueError, match="expected two laws on one sphere"):
        kl_divergence(PowerSpherical(unit(3), 1.0), SphericalUniform(4))


# natural parameters, values, batches


def test_natural_parameters() -> None:
    eta = (3 * unit(5, 4)).requires_grad_()
    with torch.no_grad():
        eta[0], eta[1] = 0.0, 1e-30 * eta[1]
    law, x = VonMisesFisher.from_natural(eta), unit(5, 4, seed=8)
    again = VonMisesFisher(law.direction, law.concentration)
    assert torch.allclose(law.log_prob(x), again.log_prob(x), atol=1e-13)
    assert torch.equal(law.natural, eta) and torch.allclose(again.natural, eta)
    assert torch.allclose(law.concentration, eta.norm(dim=-1)) and torch.equal(
        law.direction[0], torch.eye(4)[0].double()
    )
    (score,) = torch.autograd.grad(law.log_prob(x).sum(), eta, retain_graph=True)
    assert torch.allclose(score, x - law.mean, atol=1e-12)  # the score of an exponential family, at eta = 0 as well
    (slope,) = torch.autograd.grad(law.rsample((3,)).sum(), eta)
    assert bool(slope[2:].isfinite().all()) and bool((slope[0] == 0).all())
    assert torch.allclose(law.expand((2, 5)).log_prob(x), law.log_prob(x).expand(2, 5))


@pytest.mark.parametrize("law", [VonMisesFisher(unit(3), 2.0), PowerSpherical(unit(3), 2.0), SphericalUniform(3)])
def test_laws_travel(law: Any) -> None:
    again = pickle.loads(pickle.dumps(law))
    x = unit(4, 3)
    assert torch.equal(again.log_prob(x), law.log_prob(x))


def test_log_prob_under_vmap_and_twice_differentiated() -> None:
    x, mu = unit(6, 5), unit(6, 5, seed=1)
    kappa = torch.linspace(0, 20, 6, dtype=torch.float64)
    for law in LAWS.values():

        def log_prob(m: Tensor, k: Tensor, v: Tensor, law: Any = law) -> Tensor:
            return law(m, k, validate_args=False).log_prob(v)

        assert torch.allclose(torch.func.vmap(log_prob)(mu, kappa, x), log_prob(mu, kappa, x), rtol=1e-13)
        second = torch.func.vmap(torch.func.grad(torch.func.grad(log_prob, 1), 1))(mu, kappa, x)
        if law is VonMisesFisher:
            ratio = bessel_ratio(5, kappa[1:])
            assert torch.allclose(second[1:], -(1 - ratio**2 - 4 * ratio / kappa[1:]), rtol=1e-10)
            assert second[0].item() == pytest.approx(-1 / 5)
        assert bool((second < 0).all())


REFUSED: dict[str, tuple[Any, type[Exception]]] = {
    "a list as direction": (lambda law: law([1.0, 0.0], 1.0), TypeError),
    "an integer direction": (lambda law: law(torch.tensor([1, 0]), 1.0), TypeError),
    "a text as concentration": (lambda law: law(unit(3), "1"), TypeError),
    "a scalar direction": (lambda law: law(torch.tensor(1.0), 1.0), ValueError),
    "the sphere of R^1": (lambda law: law(torch.ones(1), 1.0), ValueError),
    "a long direction": (lambda law: law(2 * unit(3), 1.0), ValueError),
    "nan in the direction": (lambda law: law(unit(3) * math.nan, 1.0), ValueError),
    "a negative concentration": (lambda law: law(unit(3), -1.0), ValueError),
    "an infinite concentration": (lambda law: law(unit(3), math.inf), ValueError),
    "nan as concentration": (lambda law: law(unit(3), math.nan), ValueError),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("name", LAWS)
def test_bad_input_is_refused(name: str, case: str) -> None:
    make, error = REFUSED[case]
    with pytest.raises(error, match="(?s)expected .*, got .*, because .*; try .*"):
        make(LAWS[name])


def test_more_bad_input() -> None:
    for eta, error in (
        (3.0, TypeError),
        (torch.tensor([1, 2]), TypeError),
        (torch.tensor([math.inf, 0.0]), ValueError),
    ):
        with pytest.raises(error, match="(?s)expected .*eta.*, got .*, because .*; try .*"):
            VonMisesFisher.from_natural(eta)
    with pytest.raises(ValueError, match="expected dim >= 2, got 1, because .*; try"):
        SphericalUniform(1)
    with pytest.raises(ValueError, match="within the support"):
        VonMisesFisher(unit(3), 1.0).log_prob(2 * unit(3))
    with pytest.raises(ValueError, match="within the support"):
        SphericalUniform(3).log_prob(torch.zeros(3))
    assert VonMisesFisher(2 * unit(3), 1.0, validate_args=False).batch_shape == ()
