"""Proved guarantees, checked by fitting: the optimum has the statistic that the theorem promises, before any fit."""

import math
from dataclasses import replace

import pytest
import torch
from scipy import special

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import Divergence, ForwardKL, ReverseKL
from pyro_symvi.families import LocationScale
from pyro_symvi.groups import CoordinatePermutation, PointReflection
from pyro_symvi.recovery import Verdict, advise, analyze
from pyro_symvi.recovery.theorems import Guarantee, Setting, guarantees
from pyro_symvi.recovery.theorems.advise import given_symmetry
from pyro_symvi.recovery.theorems.facts_from_analysis import target_of
from tests.divergences.quadrature import minimize, moving, plane, trapezoid
from tests.recovery.targets import log_gamma_moments, mixture
from tests.recovery.theorems.settings import YES, target, verdict


def proved(function, family: LocationScale, divergence: Divergence) -> list[Guarantee]:
    """What is proved a priori, from the analysis of the density alone."""
    facts = target_of(analyze(LogDensity.from_callable(function, family.dim)))
    return [g for g in guarantees(Setting(facts, family, divergence)) if g.verdict is Verdict.PROVED]


def means(found: list[Guarantee]) -> set[int]:
    return {i for g in found if g.statistic == "mean" for (i,) in g.items}


def fitted(function, family: LocationScale, divergence: Divergence, **options):
    density = LogDensity.from_callable(function, family.dim)
    generator = torch.Generator().manual_seed(1)
    return symvi.fit(density, family, divergence=divergence, generator=generator, **options)


def ridge(z: torch.Tensor) -> torch.Tensor:
    """Even about (1, 0), strictly log-concave, neither elliptical nor a product."""
    u = 2 * (z[..., 0] - 1 - z[..., 1])
    return -((z[..., 0] - 1) ** 2) - torch.log1p(u.exp()) - torch.log1p((-u).exp()) - z[..., 1] ** 2


@pytest.mark.parametrize(
    ("base", "scale"), [("normal", "full"), ("laplace", "diagonal"), ("logistic", "diagonal")], ids=lambda x: x
)
def test_an_even_log_concave_target_under_reverse_kl(base: str, scale: str) -> None:
    family = LocationScale(2, base, scale)
    analysis = analyze(LogDensity.from_callable(ridge, 2))
    even = given_symmetry(PointReflection([1.0, 0.0]), analysis)
    told = guarantees(Setting(replace(target_of(analysis), symmetries=(even,)), family, ReverseKL()))
    assert means([g for g in told if g.verdict is Verdict.PROVED]) == {0, 1}
    fit = fitted(ridge, family, ReverseKL())
    assert fit.parameters["loc"].tolist() == pytest.approx([1.0, 0.0], abs=1e-6)


def test_two_modes_under_forward_kl_with_a_student_guide() -> None:
    two = mixture([0.5, 0.5], [[-2.0, 1.0], [2.0, -1.0]], [1.0, 1.0])
    family = LocationScale(2, "student_t", "full", df=4.0)
    even = target(PointReflection(), 2, second_moment=YES)
    assert verdict(Setting(even, family, ForwardKL()), "mean", (0,)) is Verdict.PROVED
    fit = fitted(two, family, ForwardKL(), num_particles=2048)
    assert fit.parameters["loc"].abs().max() < 1e-6
    assert not means(proved(two, LocationScale(2), ReverseKL()))


