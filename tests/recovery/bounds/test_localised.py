"""B3 and the regressions it reads: constants against autograd, validity against quadrature, refusals."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import integrate, special

from pyro_symvi.density import LogDensity
from pyro_symvi.recovery import Evidence, analyze
from pyro_symvi.recovery.bounds import (
    localised_bound,
    logistic_regression,
    poisson_regression,
    read_regression,
)
from pyro_symvi.recovery.bounds.localised import ball_constants, localised_distance
from tests.recovery.targets import normal, vector

PRIOR_SD = 2.5


def regression(n: int, d: int, poisson: bool, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, dtype=torch.float64, generator=generator)
    eta = 0.4 * x.sum(-1) - 0.2
    u = torch.rand(n, dtype=torch.float64, generator=generator)
    y = (u < eta.sigmoid()).double() if not poisson else (eta.exp() * (0.5 + u)).round()

    def model() -> None:
        b = pyro.sample("b", dist.Normal(torch.zeros(d), PRIOR_SD).to_event(1))
        law = dist.Poisson((x @ b).exp()) if poisson else dist.Bernoulli(logits=x @ b)
        pyro.sample("y", law.to_event(1), obs=y)

    return x, y, LogDensity.from_model(model)


def mode(model) -> torch.Tensor:
    z = torch.zeros(model.dim, dtype=torch.float64)
    for _ in range(50):
        z = z - torch.linalg.solve(model.hessian(z), model.gradient(z))
    return z


@pytest.mark.parametrize("poisson", [False, True])
def test_a_regression_is_read_from_the_expression(poisson: bool) -> None:
    x, y, density = regression(15, 3, poisson)
    model = read_regression(analyze(density))
    assert model is not None
    assert model.premise.evidence is Evidence.PROVED
    z = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gap = model.potential(z) + density(z)
    torch.testing.assert_close(gap, gap[:1].expand(6), rtol=1e-10, atol=1e-8)
    torch.testing.assert_close(model.gradient(z[0]), -density.value_and_grad(z[:1])[1][0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.hessian(z[0]), -density.hessian(z[:1])[0], rtol=1e-10, atol=1e-10)
    described = (poisson_regression if poisson else logistic_regression)(
        density, x, y, torch.eye(3, dtype=torch.float64) / PRIOR_SD**2
    )
    assert described.premise.evidence is Evidence.VERIFIED
    torch.testing.assert_close(described.hessian(z[0]), model.hessian(z[0]), rtol=1e-6, atol=1e-8)


def test_other_targets_are_not_read() -> None:
    for function, dim in ((normal, 2), (lambda z: -torch.log1p(z[0] ** 2) - z[1] ** 2, 2)):
        assert read_regression(analyze(LogDensity.from_callable(function, dim))) is None
    flipped = LogDensity.from_callable(lambda z: torch.nn.functional.softplus(z[0]) - z[0] ** 2, 1)
    assert read_regression(analyze(flipped)) is None


def test_a_wrong_description_is_refused() -> None:
    x, y, density = regression(15, 3, False)
    with pytest.raises(ValueError, match="expected the description"):
        logistic_regression(density, x, 1 - y, torch.eye(3, dtype=torch.float64) / PRIOR_SD**2)
    with pytest.raises(ValueError, match="2 columns|3 columns"):
        logistic_regression(density, x[:, :2], y, torch.eye(2, dtype=torch.float64))


@pytest.mark.parametrize("poisson", [False, True])
def test_constants_hold_on_the_ball(poisson: bool) -> None:
    """m and K against the Hessian and the third derivative (by autograd) at 200 points of the ball."""
    _, _, density = regression(30, 2, poisson)
    model = read_regression(analyze(density))
    assert model is not None
    center = mode(model)
    root = torch.linalg.cholesky(torch.linalg.inv(model.hessian(center)))
    rho = 2.0
    m, K, gamma = ball_constants(model, center, root, rho)
    assert 0 < m < 1
    assert gamma < 1e-6
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(200, 2, dtype=torch.float64, generator=generator)
    x = x / x.norm(dim=-1, keepdim=True) * rho * torch.rand(200, 1, dtype=torch.float64, generator=generator).sqrt()
    third = torch.func.jacfwd(torch.func.hessian(lambda v: model.potential(center + root @ v)))
    for v in x[:40]:
        t = third(v)
        for w in torch.randn(5, 2, dtype=torch.float64, generator=generator):
            w = w / w.norm()
            assert abs(float(torch.einsum("ijk,i,j,k", t, w, w, w))) <= K
    hessians = root.mT @ torch.stack([model.hessian(center + root @ v) for v in x]) @ root
    assert float(torch.linalg.eigvalsh(hessians).min()) >= m


def test_the_interior_maximum_of_the_third_derivative_counts() -> None:
    """An interval around log(2 + sqrt 3) with smaller values at both ends: brute force over it."""
    _, _, density = regression(4, 2, False)
    model = read_regression(analyze(density))
    assert model is not None
    for eta, radius in ((1.3, 1.0), (-1.3, 0.5), (0.1, 0.3), (4.0, 1.0), (-3.0, 2.5)):
        e = torch.full((4,), eta, dtype=torch.float64)
        found = float(model.greatest_third(e, torch.full_like(e, radius))[0])
        grid = np.linspace(eta - radius, eta + radius, 20001)
        s = special.expit(grid)
        brute = float(np.max(np.abs(s * (1 - s) * (1 - 2 * s))))
        assert brute <= found <= brute + 1e-8
        least = float(model.least_curvature(e, torch.full_like(e, radius))[0])
        assert least == pytest.approx(float(np.min(s * (1 - s))), rel=1e-9)


def test_the_formula_against_quadrature() -> None:
    """Both integrals by scipy.quad, d = 3."""
    d, m, K, gamma, rho = 3, 0.7, 0.05, 0.1, 5.0
    sigma = m * rho - gamma

    def law(x: float) -> float:
        return x ** (d - 1) * math.exp(-m * x * x / 2 + gamma * x)

    mass = integrate.quad(law, 0, rho)[0]
    inner = integrate.quad(lambda x: law(x) * (gamma + K * x * x / 2) ** 2, 0, rho)[0] / mass
    tail = integrate.quad(lambda x: x**d * math.exp(-sigma * (x - rho)), rho, math.inf)[0]
    ball = integrate.quad(
        lambda x: x ** (d - 1) * math.exp(m * (rho**2 - x**2) / 2 - gamma * (rho - x)), 0, rho, epsabs=1e-9
    )[0]
    expected = math.sqrt(inner) / m + tail / ball
    assert localised_distance(d, m, K, gamma, rho) == pytest.approx(expected, rel=1e-7)
    assert localised_distance(d, m, K, 1e3, rho) == math.inf
    assert localised_distance(d, -0.1, K, gamma, rho) == math.inf


@pytest.mark.parametrize(
    ("poisson", "n", "shift"), [(False, 400, 0.0), (False, 400, 0.3), (False, 1500, 0.3), (True, 300, 0.0)]
)
def test_valid_in_one_dimension(poisson: bool, n: int, shift: float) -> None:
    """The error of a location ``shift`` sds off the mode, by quadrature; bounds below one sd are given."""
    _, _, density = regression(n, 1, poisson)
    model = read_regression(analyze(density))
    assert model is not None
    center = mode(model)
    sd = float(model.hessian(center)) ** -0.5
    grid = float(center) + sd * np.linspace(-12, 12, 4001)
    log_p = -model.potential(torch.tensor(grid)[:, None]).numpy()
    p = special.softmax(log_p)
    mean = float(p @ grid)
    true_sd = math.sqrt(float(p @ (grid - mean) ** 2))
    bound = localised_bound(model, center + shift * sd, sds=torch.tensor([true_sd]))
    error = abs(mean - float(center) - shift * sd) / true_sd
    if bound.usable:
        assert error <= bound.at(0) < 1
        assert bound.evidence is Evidence.VERIFIED  # the unit is from draws
    assert bound.usable or n < 1500
    assert error > (0.25 if shift else 1e-4)


def test_vacuous_for_few_observations_with_a_reason() -> None:
    _, _, density = regression(20, 3, False)
    model = read_regression(analyze(density))
    assert model is not None
    bound = localised_bound(model, mode(model))
    assert not bound.usable
    assert "wider than the posterior" in bound.refusal or "no ball" in bound.refusal


def test_exponentials_that_overflow_are_refused() -> None:
    """Poisson terms whose rates overflow on every ball, or at the fitted value itself."""
    steep = LogDensity.from_callable(lambda z: z.sum() - torch.exp(z[0] + z[1]) - torch.exp(500 * z[1] - z[0]), 2)
    model = read_regression(analyze(steep))
    assert model is not None
    eye = torch.eye(2, dtype=torch.float64)
    for center in (vector(0.0, 0.0), vector(0.0, 3.0)):
        for metric in (None, eye):
            bound = localised_bound(model, center, metric)
            assert not bound.usable
            assert bound.refusal
    assert ball_constants(model, vector(0.0, 3.0), eye, 1.0) == (0.0, math.inf, math.inf)


def test_curvature_at_the_mode_is_no_lower_bound() -> None:
    """Negative test: the Hessian at the mode exceeds that elsewhere, so it may not stand for M."""
    _, _, density = regression(50, 2, False)
    model = read_regression(analyze(density))
    assert model is not None
    at_mode = model.hessian(mode(model))
    elsewhere = model.hessian(mode(model) + 3.0)
    assert float(torch.linalg.eigvalsh(elsewhere - at_mode)[0]) < 0
    assert analyze(density).concavity.modulus < float(torch.linalg.eigvalsh(at_mode)[0])
