"""Moments that are said to exist, against closed forms and against integrals over wider and wider intervals."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
import torch
from scipy import integrate

from pyro_symvi.recovery.analysis.integrability import moment
from tests.recovery.analysis.quick import expression

F = torch.nn.functional
Function = Callable[[torch.Tensor], torch.Tensor]


def exists(function: Function, dim: int, order: int, of: tuple[int, ...] | None = None) -> bool:
    table, p = expression(function, dim)
    assert not table.open_obligations
    everything = tuple(range(dim))
    return moment(table, p, everything, everything if of is None else of, order).exists


@pytest.mark.parametrize("df", [0.5, 1.0, 1.5, 2.0, 2.5])
def test_student_laws_have_the_moments_below_their_degrees_of_freedom(df: float) -> None:
    def function(z: torch.Tensor) -> torch.Tensor:
        return -(df + 1) / 2 * torch.log1p(z[0] ** 2 / df)

    assert exists(function, 1, 0, ())
    assert exists(function, 1, 1) == (df > 1)
    assert exists(function, 1, 2) == (df > 2)


PROPER: dict[str, tuple[Function, int]] = {
    "normal": (lambda z: -(z**2).sum(), 2),
    "logistic": (lambda z: (z - 2 * F.softplus(z)).sum(), 2),
    "Laplace": (lambda z: -torch.abs(z[0] - 1), 1),
    "log gamma": (lambda z: 2 * z[0] - torch.exp(z[0]), 1),
    "quartic": (lambda z: -(z[0] ** 4) + z[0], 1),
    "with a coupled regression": (lambda z: -torch.exp(z[0] - z[1]) - torch.exp(-z[0]) - (z**2).sum(), 2),
    "inverse gamma mixture": (
        lambda z: -3 * z[1] - torch.exp(-2 * z[1]) * (1 + (z[0] - 2) ** 2) + 0 * z[0],
        2,
    ),
}
IMPROPER: dict[str, tuple[Function, int]] = {
    "flat": (lambda z: 0 * z[0] - z[1] ** 2, 2),
    "a ridge": (lambda z: -((z[0] + z[1]) ** 2), 2),
    "one-sided": (lambda z: -torch.exp(z[0]), 1),
    "softplus one side": (lambda z: -F.softplus(z[0]), 1),
    "growing": (lambda z: torch.abs(z[0]), 1),
    "power one": (lambda z: -0.5 * torch.log1p(z[0] ** 2), 1),
    "balanced slopes": (lambda z: z[0] - F.softplus(z[0]), 1),
    "a growing quartic": (lambda z: z[0] ** 4 - z[0] ** 2, 1),
    "a growing third power": (lambda z: -(z[0] ** 2) + z[0] ** 3, 1),
    "a growing exponential": (lambda z: -(z[0] ** 2) + torch.exp(z[0]), 1),
    "too few data": (lambda z: -z[1] - torch.exp(-2 * z[1]) * (1 + z[0] ** 2), 2),
    "a perfect fit": (lambda z: -5 * z[1] - torch.exp(-2 * z[1]) * z[0] ** 2, 2),
    "a precision that vanishes": (lambda z: -(z[0] ** 2) * z[1] ** 2 - z[1] ** 2, 2),
}


@pytest.mark.parametrize("name", PROPER)
def test_proper_laws_with_all_moments(name: str) -> None:
    function, dim = PROPER[name]
    assert exists(function, dim, 0, ())
    assert exists(function, dim, 1)


@pytest.mark.parametrize("name", IMPROPER)
def test_improper_laws(name: str) -> None:
    function, dim = IMPROPER[name]
    for order in (0, 1, 2):
        assert not exists(function, dim, order, () if order == 0 else None)


@pytest.mark.parametrize("seed", range(40))
def test_random_laws_on_a_line(seed: int) -> None:
    """If the second moment is said to exist, its integral beyond +-400 is next to nothing, and beyond +-4000 less."""
    rng = random.Random(seed)
    pieces: list[tuple[float, Callable[[torch.Tensor], torch.Tensor]]] = []
    for _ in range(rng.randint(1, 4)):
        a, b = rng.choice([-2.0, -1.0, 0.5, 1.0]), rng.choice([0.0, 1.0, -0.5])
        make = rng.choice(
            [
                lambda z, a=a, b=b: F.softplus(a * z + b),
                lambda z, a=a, b=b: torch.abs(a * z + b),
                lambda z, a=a, b=b: a * z,
                lambda z, a=a, b=b: torch.log1p((a * z + b) ** 2),
                lambda z, a=a, b=b: torch.tanh(a * z + b),
                lambda z, a=a, b=b: torch.sqrt(1 + (a * z) ** 2),
            ]
        )
        pieces.append((rng.choice([-3.0, -2.0, -1.0, -0.5, 0.5, 1.0]), make))

    def function(z: torch.Tensor) -> torch.Tensor:
        return torch.stack([w * make(z[0]) for w, make in pieces]).sum() + 0 * z[0]

    def weighted(x: float, order: int) -> float:
        value = float(function(torch.tensor([x], dtype=torch.float64)))
        return math.exp(min(value, 600.0)) * abs(x) ** order

    table, p = expression(function, 1)
    if not table.depends(p):
        return
    for order in (0, 2):
        if exists(function, 1, order, () if order == 0 else None):
            body = integrate.quad(weighted, -20, 20, args=(order,), limit=200)[0]
            near = sum(integrate.quad(weighted, *ends, args=(order,))[0] for ends in ((400, 800), (-800, -400)))
            far = sum(integrate.quad(weighted, *ends, args=(order,))[0] for ends in ((4000, 8000), (-8000, -4000)))
            assert near < 0.5 * body
            assert far <= 0.9 * near or far == 0


def test_a_leading_coefficient_that_vanishes_unseen() -> None:
    """log 4 - 2 log 2 = 0 is not seen as zero: -5 log(1 + (1 + 0 z)^2) must not pass for a power law."""

    def function(z: torch.Tensor) -> torch.Tensor:
        logs = torch.cat([z**2 + 1, torch.tensor([4.0, 2.0], dtype=torch.float64)]).log()
        return -5 * torch.log1p((1 + (logs[1] - 2 * logs[2]) * z[0]) ** 2)

    assert not exists(function, 1, 0, ())
