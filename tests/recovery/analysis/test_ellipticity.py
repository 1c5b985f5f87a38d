"""Elliptical blocks that are not Gaussian: proved by writing log p as a function of one quadratic."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.recovery.analysis import Analysis, Ellipse, analyze, analyze_function
from pyro_symvi.recovery.analysis.ellipticity import elliptical_block, radial_moment
from tests.recovery.analysis.quick import expression

Function = Callable[[torch.Tensor], torch.Tensor]
A = torch.tensor([[2.0, 0.5, 0.0], [0.5, 1.0, -0.25], [0.0, -0.25, 3.0]], dtype=torch.float64)
C = torch.tensor([1.0, -0.5, 0.1], dtype=torch.float64)


def quadratic(z: torch.Tensor) -> torch.Tensor:
    return (z - C) @ (A @ (z - C))


def only(analysis: Analysis) -> Ellipse:
    assert not analysis.refusal
    (found,) = analysis.ellipses
    return found


ELLIPTICAL: dict[str, tuple[Function, bool, bool]] = {
    "Student": (lambda q: -4 * torch.log1p(q / 5), True, True),
    "a root": (lambda q: -torch.sqrt(1 + q), True, True),
    "the norm": (lambda q: -torch.sqrt(q + 1e-3), True, True),
    "a scale mixture": (lambda q: torch.logsumexp(torch.stack([-q / 2, -1 - q / 8]), 0), True, True),
    "a quartic": (lambda q: -q - 0.25 * q**2 - torch.exp(q), True, True),
    "Student times Gaussian": (lambda q: -q - torch.log1p(q), True, True),
    "a ring": (lambda q: -torch.abs(q - 4), False, False),
    "a wave": (lambda q: -q + 0.5 * torch.cos(3 * q), False, False),
    "where": (lambda q: torch.where(q > 1, -q, -2 * q + 1), False, False),
}


@pytest.mark.parametrize("name", ELLIPTICAL)
def test_profiles(name: str) -> None:
    profile, falls, strictly = ELLIPTICAL[name]
    table, p = expression(lambda z: profile(quadratic(z)), 3)
    proved = elliptical_block(table, p, (0, 1, 2), 3)
    assert proved is not None
    block, _ = proved
    assert block.center == (1, Fraction(-1, 2), Fraction(0.1))
    assert np.allclose(np.array(block.shape, dtype=float) * 2, A.numpy(), rtol=1e-15)
    assert (block.decreasing, block.strictly) == (falls, strictly)


NOT_ELLIPTICAL: dict[str, Function] = {
    "two shapes": lambda z: -torch.log1p(quadratic(z)) - torch.log1p((z - C) @ (z - C)),
    "two centres": lambda z: -torch.log1p(quadratic(z)) - torch.log1p((z - 2 * C) @ (A @ (z - 2 * C))),
    "a term beside it": lambda z: -torch.log1p(quadratic(z)) - 1e-9 * torch.cos(z[0]),
    "a linear term": lambda z: -torch.sqrt(1 + quadratic(z)) - 1e-9 * z[1],
    "a product law": lambda z: -torch.log1p((z - C) ** 2).sum(),
    "an indefinite quadratic": lambda z: -torch.log1p((z[0] ** 2 - z[1] ** 2 + z[2] ** 2) ** 2),
    "a square of rank one": lambda z: -torch.log1p((z.sum() - 1) ** 2),
}


@pytest.mark.parametrize("name", NOT_ELLIPTICAL)
def test_what_is_not_elliptical(name: str) -> None:
    table, p = expression(NOT_ELLIPTICAL[name], 3)
    assert elliptical_block(table, p, (0, 1, 2), 3) is None
    assert not any(len(e.coordinates) == 3 for e in analyze_function(NOT_ELLIPTICAL[name], 3).ellipses)


@pytest.mark.parametrize("spoil", ["shape", "center"])
def test_one_unit_in_the_last_place(spoil: str) -> None:
    """Two terms with one quadratic, up to the last place of one number."""
    shape, center = A.clone(), C.clone()
    if spoil == "shape":
        shape[0, 0] = torch.nextafter(shape[0, 0], torch.tensor(9.0).double())
    else:
        center[2] = torch.nextafter(center[2], torch.tensor(9.0).double())
    table, p = expression(
        lambda z: -torch.log1p(quadratic(z)) - torch.sqrt(1 + (z - center) @ (shape @ (z - center))), 3
    )
    assert elliptical_block(table, p, (0, 1, 2), 3) is None
    table, p = expression(lambda z: -torch.log1p(quadratic(z)) - torch.sqrt(1 + quadratic(z)), 3)
    assert elliptical_block(table, p, (0, 1, 2), 3) is not None


@pytest.mark.parametrize(("df", "mean", "covariance"), [(0.75, False, False), (2.0, True, False), (2.5, True, True)])
def test_a_student_law(df: float, mean: bool, covariance: bool) -> None:
    """Moments of order k exist iff k < df; the correlation is that of the shape."""
    root = torch.tensor([[2.0, 0.0], [1.0, 1.0]], dtype=torch.float64)

    def model() -> None:
        pyro.sample("x", dist.MultivariateStudentT(df, torch.tensor([1.0, 2.0]).double(), root))

    found = only(analyze(model))
    assert found.center == (1, 2) and found.is_elliptical and found.is_decreasing and found.is_symmetric
    assert (found.has_mean, found.has_covariance) == (mean, covariance)
    assert np.allclose(found.correlation, [[1, 1 / 2**0.5], [1 / 2**0.5, 1]], atol=1e-15)
    assert not found.is_gaussian and "elliptical" in str(found)


def test_a_scale_that_is_unknown() -> None:
    """x | s is Student with scale e^s: elliptical whatever s."""
    root = torch.tensor([[2.0, 0.5], [0.0, 1.0]], dtype=torch.float64)

    def function(z: torch.Tensor) -> torch.Tensor:
        x, s = z[:2], z[2]
        u = (root @ (x - C[:2])) * torch.exp(-s)
        return -2 * s - 4 * torch.log1p((u**2).sum() / 6) - s**2

    found = only(analyze_function(function, 3))
    assert found.coordinates == (0, 1) and found.center == (1, Fraction(-1, 2)) and found.is_decreasing


@pytest.mark.parametrize("seed", range(12))
def test_random_profiles_and_blocks(seed: int) -> None:
    """Claims hold at random points: log p is the same where Q is the same, and falls with it."""
    rng = random.Random(seed)
    root = torch.tensor([[rng.randint(1, 3), 0.0], [rng.randint(-2, 2), 1.0]], dtype=torch.float64)
    center = torch.tensor([rng.choice([0.0, 0.5, 0.1]) for _ in range(2)], dtype=torch.float64)
    profiles = [rng.choice([ELLIPTICAL[k][0] for k in ELLIPTICAL]) for _ in range(2)]
    weight = rng.choice([torch.exp, lambda y: 1 + y**2, torch.cos])
    spoil = rng.choice([0.0, 0.0, 0.1])

    def function(z: torch.Tensor) -> torch.Tensor:
        u = root @ (z[:2] - center)
        q = u @ u
        return profiles[0](q) + weight(z[2]) * profiles[1](q) - z[2] ** 2 - spoil * torch.tanh(z[0]) * z[2]

    table, p = expression(function, 3)
    proved = elliptical_block(table, p, (0, 1), 3)
    assert (proved is None) == (spoil != 0)
    if proved is None:
        return
    block, line = proved
    radial_moment(table, line, (0, 1), 3, 1)
    generator = torch.Generator().manual_seed(seed)
    factor = torch.linalg.cholesky(torch.tensor([[float(x) for x in row] for row in block.shape], dtype=torch.float64))
    middle = torch.tensor([float(c) for c in block.center], dtype=torch.float64)
    radius, rest = 3 * torch.rand(100, 1, dtype=torch.float64, generator=generator), torch.randn(100, 1).double()

    def at(r: torch.Tensor) -> torch.Tensor:
        angle = 6.3 * torch.rand(100, 1, dtype=torch.float64, generator=generator)
        x = middle + r * torch.cat([angle.cos(), angle.sin()], 1) @ torch.linalg.inv(factor)
        return torch.func.vmap(function)(torch.cat([x, rest], 1))

    here, there = at(radius), at(radius)
    assert bool(((here - there).abs() <= 1e-8 * (1 + here.abs())).all())
    if block.decreasing:
        assert bool((at(1.01 * radius) <= here + 1e-9 * (1 + here.abs())).all())
