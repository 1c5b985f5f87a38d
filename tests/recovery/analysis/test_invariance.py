"""Reflections and permutations by substitution; parity; random graphs."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch

from pyro_symvi.recovery.analysis.invariance import is_invariant, permuted, reflected
from pyro_symvi.recovery.analysis.sign_flips import flip_group
from pyro_symvi.recovery.analysis.symmetries import Reflection, reflections, swaps
from tests.recovery.analysis.quick import expression

F = torch.nn.functional
RUNS = 30 if os.environ.get("CI") else 80
Function = Callable[[torch.Tensor], torch.Tensor]


def proved(function: Function, dim: int) -> tuple[Reflection, ...]:
    table, p = expression(function, dim)
    return reflections(table, p, dim)


def even(function: Function, dim: int, center: float | Fraction = 0) -> bool:
    """Whether all coordinates may be reflected about the same number."""
    table, p = expression(function, dim)
    return is_invariant(table, p, reflected(table, range(dim), [Fraction(center)] * dim))


def student_priors(z: torch.Tensor) -> torch.Tensor:
    offsets = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    return -2.5 * torch.log1p((z - offsets) ** 2 / 4).sum()


def funnel(z: torch.Tensor) -> torch.Tensor:
    return -(z[0] ** 2) / 18 - z[1:].shape[0] * z[0] / 2 - 0.5 * torch.exp(-z[0]) * (z[1:] ** 2).sum()


def factor_model(z: torch.Tensor) -> torch.Tensor:
    """x = W s with W of three, s of one: only the joint flip."""
    x = torch.tensor([0.4, -1.0, 0.7], dtype=torch.float64)
    return -((x - z[:3] * z[3]) ** 2).sum() - (z**2).sum()


X = torch.tensor([[0.3, -1.0], [1.5, 0.7], [-0.2, 0.4]], dtype=torch.float64)


def mirrored_logistic(z: torch.Tensor) -> torch.Tensor:
    """Each row once with either label: even, though no term is."""
    eta = torch.cat([X, X]) @ z
    labels = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
    return (labels * eta - F.softplus(eta)).sum()


def test_student_priors_about_three_points() -> None:
    found = proved(student_priors, 3)
    assert {r.coordinates: r.center for r in found} == {
        (0,): (Fraction(1, 2),),
        (1,): (Fraction(-1),),
        (2,): (Fraction(2),),
    }


def test_a_funnel_flips_each_of_its_arms() -> None:
    assert [r.coordinates for r in proved(funnel, 5)] == [(1,), (2,), (3,), (4,)]


def test_a_factor_model_flips_jointly_only() -> None:
    assert [r.coordinates for r in proved(factor_model, 4)] == [(0, 1, 2, 3)]


def test_coupled_coordinates_flip_together() -> None:
    assert [r.coordinates for r in proved(lambda z: -(z**4).sum() - z[0] * z[1] - torch.cos(z[2]), 3)] == [
        (2,),
        (0, 1),
    ]


def test_mirrored_data_make_a_logistic_regression_even() -> None:
    assert even(mirrored_logistic, 2)
    assert [r.coordinates for r in proved(mirrored_logistic, 2)] == [(0, 1)]


def test_data_mirrored_up_to_a_unit_in_the_last_place_do_not() -> None:
    rows = torch.cat([X, X])
    rows[4, 1] = torch.nextafter(rows[4, 1], torch.tensor(9.0, dtype=torch.float64))
    labels = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
    assert not even(lambda z: (labels * (rows @ z) - F.softplus(rows @ z)).sum(), 2)


EVEN: dict[str, Function] = {
    "odd functions squared": lambda z: -((torch.tanh(z) + torch.sin(z) + torch.erf(z) + torch.atan(z)) ** 2).sum(),
    "products of odd functions": lambda z: -torch.tanh(z[0]) * z[1] - (z**2).sum(),
    "absolute values": lambda z: -torch.abs(z[0] - 2 * z[1]) - torch.relu(z[0]) - torch.relu(-z[0]),
    "logistic law": lambda z: (z - 2 * F.softplus(z)).sum(),
    "logistic density by sigmoid": lambda z: torch.log(torch.sigmoid(z) * (1 - torch.sigmoid(z))).sum(),
    "hyperbolic cosine": lambda z: -torch.log(torch.exp(z) + torch.exp(-z)).sum(),
    "Student": lambda z: -torch.log1p((z**2).sum()),
    "branches": lambda z: torch.where(z[0] ** 2 > 1, -(z[0] ** 2), 1 - 2 * z[0] ** 2) - z[1] ** 2,
    "powers": lambda z: -torch.sqrt(1 + (z**2).sum()) - (1 + z[0] ** 2) ** -1.5,
    "two modes": lambda z: torch.logsumexp(torch.stack([-((z - 2) ** 2).sum(), -((z + 2) ** 2).sum()]), 0),
}
NOT_EVEN: dict[str, Function] = {
    "2 branches that differ": lambda z: torch.where(z[0] > 0, -(z[0] ** 2), -2 * z[0] ** 2) - z[1] ** 2,
    "4 a clamped square": lambda z: -(torch.clamp(z[0], -1, 2) ** 2) - z[1] ** 2,
    "12 two offsets": lambda z: -torch.log1p((z[0] - 0.5) ** 2) - 2 * torch.log1p((z[0] + 0.5) ** 2) - z[1] ** 2,
    "a third power": lambda z: -(z**4).sum() + 1e-9 * z[0] ** 3,
    "a softplus": lambda z: -(z**2).sum() - F.softplus(z[0]),
    "an odd function": lambda z: -(z**2).sum() - torch.tanh(z[0]),
    "a shifted cosine": lambda z: -(z**2).sum() + torch.cos(z[0] - 1),
    "unequal modes": lambda z: torch.logsumexp(torch.stack([-((z - 2) ** 2).sum(), 0.1 - ((z + 2) ** 2).sum()]), 0),
    "a sigmoid": lambda z: torch.log(torch.sigmoid(z)).sum() - (z**2).sum(),
    "an exponential": lambda z: -torch.exp(z).sum(),
    "a log-gamma": lambda z: -torch.lgamma(torch.exp(z)).sum(),
}


@pytest.mark.parametrize("name", EVEN)
def test_even(name: str) -> None:
    assert even(EVEN[name], 2)


@pytest.mark.parametrize("name", NOT_EVEN)
def test_not_even(name: str) -> None:
    assert not even(NOT_EVEN[name], 2)
    table, p = expression(NOT_EVEN[name], 2)
    assert (0,) not in [r.coordinates for r in reflections(table, p, 2)]
    assert (0, 1) not in [r.coordinates for r in reflections(table, p, 2)]


def test_trap_1_rounded_decimals() -> None:
    found = proved(lambda z: -((z[0] - 0.1 - 0.2) ** 2) - (z[0] - 0.3) ** 4, 1)
    assert found == ()
    assert proved(lambda z: -((z[0] - 0.3) ** 2) - (z[0] - 0.3) ** 4, 1) == (Reflection((0,), (Fraction(0.3),)),)


def test_trap_13_a_quadratic_about_another_point() -> None:
    assert proved(lambda z: -torch.log1p((z[0] - 0.5) ** 2) - (z[0] - 0.25) ** 2, 1) == ()


def test_trap_24_two_absolute_values_are_even_between() -> None:
    function: Function = lambda z: -torch.abs(z[0]) - torch.abs(z[0] - 1)  # noqa: E731
    assert even(function, 1, Fraction(1, 2))
    assert not even(function, 1, 0)


def test_trap_34_exchangeable_in_code_with_data_that_differ() -> None:
    def function(y: list[float]) -> Function:
        data = torch.tensor(y, dtype=torch.float64)
        return lambda z: -((data - z) ** 2).sum() - (z**4).sum()

    sites = ((0, 1, 2),)
    table, p = expression(function([0.3, 0.3, 0.3]), 3)
    assert swaps(table, p, sites) == ((0, 1), (1, 2))
    table, p = expression(function([0.3, 0.3, 0.30000000000000004]), 3)
    assert swaps(table, p, sites) == ((0, 1),)


def test_labels_of_a_mixture_may_be_swapped() -> None:
    y = torch.tensor([0.1, 2.0, -1.0], dtype=torch.float64)

    def function(z: torch.Tensor) -> torch.Tensor:
        parts = -0.5 * (y[:, None] - z) ** 2
        return torch.logsumexp(parts, 1).sum() - (z**2).sum()

    table, p = expression(function, 3)
    for images in ({0: 1, 1: 0}, {0: 1, 1: 2, 2: 0}):
        assert is_invariant(table, p, permuted(table, images))
    assert swaps(table, p, ((0, 1, 2),)) == ((0, 1), (1, 2))


def test_the_flip_group_of_independent_coordinates_is_full() -> None:
    table, p = expression(lambda z: -(z**4).sum(), 4)
    assert flip_group(table, p, 4) == [(0,), (1,), (2,), (3,)]


STEPS: list[Function] = [torch.tanh, torch.sin, torch.cos, torch.abs, torch.square]
STEPS += [
    F.softplus,
    torch.exp,
    torch.sigmoid,
    torch.relu,
    lambda u: torch.log1p(u**2),
    lambda u: 1 / (1 + u**2),
    lambda u: torch.sqrt(1 + u**2),
    lambda u: u * torch.tanh(u),
    lambda u: u**3,
    lambda u: torch.where(u > 0, u, -2 * u),
    lambda u: torch.log(torch.exp(u) + torch.exp(-u) + 0.5),
]


@pytest.mark.parametrize("seed", range(RUNS))
def test_what_is_called_invariant_is_so_at_heavy_tailed_points(seed: int) -> None:
    rng = random.Random(seed)
    parts = []
    for _ in range(rng.randint(1, 3)):
        row = torch.tensor([float(rng.randint(-1, 1)) for _ in range(3)], dtype=torch.float64)
        parts.append((rng.choice([0.0, 0.0, 0.5]), row, [rng.choice(STEPS) for _ in range(rng.randint(1, 3))]))

    def function(z: torch.Tensor) -> torch.Tensor:
        value = -0.1 * (z**2).sum()
        for offset, row, steps in parts:
            u = (row * z).sum() - offset
            for step in steps:
                u = step(0.5 * u)
            value = value - u
        return value

    table, p = expression(function, 3)
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(1000, 3, dtype=torch.float64, generator=generator)
    z = z / torch.rand(1000, 1, dtype=torch.float64, generator=generator).clamp_min(0.05)
    value = torch.func.vmap(function)
    noise = 64 * (value(z * (1 + 2.0**-50)) - value(z)).abs()  # what rounding does to sin(exp(z)) far out
    for found in reflections(table, p, 3):
        index = list(found.coordinates)
        image = z.clone()
        image[:, index] = 2 * torch.tensor([float(c) for c in found.center], dtype=torch.float64) - z[:, index]
        here, there = value(z), value(image)
        finite = torch.isfinite(here) & torch.isfinite(there) & torch.isfinite(noise)
        assert bool(((here - there).abs() <= 1e-10 * (1 + here.abs()) + noise)[finite].all())
    for a, b in swaps(table, p, ((0, 1, 2),)):
        image = z.clone()
        image[:, [a, b]] = z[:, [b, a]]
        here, there = value(z), value(image)
        finite = torch.isfinite(here) & torch.isfinite(there) & torch.isfinite(noise)
        assert bool(((here - there).abs() <= 1e-10 * (1 + here.abs()) + noise)[finite].all())
