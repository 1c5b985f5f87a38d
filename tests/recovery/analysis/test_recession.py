"""Decay in every direction, against exact enumeration of directions in the plane; separated data are not proper."""

from __future__ import annotations

import random
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import constraints
from scipy import integrate

from pyro_symvi.recovery.analysis import Analysis, analyze
from pyro_symvi.recovery.analysis.curvature import Curvature
from pyro_symvi.recovery.analysis.recession import falls_in_every_direction
from tests.recovery.analysis.quick import expression

F = torch.nn.functional
Function = Callable[[torch.Tensor], torch.Tensor]


def falls(function: Function, dim: int = 2) -> bool:
    table, p = expression(function, dim)
    assert not table.open_obligations
    return falls_in_every_direction(Curvature(table, tuple(range(dim))), p)


@pytest.mark.parametrize("seed", range(40))
def test_logistic_and_poisson_rows_against_all_directions(seed: int) -> None:
    """The recession function is linear between the normals of the rows: its sign there decides, exactly (integers)."""
    rng = random.Random(seed)
    n = rng.randint(2, 6)
    rows = [(rng.randint(-2, 2), rng.randint(-2, 2)) for _ in range(n)]
    kinds = [rng.choice(["logit", "logit", "poisson", "laplace", "square"]) for _ in range(n)]
    y = [rng.choice([0, 1]) for _ in range(n)]

    def function(z: torch.Tensor) -> torch.Tensor:
        value = 0 * z.sum()
        for (a, b), kind, t in zip(rows, kinds, y, strict=True):
            u = a * z[0] + b * z[1] + 0.5
            term = {
                "logit": t * u - F.softplus(u),
                "poisson": t * u - torch.exp(u),
                "laplace": -torch.abs(u),
                "square": -(u**2),
            }
            value = value + term[kind]
        return value

    def recession(v: tuple[int, int]) -> float:
        total = 0.0
        for (a, b), kind, t in zip(rows, kinds, y, strict=True):
            s = a * v[0] + b * v[1]
            total += {
                "logit": t * s - max(s, 0),
                "poisson": t * s - (float("inf") if s > 0 else 0),
                "laplace": -abs(s),
                "square": -float("inf") if s else 0,
            }[kind]
        return total

    normals = [v for a, b in rows for v in ((-b, a), (b, -a)) if (a, b) != (0, 0)]
    spanning = any(a * d != b * c for a, b in rows for c, d in rows)
    truth = spanning and all(recession(v) < 0 for v in normals)
    table, p = expression(function, 2)
    if table.depends(p) == 3:
        assert falls(function) == truth


FALLS: dict[str, Function] = {
    "a Laplace prior tilted within its slope": lambda z: -torch.abs(z).sum() + 0.875 * z[0] - 0.5 * z[1],
    "a multinomial regression": lambda z: (
        2 * z[0] + z[1] - 4 * torch.logsumexp(torch.stack([z[0], z[1], torch.zeros(()).double()]), 0)
    ),
    "a quartic and a gamma": lambda z: -(z[0] ** 4) + z[1] - torch.exp(z[1] + z[0]),
    "a cone of exponentials": lambda z: -torch.exp(z[0] + z[1]) - torch.exp(z[0] - z[1]) - torch.exp(-z[0]),
}
STAYS: dict[str, Function] = {
    "a Laplace prior tilted at its slope": lambda z: -torch.abs(z).sum() + z[0],
    "a Laplace prior tilted beyond its slope by one unit in the last place": lambda z: (
        -torch.abs(z).sum() + (1 + 2.0**-52) * z[0]
    ),
    "a Laplace prior tilted beyond its slope by 1e-12": lambda z: -torch.abs(z).sum() + (1 + 1e-12) * z[0],
    "a class never seen": lambda z: (
        2 * z[0] + 2 * z[1] - 4 * torch.logsumexp(torch.stack([z[0], z[1], torch.zeros(()).double()]), 0)
    ),
    "a ridge": lambda z: -((z[0] - z[1]) ** 2) - torch.exp(z[0] - z[1]),
    "one side open": lambda z: -(z[0] ** 4) - torch.exp(z[1] + z[0]),
    "two exponentials": lambda z: -torch.exp(z[0] + z[1]) - torch.exp(z[0] - z[1]),
    "not concave": lambda z: -(z**2).sum() + F.softplus(z[0]),
    "flat in one coordinate": lambda z: -torch.abs(z[0]) + 0 * z[1],
    "an irrational tilt of a Laplace law": lambda z: -torch.abs(z).sum() + torch.log(1 + 0 * z[1] + 2) * z[0],
}


@pytest.mark.parametrize("name", FALLS)
def test_falls(name: str) -> None:
    function = FALLS[name]
    assert falls(function)
    directions = torch.randn(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    f = torch.func.vmap(function)
    assert bool((f(400 * F.normalize(directions)) < f(200 * F.normalize(directions)) - 1).all())


@pytest.mark.parametrize("name", STAYS)
def test_does_not_fall_or_is_not_shown_to(name: str) -> None:
    assert not falls(STAYS[name])


def flat_logistic(x: torch.Tensor, y: torch.Tensor) -> Analysis:
    def model() -> None:
        beta = pyro.sample("beta", dist.ImproperUniform(constraints.real_vector, (), (x.shape[1],)))
        with pyro.plate("data", len(y)):
            pyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=y)

    return analyze(model)


def test_a_flat_prior_logistic_regression_is_proper_unless_its_data_are_separated() -> None:
    x = torch.tensor([[1.0, -2.0], [1.0, -0.7], [1.0, 0.1], [1.0, 0.6], [1.0, 1.9]], dtype=torch.float64)
    mixed = flat_logistic(x, torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0]))
    assert mixed.is_plain and mixed.has_moments(2) and "falling in every direction" in mixed.moments[1].reason
    separated = flat_logistic(x, torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0]))
    touching = torch.cat([x, x[2:3]])  # both classes at one point, else separated
    quasi = flat_logistic(touching, torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 0.0]))
    for analysis in (separated, quasi):
        assert analysis.concavity is not None and analysis.concavity.joint
        assert not analysis.has_moments(1) and not analysis.has_moments(2)


def test_the_integral_agrees_for_one_coefficient() -> None:
    """One slope, three rows: mass on |z| > 300 is nothing where decay was shown; of the separated one it grows."""
    x = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)

    def make(y: list[float]) -> Function:
        return lambda z: (torch.tensor(y, dtype=torch.float64) * x * z[0] - F.softplus(x * z[0])).sum()

    def mass(function: Function, low: float, high: float) -> float:
        value = integrate.quad(lambda t: float(torch.exp(function(torch.tensor([t]).double()))), low, high)[0]
        return float(value)

    proper, separated = make([1.0, 1.0, 1.0]), make([1.0, 0.0, 1.0])
    assert falls(proper, 1) and mass(proper, 300, 600) < 1e-30
    assert not falls(separated, 1) and mass(separated, 300, 600) > 299


@pytest.mark.parametrize("laplace", [True, False])
def test_laplace_priors_make_separated_data_proper(laplace: bool) -> None:
    x = torch.tensor([[1.0, -2.0], [1.0, 0.6], [1.0, 1.9]], dtype=torch.float64)

    def model() -> None:
        wide = dist.ImproperUniform(constraints.real_vector, (), (2,))
        beta = pyro.sample("beta", dist.Laplace(torch.zeros(2), 1.0).to_event(1) if laplace else wide)
        with pyro.plate("data", 3):
            pyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=torch.tensor([0.0, 1.0, 1.0]))

    assert analyze(model).has_moments(2) is laplace
