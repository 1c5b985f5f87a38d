"""Coordinatewise unimodality, against values along the coordinate at random points; twins that are even alone."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from fractions import Fraction

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.recovery.analysis import analyze
from pyro_symvi.recovery.analysis.log_concavity import log_concavity
from pyro_symvi.recovery.analysis.unimodality import Unimodality, unimodality
from tests.recovery.analysis.quick import expression

F = torch.nn.functional
Function = Callable[[torch.Tensor], torch.Tensor]
RUNS = 20 if os.environ.get("CI") else 40


def found(function: Function, dim: int, with_concavity: bool = True) -> Unimodality:
    table, p = expression(function, dim)
    return unimodality(table, p, dim, (), log_concavity(table, p, dim) if with_concavity else None)


def check(function: Function, dim: int, claim: Unimodality, seed: int) -> None:
    """Values along z_j = c + t, |t| growing, at heavy-tailed points: never rising, falling where strict."""
    generator = torch.Generator().manual_seed(seed)
    f = torch.func.vmap(function)
    steps = torch.cat([torch.linspace(0, 1, 9), torch.tensor([1.5, 3.0, 8.0, 30.0])]).double()
    for j in claim.coordinates:
        rest = torch.randn(60, dim, dtype=torch.float64, generator=generator) * torch.randn(60, 1, generator=generator)
        center = float(claim.centers[j])

        def walk(at: torch.Tensor, j: int = j, center: float = center) -> torch.Tensor:
            moved = at.repeat(len(steps), 1, 1)
            moved[..., j] = center + steps[:, None]
            return torch.vmap(f)(moved)

        values = walk(rest)
        fall = values[:-1] - values[1:]
        fine = torch.isfinite(fall)
        assert bool((fall[fine] >= -1e-9 * (1 + values[:-1].abs())[fine]).all())
        if j in claim.strict:  # near the origin, where rounding hides nothing
            values = walk(0.4 * torch.tanh(rest))
            assert bool((values[:8] > values[1:9]).all())


UNIMODAL: dict[str, tuple[Function, int, tuple[int, ...], tuple[int, ...]]] = {
    "Student-t priors": (lambda z: -2 * torch.log1p((z - 0.5) ** 2 / 3).sum(), 2, (0, 1), (0, 1)),
    "a funnel": (lambda z: -0.5 * torch.exp(-z[0]) * z[1] ** 2 - z[0] / 2 - z[0] ** 2, 2, (1,), (1,)),
    "a weight that may vanish": (lambda z: -(z[0] ** 2) * z[1] ** 2 - torch.exp(z[1]), 2, (0,), ()),
    "a weight above one": (lambda z: -(z[0] ** 2) * (1 + z[1] ** 2) - torch.exp(z[1]), 2, (0,), (0,)),
    "a quartic": (lambda z: -(z[0] ** 4), 1, (0,), (0,)),
    "a scale mixture of normals": (
        lambda z: torch.logsumexp(torch.stack([-0.5 * z[0] ** 2, -0.125 * z[0] ** 2 - 1]), 0),
        1,
        (0,),
        (0,),
    ),
    "a scale mixture of three": (
        lambda z: (
            torch.logsumexp(torch.stack([-(z[0] ** 2), -0.5 * z[0] ** 2 - 1, -0.25 * z[0] ** 2 + z[1]]), 0) - z[1] ** 2
        ),
        2,
        (0,),
        (0,),
    ),
    "a Laplace law with a free scale": (
        lambda z: -torch.exp(-z[1]) * torch.abs(z[0] - 1) - z[1] - z[1] ** 2 - torch.exp(z[1]),
        2,
        (0,),
        (0,),
    ),
    "Student-t with a free scale": (
        lambda z: -2 * torch.log1p(z[0] ** 2 * torch.exp(-2 * z[1])) - z[1] - torch.exp(z[1]),
        2,
        (0,),
        (0,),
    ),
    "a logistic law": (lambda z: z[0] - 0.5 - 2 * F.softplus(z[0] - 0.5), 1, (0,), (0,)),
    "a plateau": (lambda z: -torch.abs(z[0] + 2) - torch.abs(z[0] - 3), 1, (0,), ()),
    "a product of factors": (lambda z: -(z[0] ** 2) * torch.exp(z[0] ** 2 + z[1]) - torch.exp(z[1]), 2, (0,), (0,)),
}
NOT: dict[str, tuple[Function, int]] = {
    "two modes": (lambda z: z[0] ** 2 - z[0] ** 4, 1),
    "a mixture with modes at +-2": (
        lambda z: torch.logsumexp(torch.stack([-0.5 * (z[0] - 2) ** 2, -0.5 * (z[0] + 2) ** 2]), 0),
        1,
    ),
    "a scale mixture that wins in the middle": (
        lambda z: -0.25 * z[0] ** 2 + F.softplus(z[0] ** 2 - 4) - 0.8 * z[0] ** 2 + 0.1 * z[0] ** 2,
        1,
    ),
    "a weight of no sign": (lambda z: -(z[0] ** 2) * (torch.exp(z[1]) - 1) - z[0] ** 4, 2),
    "a high odd power": (lambda z: -(z[0] ** 9), 1),
    "a cosine": (lambda z: torch.cos(z[0]), 1),
    "a ring": (lambda z: -((z[0] ** 2 + z[1] ** 2 - 4) ** 2), 2),
    "a growing pole": (lambda z: 1 / (1 + z[0] ** 2) - 1e-3 * z[0] ** 2 + torch.log1p(z[0] ** 2), 1),
    "not even": (lambda z: -(z[0] ** 2) * (1 + torch.exp(z[0])), 1),
    "even jointly, not alone": (lambda z: -(z[0] ** 2) - z[1] ** 2 - z[0] * z[1], 2),
    "centres off by a unit in the last place": (
        lambda z: -((z[0] - 0.1) ** 2) - (z[0] - (0.1 + 2.0**-56)) ** 4,
        1,
    ),
    "a condition": (lambda z: torch.where(z[0] ** 2 > 1, -(z[0] ** 2), -2 + 0 * z[0]), 1),
}


@pytest.mark.parametrize("name", UNIMODAL)
def test_unimodal(name: str) -> None:
    function, dim, coordinates, strict = UNIMODAL[name]
    claim = found(function, dim)
    assert set(coordinates) <= set(claim.coordinates)
    assert {j for j in claim.strict if j in coordinates} == set(strict)
    check(function, dim, claim, 0)


@pytest.mark.parametrize("name", NOT)
def test_not_shown_unimodal(name: str) -> None:
    function, dim = NOT[name]
    assert found(function, dim).coordinates == ()


def test_centres_are_exact() -> None:
    claim = found(lambda z: -torch.log1p((z[0] - 0.1) ** 2) - torch.abs(z[1] + 3), 2)
    assert claim.centers == {0: Fraction(0.1), 1: Fraction(-3)}


STEPS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    torch.exp,
    F.softplus,
    torch.tanh,
    torch.square,
    torch.abs,
    lambda u: -u,
    lambda u: 0.5 * u - 1,
    lambda u: torch.log1p(u**2),
    lambda u: torch.sqrt(1 + u**2),
    lambda u: 1 / (1 + u**2),
    lambda u: torch.log(torch.exp(-u) + torch.exp(2 * u) + 0.5),
    lambda u: (1 + torch.exp(u)) ** -0.5,
    torch.sigmoid,
    torch.cos,
]


@pytest.mark.parametrize("seed", range(RUNS))
def test_what_is_called_unimodal_is_so_along_random_lines(seed: int) -> None:
    rng = random.Random(seed)
    parts = []
    for _ in range(rng.randint(1, 3)):
        start = rng.choice([0, 1, 2, 3])
        parts.append((rng.choice([-1.0, -0.5, 1.0]), start, [rng.choice(STEPS) for _ in range(rng.randint(0, 3))]))

    def function(z: torch.Tensor) -> torch.Tensor:
        value = -0.25 * z[1] ** 2 - 0.5 * (seed % 2) * z[0] ** 2
        for weight, start, steps in parts:
            u = [z[0] ** 2, torch.abs(z[0]), z[0] ** 2 * torch.exp(z[1]), z[0] * z[1]][start]
            for step in steps:
                u = step(u)
            value = value + weight * u
        return value

    check(function, 2, found(function, 2), seed)


def test_models() -> None:
    def funnel() -> None:
        v = pyro.sample("v", dist.Normal(0.0, 3.0))
        pyro.sample("x", dist.Normal(torch.zeros(3), torch.exp(v / 2)).to_event(1))

    def robust() -> None:
        pyro.sample("x", dist.StudentT(3.0, torch.tensor([1.0, -2.0]), 0.7).to_event(1))

    analysis = analyze(funnel)
    assert analysis.unimodal == (1, 2, 3) == analysis.strictly_unimodal  # v is not even
    assert "even and unimodal in each" in str(analysis)
    analysis = analyze(robust)
    assert analysis.unimodal == (0, 1) == analysis.strictly_unimodal
    assert [float(analysis.unimodality.centers[j]) for j in (0, 1)] == [1.0, -2.0]
    assert analysis.concavity is not None and not analysis.concavity.joint
