"""Laws, families, special functions and divergences on a GPU: the numbers of the CPU, draws on the device."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyro_symvi import special
from pyro_symvi.distributions import (
    OrbitMixtureLaw,
    PowerSpherical,
    SphericalUniform,
    VonMisesFisher,
    VonMisesFisherPair,
)
from pyro_symvi.divergences import (
    Alpha,
    ChiSquare,
    Divergence,
    FDivergence,
    ForwardKL,
    GaussianPair,
    Hellinger,
    Jeffreys,
    ReverseKL,
    TailAdaptive,
    estimators,
    weights,
)
from pyro_symvi.divergences.generators import jensen_shannon
from pyro_symvi.families import (
    BlockDiagonal,
    Fixed,
    LearnedDf,
    LocationScale,
    PowerSphericalFamily,
    Tied,
    VonMisesFisherFamily,
)
from pyro_symvi.groups import CoordinatePermutation, GeneralizedInverseGaussian, PointReflection
from tests.devices.device import normal, required, same, there

DEVICE = required()
FAMILIES = [
    *(LocationScale(4, "normal", scale) for scale in ("isotropic", "diagonal", "full", "low_rank")),
    *(LocationScale(4, base, "full") for base in ("cauchy", "laplace", "logistic", "uniform_ball")),
    LocationScale(4, "student_t", "diagonal", 5.0),
    LocationScale(4, "student_t", "full", LearnedDf()),
    LocationScale(4, "normal", Tied(CoordinatePermutation(4, blocks=[[0], [2], [3]]))),
    LocationScale(4, "normal", BlockDiagonal([[0, 2], [1, 3]])),
    LocationScale(4, "normal", Fixed([0.5, 2.0, 1.0, 0.3])),
]
DIVERGENCES: list[Divergence] = [
    ReverseKL(), ForwardKL(), Alpha(-0.5), Alpha(0.3), ChiSquare(), ChiSquare(reverse=True), Hellinger(), Jeffreys(),
]  # fmt: skip
SPHERES = {
    "von Mises-Fisher": lambda m, k: VonMisesFisher(m, k),
    "power spherical": lambda m, k: PowerSpherical(m, k),
}


def unit(*shape: int, seed: int = 0) -> Tensor:
    x = normal(*shape, seed=seed)
    return x / x.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_location_scale_families(family: LocationScale) -> None:
    loc = normal(4, seed=1)
    scale = family.scale_from_vector(0.5 * normal(family.scale_size, seed=2))
    here = {**family.initial(1.0, loc), "loc": loc, "scale": scale}
    away = there(here)
    made = family.initial(1.0, away["loc"])
    assert all(part.device == DEVICE for part in made.values())
    if family.scale_size:
        same(family.scale_from_vector(there(0.5 * normal(family.scale_size, seed=2))), scale)
    noise = 0.3 * normal(6, 4, seed=3)
    z = loc + family.apply(scale, noise)
    same(away["loc"] + family.apply(away["scale"], there(noise)), z)
    same(family.matrix(away["scale"]), family.matrix(scale))
    same(family.log_prob(there(z), away), family.log_prob(z, here))
    same(family.standardize(there(z), away), family.standardize(z, here))
    law, other = family.distribution(away), family.distribution(here)
    same(law.log_prob(there(z)), other.log_prob(z))
    drawn = law.rsample((2000,))
    assert drawn.device == DEVICE and drawn.dtype == torch.float64
    middle = drawn.median(0).values.cpu()
    spread = (torch.quantile(drawn, 0.75, dim=0) - torch.quantile(drawn, 0.25, dim=0)).cpu()
    assert bool(((middle - loc).abs() < 6 * 1.2533 / 2000**0.5 * spread).all())  # a median's error, 6 of them
    if family.law.has_mean or family.law.full_support:
        levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
        same(family.quantiles(there(levels), away), family.quantiles(levels, here), 1e-6)
    action = PointReflection(0.0).bind(4)
    g = action.group.elements()[1]
    for name, part in family.push_forward(here, action, g).items():
        same(family.push_forward(away, action, there(g))[name], part)


@pytest.mark.parametrize("dim", [2, 3, 5, 40])
@pytest.mark.parametrize("kind", list(SPHERES))
def test_laws_on_the_sphere(kind: str, dim: int) -> None:
    mean, x = unit(dim, seed=1), unit(7, dim, seed=2)
    kappa = torch.tensor([0.0, 0.5, 3.0, 20.0, 500.0, 1e4, 2.0], dtype=torch.float64)

    def value_and_gradients(m: Tensor, k: Tensor, at: Tensor) -> tuple[Tensor, ...]:
        m, k = m.clone().requires_grad_(), k.clone().requires_grad_()
        value = SPHERES[kind](m, k).log_prob(at)
        return value.detach(), *torch.autograd.grad(value.sum(), (m, k))

    same(value_and_gradients(there(mean), there(kappa), there(x)), value_and_gradients(mean, kappa, x))
    law, here = SPHERES[kind](there(mean), there(kappa)), SPHERES[kind](mean, kappa)
    same(law.mean, here.mean)
    same(law.entropy(), here.entropy())
    leaf = there(kappa).clone().requires_grad_()
    drawn = SPHERES[kind](there(mean), leaf).rsample((4000,))
    assert drawn.device == DEVICE and bool(((drawn.norm(dim=-1) - 1).abs() < 1e-9).all())
    along = (drawn * there(mean)).sum(-1)
    error = along.std(0) / 4000**0.5
    expected = (here.mean * mean).sum(-1)
    assert bool(((along.mean(0).cpu() - expected).abs() < 6 * error.cpu() + 1e-12).all())
    (slope,) = torch.autograd.grad(along.sum(), leaf)
    assert slope.device == DEVICE and bool((slope[1:].cpu() > 0).all())  # more concentrated, closer to the mean
    uniform = SphericalUniform(dim, dtype=torch.float64, device=DEVICE)
    assert uniform.sample().device == DEVICE
    divergence = torch.distributions.kl_divergence
    same(divergence(law, uniform), divergence(here, SphericalUniform(dim, dtype=torch.float64)))


def test_sphere_families_and_pairs() -> None:
    kappa = torch.tensor(3.0, dtype=torch.float64)
    for family in (VonMisesFisherFamily(3), PowerSphericalFamily(3)):
        here = dict(zip(family.parameter_names, (unit(3, seed=4), kappa), strict=True))
        x, levels = unit(5, 3, seed=5), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
        same(family.log_prob(there(x), there(here)), family.log_prob(x, here))
        same(family.cap_angles(there(levels), there(here)), family.cap_angles(levels, here))
        assert family.distribution(there(here)).sample((3,)).device == DEVICE
        modes = family.at_mode(there(unit(3)), there(kappa))
        for name, part in family.at_mode(unit(3), kappa).items():
            same(modes[name], part)
    two = [VonMisesFisher(unit(3), kappa), VonMisesFisher(unit(3, seed=1), 2 * kappa)]
    away = [VonMisesFisher(there(unit(3)), there(kappa)), VonMisesFisher(there(unit(3, seed=1)), 2 * there(kappa))]
    for divergence in (ReverseKL(), ForwardKL(), Alpha(0.5)):
        same(divergence.exact(VonMisesFisherPair(*away)), divergence.exact(VonMisesFisherPair(*two)))


def test_orbit_mixtures_and_orbit_laws() -> None:
    action = CoordinatePermutation(3)
    root = torch.eye(3, dtype=torch.float64) + 0.3 * normal(3, 3, seed=1).tril(-1)

    def mixture(move: Any) -> OrbitMixtureLaw:
        law = dist.MultivariateNormal(move(normal(3)), scale_tril=move(root))
        return OrbitMixtureLaw(law, action, move(action.group.elements(dtype=torch.float64)))

    x = normal(6, 3, seed=2)
    here, away = mixture(lambda part: part), mixture(there)
    same(away.log_prob(there(x)), here.log_prob(x))
    same((away.mean, away.variance), (here.mean, here.variance))
    assert away.rsample((5,)).device == DEVICE
    a, b = normal(4).exp(), normal(4, seed=1).exp()
    p = normal(4, seed=2)
    at = normal(4, seed=3).exp()
    one, other = GeneralizedInverseGaussian(p, a, b), GeneralizedInverseGaussian(there(p), there(a), there(b))
    same(other.log_prob(there(at)), one.log_prob(at))
    assert other.sample((3,)).device == DEVICE


def test_special_functions() -> None:
    kappa = torch.tensor([0.0, 1e-6, 0.3, 2.0, 30.0, 1e3, 1e6], dtype=torch.float64)
    for dim in (2, 3, 4, 50):
        same(special.bessel_ratio(dim, there(kappa)), special.bessel_ratio(dim, kappa))
        same(special.log_vmf_normalizer(dim, there(kappa)), special.log_vmf_normalizer(dim, kappa))
        r = torch.tensor([0.0, 0.1, 0.5, 0.99], dtype=torch.float64)
        same(special.inverse_bessel_ratio(dim, there(r)), special.inverse_bessel_ratio(dim, r), 1e-8)


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)
def test_divergences(divergence: Divergence) -> None:
    log_weights, log_guide = normal(12, 3, seed=1), normal(12, 3, seed=2)
    for name in ("objective", "value", "escort_weights"):
        try:
            expected = getattr(divergence, name)(log_weights)
        except (NotImplementedError, TypeError, ValueError):
            continue
        same(getattr(divergence, name)(there(log_weights)), expected)
    leaf, away = log_guide.clone().requires_grad_(), there(log_guide).requires_grad_()
    for form in divergence.gradient_forms:
        if form in ("weighted", "score"):
            (a,) = torch.autograd.grad(divergence.score_surrogate(log_weights, leaf).sum(), leaf)
            (b,) = torch.autograd.grad(divergence.score_surrogate(there(log_weights), away).sum(), away)
            same(b, a)
    root = torch.eye(3, dtype=torch.float64) + 0.2 * normal(3, 3).tril(-1)
    parts = (normal(3), root @ root.mT, normal(3, seed=1), torch.eye(3, dtype=torch.float64))
    same(divergence.exact(GaussianPair(*there(parts))), divergence.exact(GaussianPair(*parts)))


def test_weights_and_other_estimators() -> None:
    log_weights = normal(400, seed=1)
    away = there(log_weights)
    assert weights.effective_sample_size(away).device == DEVICE
    same(weights.effective_sample_size(away), weights.effective_sample_size(log_weights))
    assert float(weights.pareto_k(away)) == pytest.approx(float(weights.pareto_k(log_weights)), rel=1e-9)
    same(weights.truncate(away), weights.truncate(log_weights))
    same(weights.pareto_smooth(away), weights.pareto_smooth(log_weights))
    jensen = FDivergence(jensen_shannon, 0.0)
    same(jensen.objective(away), jensen.objective(log_weights))
    same(TailAdaptive().path_surrogate(away), TailAdaptive().path_surrogate(log_weights))
    same(estimators.importance_weighted_bound(away), estimators.importance_weighted_bound(log_weights))
    values = normal(400, seed=2)
    same(list(estimators.expectation(there(values), away)), list(estimators.expectation(values, log_weights)))
