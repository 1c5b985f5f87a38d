"""Log-concavity of models where it is known, and of ones that only look concave; random graphs by midpoints."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.recovery.analysis import Analysis, analyze
from pyro_symvi.recovery.analysis.log_concavity import LogConcavity, log_concavity
from tests.recovery.analysis.quick import expression

F = torch.nn.functional
RUNS = 24 if os.environ.get("CI") else 60
X = torch.tensor([[0.3, -1.0], [1.5, 0.7], [-0.2, 0.4], [0.9, -1.3], [-1.1, 0.2]], dtype=torch.float64)
Y = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64)
COUNTS = torch.tensor([0.0, 3.0, 1.0, 0.0, 2.0], dtype=torch.float64)
VALUES = torch.tensor([0.4, 1.7, -0.3, -1.1, 0.2], dtype=torch.float64)


def regression(likelihood: Callable[[torch.Tensor], None], laplace: bool) -> Callable[[], None]:
    def model() -> None:
        prior = dist.Laplace(torch.zeros(2), 1.0) if laplace else dist.Normal(torch.zeros(2), 2.0)
        likelihood(X @ pyro.sample("beta", prior.to_event(1)))

    return model


def gaussian(eta: torch.Tensor) -> None:
    pyro.sample("y", dist.Normal(eta, 0.5).to_event(1), obs=VALUES)


def logistic(eta: torch.Tensor) -> None:
    pyro.sample("y", dist.Bernoulli(logits=eta).to_event(1), obs=Y)


def poisson(eta: torch.Tensor) -> None:
    pyro.sample("y", dist.Poisson(torch.exp(eta)).to_event(1), obs=COUNTS)


def student(eta: torch.Tensor) -> None:
    pyro.sample("y", dist.StudentT(4.0, eta, 0.5).to_event(1), obs=VALUES)


def of(analysis: Analysis) -> LogConcavity:
    assert analysis.refusal == ""
    assert analysis.concavity is not None
    return analysis.concavity


@pytest.mark.parametrize("laplace", [False, True], ids=["Gaussian prior", "Laplace prior"])
@pytest.mark.parametrize("likelihood", [gaussian, logistic, poisson], ids=["gaussian", "logistic", "poisson"])
def test_generalised_linear_models_are_log_concave(likelihood: Callable[[torch.Tensor], None], laplace: bool) -> None:
    found = of(analyze(regression(likelihood, laplace)))
    assert found.joint and found.full_support
    quadratic = (4 * (X.mT @ X) if likelihood is gaussian else torch.zeros(2, 2)) + (0 if laplace else torch.eye(2) / 4)
    smallest = float(torch.linalg.eigvalsh(quadratic.double())[0])
    assert 0.98 * smallest <= float(found.modulus) <= smallest + 1e-15


@pytest.mark.parametrize("laplace", [False, True], ids=["Gaussian prior", "Laplace prior"])
def test_strong_concavity_or_decay_in_every_direction_gives_all_moments(laplace: bool) -> None:
    assert analyze(regression(logistic, laplace)).has_moments(2)


def mixture() -> None:
    z = pyro.sample("z", dist.Normal(torch.zeros(2), 3.0).to_event(1))
    parts = torch.stack([dist.Normal(z[0], 1.0).log_prob(VALUES), dist.Normal(z[1], 1.0).log_prob(VALUES)])
    pyro.factor("data", torch.logsumexp(parts, 0).sum())


def funnel() -> None:
    v = pyro.sample("v", dist.Normal(0.0, 3.0))
    pyro.sample("x", dist.Normal(torch.zeros(2), torch.exp(v / 2)).to_event(1))


def location_and_scale() -> None:
    m = pyro.sample("m", dist.Normal(0.0, 3.0))
    s = pyro.sample("s", dist.LogNormal(0.0, 1.0))
    pyro.sample("y", dist.Normal(m, s).expand([5]).to_event(1), obs=VALUES)


@pytest.mark.parametrize("model", [regression(student, False), mixture, funnel, location_and_scale], ids=range(4))
def test_others_are_not(model: Callable[[], None]) -> None:
    found = of(analyze(model))
    assert not found.joint and found.modulus == 0 and found.obstacle


def test_concave_in_each_coordinate_given_the_rest() -> None:
    """(m, log s): each alone, for every value of the other; not both."""
    assert of(analyze(location_and_scale)).given_rest == (0, 1)
    assert of(analyze(funnel)).given_rest == (0, 1, 2)


def test_a_scale_on_the_log_scale_with_known_location() -> None:
    def model() -> None:
        s = pyro.sample("s", dist.LogNormal(0.0, 1.0))
        pyro.sample("y", dist.Normal(0.0, s).expand([5]).to_event(1), obs=VALUES)

    assert of(analyze(model)).joint


def test_shape_of_a_gamma_law_is_not_shown_concave() -> None:
    """-lgamma(e^z) is not concave in the tail."""

    def model() -> None:
        a = pyro.sample("a", dist.LogNormal(0.0, 1.0))
        pyro.sample("y", dist.Gamma(a, 1.0).expand([3]).to_event(1), obs=torch.tensor([0.5, 1.0, 2.0]))

    assert not of(analyze(model)).joint


# -- traps ---------------------------------------------------------------------------------------------------------

NOT_CONCAVE: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], int]] = {
    "3 a quadratic in each branch": (lambda z: torch.where(z[0] ** 2 > 1, -(z[0] ** 2), 1 - 2 * z[0] ** 2), 1),
    "4 a clamped square": (lambda z: -(torch.clamp(z[0], -1, 2) ** 2), 1),
    "10 exp of a concave function": (lambda z: torch.exp(-(z[0] ** 2)) - 0.1 * z[0] ** 2, 1),
    "11 a concave function times a positive one": (lambda z: -(z[0] ** 2) * (z[1] ** 2 + 1), 2),
    "12 two logarithms": (lambda z: -torch.log1p((z[0] - 0.5) ** 2) - 2 * torch.log1p((z[0] + 0.5) ** 2), 1),
    "14 a high odd power": (lambda z: -(z[0] ** 9), 1),
    "25 a normal likelihood with a free scale": (
        lambda z: dist.Normal(z[0], torch.exp(z[1]), validate_args=False).log_prob(VALUES).sum(),
        2,
    ),
    "26 a logarithm of a clamp": (lambda z: -torch.log(torch.clamp(torch.exp(z[0]), max=1 - 1e-7)) - z[0] ** 2, 1),
    "an indefinite quadratic": (lambda z: -(z[0] ** 2) - z[1] ** 2 - 3 * z[0] * z[1], 2),
    "plus an absolute value": (lambda z: -(z[0] ** 2) + torch.abs(z[0]), 1),
    "plus a softplus": (lambda z: -(z[0] ** 2) + F.softplus(3 * z[0]), 1),
    "the logarithm of a square's sum": (lambda z: -torch.log(1 + z[0] ** 2), 1),
}


@pytest.mark.parametrize("name", NOT_CONCAVE)
def test_trap_is_not_shown_concave(name: str) -> None:
    function, dim = NOT_CONCAVE[name]
    table, p = expression(function, dim)
    assert not log_concavity(table, p, dim).joint


def test_trap_11_each_block_is_concave() -> None:
    table, p = expression(lambda z: -(z[0] ** 2) * (z[1] ** 2 + 1), 2)
    assert log_concavity(table, p, 2).given_rest == (0, 1)


def test_trap_24_absolute_values_are_concave_without_modulus() -> None:
    table, p = expression(lambda z: -torch.abs(z[0]) - torch.abs(z[0] - 1), 1)
    found = log_concavity(table, p, 1)
    assert found.joint and found.modulus == 0


def test_a_support_with_a_condition_is_not_full() -> None:
    table, p = expression(lambda z: torch.where(z[0] > 0, -(z[0] ** 2), -2 * z[0] ** 2), 1)
    assert not log_concavity(table, p, 1).full_support


def test_the_modulus_is_a_rational_lower_bound() -> None:
    table, p = expression(lambda z: -(z[0] ** 2) - z[0] * z[1] - 3 * z[1] ** 2 - torch.exp(z[0] - z[1]), 2)
    found = log_concavity(table, p, 2)
    smallest = np.linalg.eigvalsh(np.array([[2.0, 1.0], [1.0, 6.0]]))[0]
    assert isinstance(found.modulus, Fraction)
    assert 0.99 * smallest < float(found.modulus) < smallest


@pytest.mark.parametrize("ulps", [0, 1])
def test_one_unit_in_the_last_place_takes_concavity_away(ulps: int) -> None:
    """x^2 - 2 a x y + b y^2 is semidefinite exactly where b = a^2; a is a dyadic number."""
    a = 1.5
    b = a * a - ulps * 2.0**-51

    def function(z: torch.Tensor) -> torch.Tensor:
        return -(z[0] ** 2) + 2 * a * z[0] * z[1] - b * z[1] ** 2 - F.softplus(z[0])

    table, p = expression(function, 2)
    assert log_concavity(table, p, 2).joint is (ulps == 0)


# -- random graphs -------------------------------------------------------------------------------------------------

STEPS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    torch.exp,
    F.softplus,
    torch.abs,
    torch.square,
    torch.relu,
    lambda u: -u,
    lambda u: 0.5 * u - 1,
    lambda u: torch.log(1 + torch.exp(u)),
    lambda u: torch.log1p(u**2),
    lambda u: torch.sqrt(1 + u**2),
    lambda u: 1 / (1 + torch.exp(u)),
    lambda u: torch.log(torch.exp(-u) + torch.exp(2 * u) + 0.5),
    lambda u: torch.lgamma(torch.exp(u)),
    lambda u: (1 + torch.exp(u)) ** -0.5,
    lambda u: torch.sigmoid(u),
    lambda u: torch.log(torch.sigmoid(u)),
]


@pytest.mark.parametrize("seed", range(RUNS))
def test_what_is_called_concave_is_so_at_random_midpoints(seed: int) -> None:
    rng = random.Random(seed)
    parts = []
    for _ in range(rng.randint(1, 3)):
        row = torch.tensor([float(rng.randint(-2, 2)), float(rng.randint(-2, 2))], dtype=torch.float64)
        parts.append((rng.choice([-1.0, -0.5, 1.0]), row, [rng.choice(STEPS) for _ in range(rng.randint(1, 3))]))

    def function(z: torch.Tensor) -> torch.Tensor:
        value = -0.25 * (z**2).sum() * (seed % 2)
        for weight, row, steps in parts:
            u = (row * z).sum() + 0.3
            for step in steps:
                u = step(u)
            value = value + weight * u
        return value

    table, p = expression(function, 2)
    found = log_concavity(table, p, 2)
    generator = torch.Generator().manual_seed(seed)
    a, b, sizes = torch.randn(3, 300, 2, dtype=torch.float64, generator=generator)
    heavy = 1 / sizes[:, :1].abs().clamp(min=0.1)  # some points far out
    a, b = 2 * a * heavy, 2 * b * heavy
    for j in found.given_rest:
        if not found.joint:
            b = a.clone()
            b[:, j] += 2 * torch.randn(300, dtype=torch.float64, generator=generator)
        f = torch.func.vmap(function)
        ends, middle = (f(a) + f(b)) / 2, f((a + b) / 2)
        gap = float(found.modulus) / 8 * ((a - b) ** 2).sum(-1)
        finite = torch.isfinite(ends) & torch.isfinite(middle)
        slack = 1e-9 * (1 + f(a).abs() + f(b).abs())
        assert bool((middle + slack >= ends + gap)[finite].all())
    if found.joint:
        for point in a[:8] / 4:
            hessian = torch.func.hessian(function)(point)
            if bool(torch.isfinite(hessian).all()):
                largest = float(torch.linalg.eigvalsh(hessian)[-1])
                assert largest <= -float(found.modulus) + 1e-8 * (1 + float(hessian.abs().max()))