def test_the_slope_of_a_regression_inside_a_skewed_law() -> None:
    """y log-gamma, x | y normal about 0.5 - 0.7 y: intercept and slope by reverse KL, the mean of y not."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        x, y = z[..., 0], z[..., 1]
        return -((x - 0.5 + 0.75 * y) ** 2) + 2 * y - y.exp()

    family = LocationScale(2)
    (slope,) = [g for g in proved(log_p, family, ReverseKL()) if g.statistic == "slope"]
    assert slope.items == (((0,), (1,)),)
    base = plane(trapezoid(-9.0, 9.0, 91), trapezoid(-9.0, 9.0, 91))

    def loss(v: torch.Tensor) -> torch.Tensor:
        rows = [torch.stack([v[2].exp(), 0 * v[3]]), torch.stack([v[3], v[4].exp()])]
        return moving(ReverseKL(), family, log_p, base, {"loc": v[:2], "scale": torch.stack(rows)})

    v, _ = minimize(loss, [0.0, 0.5, 0.0, -0.3, -0.5])
    root = torch.tensor([[math.exp(v[2]), 0.0], [v[3], math.exp(v[4])]], dtype=torch.float64)
    scatter = root @ root.mT
    assert float(scatter[0, 1] / scatter[1, 1]) == pytest.approx(-0.75, abs=1e-9)
    assert v[0] == pytest.approx(0.5 - 0.75 * v[1], abs=1e-9)
    assert abs(v[1] - log_gamma_moments(2.0)[0]) > 1e-2


def test_even_coordinates_of_a_funnel_under_a_mean_field_guide() -> None:
    def funnel(z: torch.Tensor) -> torch.Tensor:
        return -0.5 * z[..., 0] ** 2 - 0.5 * (z[..., 1] - 2) ** 2 * (-z[..., 0]).exp() - 0.5 * z[..., 0]

    family = LocationScale(2, scale="diagonal")
    assert means(proved(funnel, family, ReverseKL())) == {1}
    fit = fitted(funnel, family, ReverseKL())
    assert float(fit.parameters["loc"][1]) == pytest.approx(2.0, abs=1e-6)


def test_contrasts_of_exchangeable_coordinates() -> None:
    def log_p(z: torch.Tensor) -> torch.Tensor:
        return (z - z.exp()).sum(-1) - 0.5 * z.sum(-1) ** 2

    family = LocationScale(3, scale="diagonal")
    (contrast,) = [g for g in proved(log_p, family, ReverseKL()) if g.statistic == "contrasts"]
    assert contrast.items == ((0, 1, 2),)
    fit = fitted(log_p, family, ReverseKL(), symmetry=CoordinatePermutation(3))
    loc = fit.parameters["loc"]
    assert float(loc.max() - loc.min()) < 1e-6


def test_the_correlation_of_an_elliptical_target() -> None:
    """exp(-sqrt(1 + Q)), reverse KL, a full normal guide: S is a multiple of M, by quadrature."""
    precision = torch.tensor([[2.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    family = LocationScale(2)
    base = plane(trapezoid(-9.0, 9.0, 91), trapezoid(-9.0, 9.0, 91))

    def log_p(z: torch.Tensor) -> torch.Tensor:
        return -4 * (1 + torch.einsum("...i,ij,...j->...", z, precision, z)).sqrt()

    def loss(v: torch.Tensor) -> torch.Tensor:
        rows = [torch.stack([v[2].exp(), 0 * v[3]]), torch.stack([v[3], v[4].exp()])]
        return moving(ReverseKL(), family, log_p, base, {"loc": v[:2], "scale": torch.stack(rows)})

    v, _ = minimize(loss, [0.2, -0.2, -1.0, 0.1, -1.0])
    root = torch.tensor([[math.exp(v[2]), 0.0], [v[3], math.exp(v[4])]], dtype=torch.float64)
    scatter, shape = root @ root.mT, torch.linalg.inv(precision)
    torch.testing.assert_close(scatter / scatter[0, 0], shape / shape[0, 0], atol=1e-8, rtol=0)
    assert v[:2] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_moments_of_a_skewed_target_under_forward_kl() -> None:
    """Log-gamma: no symmetry at all; mean and variance to the sampling error of the weights."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        return (2 * z - z.exp()).sum(-1)

    family = LocationScale(1, scale="diagonal")
    assert means(proved(log_p, family, ForwardKL())) == {0}
    fit = fitted(log_p, family, ForwardKL(), num_particles=4096)
    mean, sd = log_gamma_moments(2.0)
    assert mean == pytest.approx(float(special.digamma(2.0)))
    assert float(fit.parameters["loc"][0]) == pytest.approx(mean, abs=4 * sd / math.sqrt(4096) + 1e-3)
    assert not proved(log_p, family, ReverseKL())


def test_advice_is_followed() -> None:
    """The advised fit of a regression with a scale has the means of least squares."""
    x = torch.linspace(-1.0, 1.0, 10, dtype=torch.float64)
    y = x.square()

    def log_p(z: torch.Tensor) -> torch.Tensor:
        rss = (y - z[..., 0, None] - x * z[..., 1, None]).square().sum(-1)
        return -10 * z[..., 2] - 0.5 * rss * (-2 * z[..., 2]).exp() - 0.5 * z[..., 2] ** 2

    best = advise(LogDensity.from_callable(log_p, 3)).best
    assert best is not None and best.exact("mean") == 3
    fit = fitted(log_p, best.family, best.divergence, num_particles=2048)
    assert fit.parameters["loc"][:2].tolist() == pytest.approx([float(y.mean()), 0.0], abs=1e-6)
