"""The curvature of a divergence in the location against closed forms and quadrature; what holds a location, and what
does not."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from scipy import integrate

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.density._importance import weighted_draws
from pyro_symvi.density._proposal import Scale
from pyro_symvi.divergences import ForwardKL, ReverseKL
from pyro_symvi.families import LocationScale
from pyro_symvi.families.scales import Fixed
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.recovery import Verdict, analyze
from pyro_symvi.recovery.evidence.location_curvature import location_curvature
from pyro_symvi.recovery.evidence.optimum import held_by_structure
from tests.recovery.targets import mixture, normal, vector


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def curvature(function, family, size, alpha, draws=None):
    density = LogDensity.from_callable(function, family.dim)
    root = torch.as_tensor(size, dtype=torch.float64)
    parameters = {"loc": torch.zeros(family.dim, dtype=torch.float64), "scale": root}
    return location_curvature(density, family, parameters, alpha, draws, generator())


def line(base: str = "normal", **options) -> LocationScale:
    return LocationScale(1, base=base, scale=Fixed(torch.tensor(1.0, dtype=torch.float64)), **options)


@pytest.mark.parametrize(("m", "value"), [(1.0, 0.3942944904), (2.0, -0.4589550630)])
def test_reverse_kl_of_two_modes(m: float, value: float) -> None:
    """N1: J''(0) = 1 - m^2 E sech^2(m xi)."""
    found = curvature(mixture([0.5, 0.5], [[-m], [m]], [1.0, 1.0]), line(), 1.0, 0.0)
    assert found is not None
    assert found.least == pytest.approx(value, abs=max(0.01, 4 * found.error))
    assert found.falls == (value < 0)


@pytest.mark.parametrize(("df", "value"), [(3.0, -0.143040), (5.0, -0.144423), (30.0, 0.213814)])
def test_forward_kl_of_a_student_guide(df: float, value: float) -> None:
    """N4: E_P of -(log t_k)''."""
    density = LogDensity.from_callable(mixture([0.5, 0.5], [[-4.0], [4.0]], [0.5, 0.5]), 1)
    wide = Scale(vector(0.0), 4 * torch.eye(1, dtype=torch.float64))
    draws = weighted_draws(density, wide, num_draws=8192, generator=generator())
    found = location_curvature(
        density,
        line("student_t", df=df),
        {"loc": vector(0.0), "scale": vector(1.0)[0]},
        1.0,
        draws,
        generator(),
    )
    assert found is not None
    assert found.least == pytest.approx(value, abs=0.02)
    assert found.falls == (value < 0)


@pytest.mark.parametrize("alpha", [-1.0, 0.3, 0.5, 2.0])
def test_other_orders_against_quadrature(alpha: float) -> None:
    """The second difference of log int p^alpha q(. - nu)^{1 - alpha} / (alpha (alpha - 1)) at nu = 0."""

    def log_p(z: torch.Tensor) -> torch.Tensor:  # for each order, tails that leave the integral finite
        z = z[..., 0]
        return -2 * (1 + z.square()).sqrt() if alpha < 0 else -z.square().square() / 4 - 0.3 * z.square()

    density = LogDensity.from_callable(log_p, 1)
    wide = Scale(vector(0.0), torch.eye(1, dtype=torch.float64))
    draws = weighted_draws(density, wide, num_draws=8192, generator=generator())
    sd = 0.9

    def objective(nu: float) -> float:
        def integrand(z: float) -> float:
            return math.exp(alpha * float(log_p(vector(z))) - (1 - alpha) * (z - nu) ** 2 / (2 * sd * sd))

        return math.log(integrate.quad(integrand, -12, 12, limit=400)[0]) / (alpha * (alpha - 1))

    h = 1e-2
    exact = sd * sd * (objective(h) + objective(-h) - 2 * objective(0.0)) / h**2
    parameters = {"loc": vector(0.0), "scale": vector(sd)[:, None]}
    found = location_curvature(density, LocationScale(1), parameters, alpha, draws, generator())
    assert found is not None
    assert found.least == pytest.approx(exact, rel=0.1, abs=4 * found.error)


def test_kinks_count() -> None:
    """-log p = |z|: J''(0) = 2 phi(0) for a standard normal guide, although the second derivative is zero."""
    found = curvature(lambda z: -z.abs().sum(-1), line(), 1.0, 0.0)
    assert found is not None
    assert found.least == pytest.approx(2 / math.sqrt(2 * math.pi), abs=0.01)


def test_the_direction_of_a_saddle() -> None:
    """A normal law of correlation .9 has no saddle; two modes along (1, -1) have one along it."""
    law = mixture([0.5, 0.5], [[2.0, -2.0], [-2.0, 2.0]], [1.0, 1.0])
    found = curvature(law, LocationScale(2), torch.eye(2, dtype=torch.float64), 0.0)
    assert found is not None and found.falls
    np.testing.assert_allclose(found.direction.abs() * math.sqrt(2), [1.0, 1.0], atol=0.02)
    assert float(found.direction.prod()) < 0
    assert found.moved() == (0, 1)
    held = curvature(normal, LocationScale(2), torch.eye(2, dtype=torch.float64), 0.0)
    assert held is not None and not held.falls and not held.flat
    assert held.least == pytest.approx(1.0, abs=0.02)


def test_a_plateau_is_flat_for_a_guide_that_lies_on_it() -> None:
    def log_p(z: torch.Tensor) -> torch.Tensor:
        return -(z.abs() - 5).clamp_min(0).sum(-1)

    ball = LocationScale(1, base="uniform_ball", scale="isotropic")
    found = curvature(log_p, ball, 1.0, 0.0)
    assert found is not None and found.flat
    wide = curvature(log_p, ball, 8.0, 0.0)
    # -(8/2) (1/8) int_{-1}^{1} (log p)'(nu + 8 x) dx, differentiated: (1/16)(1 + 1) by the two slopes at the ends, 8^2
    assert wide is not None and not wide.flat and wide.least == pytest.approx(64 * 2 / 16, rel=0.05)


def test_what_structure_holds() -> None:
    mixed = analyze(LogDensity.from_callable(mixture([0.5, 0.5], [[-2.0], [2.0]], [1.0, 1.0]), 1))
    concave = analyze(LogDensity.from_callable(normal, 1))
    assert held_by_structure(LocationScale(1), mixed, 1.0)[0] == (0,)
    assert held_by_structure(LocationScale(1, base="laplace"), mixed, 1.0)[0] == ()
    assert held_by_structure(LocationScale(1), mixed, 0.0)[0] == ()
    assert held_by_structure(LocationScale(1, base="laplace"), concave, 0.0)[0] == (0,)
    kinked = analyze(LogDensity.from_callable(lambda z: -z.abs().sum(-1), 1))
    assert held_by_structure(LocationScale(1), kinked, 0.0)[0] == (0,)
    assert held_by_structure(LocationScale(1, base="uniform_ball"), kinked, 0.0)[0] == ()


def regression(x: torch.Tensor, y: torch.Tensor) -> None:
    zero = torch.zeros((), dtype=torch.float64)
    beta = pyro.sample("beta", dist.Normal(zero.expand(2), 1e3).to_event(1))
    sigma = pyro.sample("sigma", dist.HalfCauchy(zero + 1))
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def test_status_and_divergence_of_a_fit_reach_the_certificate() -> None:
    density = LogDensity.from_callable(mixture([0.5, 0.5], [[-3.0], [3.0]], [1.0, 1.0]), 1)
    fit = symvi.fit(density, LocationScale(1), starts=vector(0.0)[None])
    certificate = symvi.certify(fit)
    assert certificate.subject.status is fit.status
    assert certificate["mean"].verdict is not Verdict.PROVED
    named = symvi.certify(LocationScale(1), density, parameters=fit.parameters, divergence=ReverseKL())
    assert named.subject.divergence == ReverseKL()
    forward = symvi.fit(density, LocationScale(1), divergence=ForwardKL())
    if abs(float(forward.loc)) < 1e-7:
        assert any("holds the fitted location" in note for note in symvi.certify(forward).notes)


def test_a_pyro_guide_can_be_asked_about_the_divergence_it_was_trained_by() -> None:
    x = torch.tensor([[1.0, -1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    y = torch.tensor([0.1, 0.9, 2.2, 2.9], dtype=torch.float64)
    guide = AutoNormal(regression)
    guide(x, y)
    certificate = symvi.certify(guide, x, y, divergence=ReverseKL())
    assert certificate.subject.family == LocationScale(3, scale="diagonal")
    ours = AutoLocationScale(regression)
    assert symvi.certify(symvi.fit(regression, ours, x, y)).subject.divergence == ReverseKL()
