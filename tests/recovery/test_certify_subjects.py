"""What can be certified, and refusals with their reasons."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO, autoguide
from pyro.infer.reparam import LocScaleReparam

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.distributions import GeneralizedNormal, Laplace
from pyro_symvi.divergences import Alpha, ForwardKL
from pyro_symvi.families import BlockDiagonal, Fixed, LearnedDf, LocationScale, LowRank, Tied
from pyro_symvi.groups import AxisFlips, CoordinatePermutation, PointReflection
from pyro_symvi.guides import AutoLocationScale, AutoSymmetric, OrbitMixture
from pyro_symvi.recovery import Verdict, certify
from pyro_symvi.recovery.report.plot import _marginal_density
from tests.recovery.targets import normal, student_t, vector

X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([1.0, -2.0]) + torch.randn(40, generator=torch.Generator().manual_seed(1))
PRECISION = (torch.eye(2) + X.T @ X).double()
MEAN = torch.linalg.solve(PRECISION, (X.T @ Y).double())
SD = torch.linalg.inv(PRECISION).diagonal().sqrt()


def model(x: torch.Tensor, y: torch.Tensor) -> None:
    beta = pyro.sample("beta", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    pyro.sample("y", dist.Normal(x @ beta, 1.0).to_event(1), obs=y)


def low_rank(target) -> autoguide.AutoGuide:
    return autoguide.AutoLowRankMultivariateNormal(target, rank=1)


GUIDES = [
    autoguide.AutoNormal,
    autoguide.AutoDiagonalNormal,
    autoguide.AutoMultivariateNormal,
    low_rank,
    AutoLocationScale,
]


@pytest.mark.parametrize("make", GUIDES)
def test_guides_fitted_by_svi(make) -> None:
    """Stochastic fits are near, not exact: bounded by their gap, and the centre is the posterior mean."""
    pyro.set_rng_seed(0)
    guide = make(model)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.03}), Trace_ELBO())
    for _ in range(150):
        svi.step(X, Y)
    certificate = certify(guide, X, Y)
    report = certificate["mean"]
    torch.testing.assert_close(report.exact, MEAN, rtol=0, atol=1e-5)
    for value, mean, sd, entry in zip(report.values, MEAN, SD, report.entries, strict=True):
        assert entry.verdict in (Verdict.BOUNDED, Verdict.REFUTED)
        if entry.verdict is Verdict.BOUNDED:
            assert abs(float(value - mean) / float(sd)) <= entry.bound + 1e-5


def test_a_laplace_approximation_turned_normal() -> None:
    pyro.set_rng_seed(0)
    guide = autoguide.AutoLaplaceApproximation(model)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
    for _ in range(200):
        svi.step(X, Y)
    certificate = certify(guide.laplace_approximation(X, Y), X, Y)
    assert all(verdict >= Verdict.BOUNDED for verdict in certificate["mean"].verdicts)


def test_a_fit_and_its_guide_agree() -> None:
    guide = AutoLocationScale(model)
    fit = symvi.fit(model, guide, X, Y)
    direct, through = certify(fit), certify(guide, X, Y)
    assert direct["mean"].verdicts == [Verdict.PROVED, Verdict.PROVED]
    torch.testing.assert_close(direct["mean"].values, through["mean"].values, rtol=0, atol=1e-6)


def test_a_family_with_a_density() -> None:
    density = LogDensity.from_callable(normal, 2)
    parameters = {"loc": vector(0, 0), "scale": vector(1.0, 1.0)}
    certificate = certify(LocationScale(2, scale="diagonal"), density, parameters=parameters)
    assert certificate["mean"].verdict is Verdict.PROVED
    assert certificate.subject.name == "normal location-scale, diagonal scale"


def test_a_guide_without_a_mean_has_a_centre() -> None:
    density = LogDensity.from_callable(normal, 1)
    family = LocationScale(1, base="student_t", df=0.8)
    certificate = certify(family, density, parameters={"loc": vector(0), "scale": torch.ones(1, 1)})
    assert certificate["mean"].entries[0].label == "centre of symmetry of z[0]"
    assert any("no mean" in note for note in certificate.notes)


def test_a_reparametrised_model() -> None:
    def schools() -> None:
        mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
        with pyro.plate("schools", 3):
            theta = pyro.sample("theta", dist.Normal(mu, 1.0))
        pyro.sample("y", dist.Normal(theta, 1.0).to_event(1), obs=torch.tensor([1.0, 2.0, 3.0]))

    target = pyro.poutine.reparam(schools, config={"theta": LocScaleReparam(0.0)})
    certificate = certify(symvi.fit(target, AutoLocationScale(target)))
    assert set(certificate["mean"].verdicts) == {Verdict.PROVED}


@pytest.mark.filterwarnings("ignore:the density is evaluated point by point")
def test_a_model_that_runs_in_a_loop() -> None:
    """N(0, 1) and one datum at 1: a function without Pyro's handlers, since each point is a run of it."""

    def branching(z: torch.Tensor) -> torch.Tensor:
        if math.isnan(float(z.detach()[0])):
            z = 0 * z
        return -0.5 * z[0] ** 2 - 0.5 * (1 - z[0]) ** 2

    fit = symvi.fit(LogDensity.from_callable(branching, 1), LocationScale(1), num_particles=16)
    certificate = certify(fit, num_points=384, num_draws=512)
    assert certificate["mean"].verdicts == [Verdict.VERIFIED]
    assert float(certificate["mean"].values[0]) == pytest.approx(0.5, abs=1e-9)
    assert any("evaluated in a loop" in note for note in certificate.notes)


def family_at(*arguments, **options):
    return certify(LocationScale(2), *arguments, **options)


DENSITY = LogDensity.from_callable(normal, 2)
HERE = {"loc": torch.zeros(2), "scale": torch.eye(2)}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: certify(print), TypeError, "expected a Fit, a guide or a family, got builtin_function"),
        (lambda: family_at(), TypeError, "a family alone has neither a target nor parameters"),
        (lambda: family_at(DENSITY), TypeError, "expected certify.family, density, parameters"),
        (
            lambda: family_at(DENSITY, parameters=HERE, statistics=("variance",)),
            ValueError,
            "expected statistics among",
        ),
        (lambda: family_at(DENSITY, parameters=HERE, statistics=()), ValueError, "expected statistics among"),
        (
            lambda: family_at(DENSITY, parameters=HERE, symmetry="even"),
            TypeError,
            "expected symmetry as PointReflection",
        ),
        (
            lambda: family_at(DENSITY, parameters=HERE, symmetry=CoordinatePermutation(2, [(0,), (1,)])),
            TypeError,
            "theorems for these three .* try .*find_symmetries.*prove_invariance.*OrbitMixture",
        ),
        (lambda: family_at(DENSITY, parameters=HERE, divergence="kl"), TypeError, "expected a divergence"),
        (lambda: family_at(DENSITY, parameters=HERE, num_points=10), ValueError, "expected num_points >= 384, got 10"),
        (lambda: family_at(DENSITY, parameters=HERE, num_draws=True), TypeError, "expected num_draws as an int"),
        (
            lambda: family_at(DENSITY, parameters=HERE, symmetry=PointReflection(coordinates=[2])),
            ValueError,
            "expected coordinates from 0 to 1",
        ),
        (
            lambda: family_at(DENSITY, parameters=HERE, symmetry=PointReflection(center=[0.0, 0.0, 0.0])),
            ValueError,
            "expected a center of length 2",
        ),
        (
            lambda: family_at(DENSITY, parameters={"loc": torch.zeros(3), "scale": torch.eye(3)}),
            ValueError,
            "expected a location of the target's 2 coordinates",
        ),
        (
            lambda: certify(autoguide.AutoNormal(model), X, Y),
            ValueError,
            "expected a fitted guide, got one that was never",
        ),
    ],
)
def test_refusals(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("kind", [autoguide.AutoDelta, autoguide.AutoLaplaceApproximation, autoguide.AutoIAFNormal])
def test_guides_without_one_location_and_scatter(kind) -> None:
    guide = kind(model)
    guide(X, Y)
    with pytest.raises(TypeError, match="a certificate speaks of one location and scatter"):
        certify(guide, X, Y)


def test_an_infinite_divergence_is_refused() -> None:
    density = LogDensity.from_callable(student_t(3.0), 1)
    with pytest.raises(ValueError, match="expected a finite divergence"):
        certify(LocationScale(1), density, parameters={"loc": vector(0), "scale": torch.eye(1)}, divergence=Alpha(1.5))


def test_the_divergence_does_not_matter_to_the_verdict() -> None:
    density = LogDensity.from_callable(normal, 2)
    for divergence in (None, ForwardKL(), Alpha(0.5)):
        certificate = certify(LocationScale(2), density, parameters=HERE, divergence=divergence)
        assert certificate["mean"].verdict is Verdict.PROVED


FAMILIES = [
    LocationScale(3, "normal", LowRank(1)),
    LocationScale(3, "normal", BlockDiagonal([2, 1])),
    LocationScale(3, "normal", Tied(AxisFlips(coordinates=[0]))),
    LocationScale(3, "normal", Fixed(0.5)),
    LocationScale(3, GeneralizedNormal(1.5), "full"),
    LocationScale(3, Laplace(spherical=True), "full"),
    LocationScale(3, "student_t", "full", LearnedDf()),
]


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_every_scale_and_base_can_be_certified(family: LocationScale) -> None:
    """A correlated normal target: the mean is proved whatever the family, and a location 0.3 off is not. The density
    that pictures show has mass one."""
    mean = torch.tensor([1.0, -2.0, 5.0], dtype=torch.float64)
    root = torch.tensor([[1.0, 0, 0], [0.5, 1.0, 0], [-0.3, 0.4, 2.0]], dtype=torch.float64)
    precision = torch.linalg.inv(root @ root.mT)
    density = LogDensity.from_callable(lambda z: -0.5 * (z - mean) @ precision @ (z - mean), 3)
    fit = symvi.fit(density, family, divergence=ForwardKL())
    certificate = certify(fit)
    report = certificate["mean"]
    assert set(report.verdicts) == {Verdict.PROVED}
    torch.testing.assert_close(torch.as_tensor(report.values), mean, rtol=0, atol=1e-7)
    x = torch.linspace(-60, 60, 4001).numpy() + float(mean[2])
    shown = _marginal_density(certificate, 2, x)
    assert float(np.trapezoid(shown, x)) == pytest.approx(1.0, abs=2e-3)
    assert float(np.trapezoid(shown * x, x)) == pytest.approx(float(mean[2]), abs=1e-3)
    moved = {**fit.parameters, "loc": fit.loc + 0.3}
    assert not any(v.is_exact for v in certify(family, density, parameters=moved)["mean"].verdicts)


def test_guides_of_several_laws_are_refused() -> None:
    mixture = OrbitMixture(AutoLocationScale(model), AxisFlips(center=0.0))
    mixture.set_up(X, Y)
    for guide in (mixture, AutoSymmetric(model)):
        with pytest.raises(TypeError, match="expected a Fit, a guide or a family, got .* because .*; try"):
            certify(guide, X, Y)
