"""Theorem R: centres that are affine in the rest, proved by substituting the conditional reflection."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.recovery.analysis import AffineCenter, analyze, analyze_function
from pyro_symvi.recovery.analysis.affine_centers import affine_center, is_conditional_reflection
from pyro_symvi.recovery.analysis.gaussian_block import grouped
from tests.recovery.analysis.quick import expression

Function = Callable[[torch.Tensor], torch.Tensor]
F = Fraction
EFFECTS = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0], dtype=torch.float64)
ERRORS = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0], dtype=torch.float64)


def schools(tau: float | None) -> None:
    mu = pyro.sample("mu", dist.Normal(0.0, 5.0))
    scale = pyro.sample("tau", dist.HalfCauchy(5.0)) if tau is None else torch.tensor(tau).double()
    theta = pyro.sample("theta", dist.Normal(mu * torch.ones(8), scale).to_event(1))
    pyro.sample("y", dist.Normal(theta, ERRORS).to_event(1), obs=EFFECTS)


def test_eight_schools_with_known_tau() -> None:
    """E(theta_j | mu) and E(mu | theta) by conjugacy: precision-weighted means."""
    found = {c.coordinates: c for c in analyze(schools, 3.0).affine_centers}
    theta, mu = found[tuple(range(1, 9))], found[(0,)]
    assert theta.on == (0,) and mu.on == tuple(range(1, 9))
    for j in range(8):
        s2 = F(int(ERRORS[j])) ** 2
        weight = F(1, 9) / (F(1, 9) + 1 / s2)
        assert theta.slope[j] == (weight,)
        assert theta.intercept[j] == (1 - weight) * F(int(EFFECTS[j]))
    assert mu.intercept == (0,) and mu.slope == ((F(1, 9) / (F(8, 9) + F(1, 25)),) * 8,)


def test_eight_schools_with_unknown_tau_has_none() -> None:
    assert analyze(schools, None).affine_centers == ()


def test_a_hierarchical_normal() -> None:
    """Unit spread between groups, unknown noise: E(mu | theta) is shrunk, E(theta | mu) depends on the noise."""

    def model() -> None:
        mu = pyro.sample("mu", dist.Normal(0.0, 10.0))
        sigma = pyro.sample("sigma", dist.LogNormal(0.0, 1.0))
        theta = pyro.sample("theta", dist.Normal(mu * torch.ones(4), 1.0).to_event(1))
        y = torch.tensor([[0.3, 1.0], [2.0, -1.0], [0.5, 0.1], [0.9, 1.4]]).double()
        pyro.sample("y", dist.Normal(theta[:, None], sigma).to_event(2), obs=y)

    (found,) = analyze(model).affine_centers
    assert found == AffineCenter((0,), (2, 3, 4, 5), (F(0),), ((F(100, 401),) * 4,))
    assert float(found.slope[0][0]) == pytest.approx(0.2494, abs=1e-4)


def test_a_student_law_about_a_line() -> None:
    """The example of Theorem R: y log-gamma, x | y ~ a + B y + e^{.3 y} t_5, not Gaussian in anything."""

    def function(z: torch.Tensor) -> torch.Tensor:
        x, y = z
        u = (x - 1.5 + 0.75 * y) * torch.exp(-0.25 * y)
        return 2 * y - torch.exp(y) - 0.25 * y - 3 * torch.log1p(u**2 / 5)

    (found,) = analyze_function(function, 2).affine_centers
    assert found == AffineCenter((0,), (1,), (F(3, 2),), ((F(-3, 4),),))


def test_a_centre_that_bends_is_not_affine() -> None:
    def function(z: torch.Tensor) -> torch.Tensor:
        return -((z[0] - z[1] ** 2) ** 2) - z[1] ** 4

    assert analyze_function(function, 2).affine_centers == ()
    table, p = expression(function, 2)
    line = AffineCenter((0,), (1,), (F(0),), ((F(1),),))
    assert not is_conditional_reflection(table, p, line)


@pytest.mark.parametrize("spoil", ["slope", "intercept", "skew"])
def test_a_unit_in_the_last_place_spoils_it(spoil: str) -> None:
    slope, intercept = (0.1 if spoil != k else float(np.nextafter(0.1, 1)) for k in ("slope", "intercept"))

    def function(z: torch.Tensor) -> torch.Tensor:
        first = (z[0] - 0.1 - 0.1 * z[1]) ** 2
        second = (z[0] - intercept - slope * z[1]) ** 2
        odd = 1e-12 * torch.tanh(z[0]) if spoil == "skew" else 0.0
        return -first * torch.exp(z[2]) - second - z[1] ** 4 - z[2] ** 2 - odd

    found = analyze_function(function, 3).affine_centers
    assert not any(0 in c.coordinates for c in found)


def test_the_same_without_the_spoiling() -> None:
    def function(z: torch.Tensor) -> torch.Tensor:
        square = (z[0] - 0.1 - 0.1 * z[1]) ** 2
        return -square * torch.exp(z[2]) - square - z[1] ** 4 - z[2] ** 2

    (found,) = analyze_function(function, 3).affine_centers
    assert found == AffineCenter((0,), (1,), (F(0.1),), ((F(0.1),),))


WEIGHTS: list[Function] = [
    torch.exp,
    lambda y: 1 + y**2,
    lambda y: 1 + 0 * y,
    torch.sigmoid,
    lambda y: torch.cos(y) + 1.5,
]
PROFILES: list[Function] = [
    lambda q: -q,
    lambda q: -torch.log1p(q),
    lambda q: -torch.sqrt(1 + q),
    lambda q: torch.exp(-q),
]


@pytest.mark.parametrize("seed", range(16))
def test_random_conditional_laws(seed: int) -> None:
    """x | y about a + B y, in random profiles and weights; every claim is checked at heavy-tailed points."""
    rng = random.Random(seed)
    slope = torch.tensor([[rng.randint(-3, 3) / 2 for _ in range(2)] for _ in range(2)], dtype=torch.float64)
    intercept = torch.tensor([rng.choice([0.0, 0.5, -1.25, 0.1]) for _ in range(2)], dtype=torch.float64)
    rows = torch.tensor([[1.0, rng.randint(-1, 1)], [rng.randint(-1, 1), 2.0]], dtype=torch.float64)
    profiles, weights = [rng.choice(PROFILES) for _ in rows], [rng.choice(WEIGHTS) for _ in rows]
    bend = rng.choice([0.0, 0.0, 0.5])

    def function(z: torch.Tensor) -> torch.Tensor:
        x, y = z[:2], z[2:]
        u = rows @ (x - intercept - slope @ y - bend * y[0] ** 2)
        parts = [f(w(y[1]) * q**2) for f, w, q in zip(profiles, weights, u, strict=True)]
        return sum(parts) - torch.exp(y).sum() + y.sum()

    table, p = expression(function, 4)
    z = torch.randn(200, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    z = z * torch.logspace(-1, 0.6, 200, dtype=torch.float64)[:, None]
    value = torch.func.vmap(function)
    hits = 0
    for block in ((0, 1), (0,), (1,), (2,), (3,), (0, 1, 2)):
        found = affine_center(table, p, block, 4)
        if found is None:
            continue
        hits += block == (0, 1)
        image = z.clone()
        center = (
            z[:, list(found.on)]
            @ torch.tensor([[float(b) for b in row] for row in found.slope], dtype=torch.float64).mT
        )
        center = center + torch.tensor([float(a) for a in found.intercept], dtype=torch.float64)
        image[:, list(found.coordinates)] = 2 * center - z[:, list(found.coordinates)]
        here, there = value(z), value(image)
        finite = torch.isfinite(here) & torch.isfinite(there)
        assert bool(((here - there).abs() <= 1e-8 * (1 + here.abs()))[finite].all())
    assert hits == (bend == 0)


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_conditional_moments_of_gaussians(seed: int) -> None:
    """B = -Lambda_JJ^{-1} Lambda_JR for a joint Gaussian."""
    rng = np.random.default_rng(seed)
    root = rng.integers(-2, 3, (5, 5)) + 3 * np.eye(5)
    precision = torch.tensor(root @ root.T)
    center = torch.tensor(rng.integers(-3, 4, 5) / 4)
    function: Function = lambda z: -0.5 * (z - center) @ (precision @ (z - center))  # noqa: E731
    table, p = expression(function, 5)
    found = affine_center(table, p, (0, 2), 5, grouped(table, p, (0, 2)).values())
    assert found is not None
    rest = [1, 3, 4]
    slope = -np.linalg.solve(precision.numpy()[np.ix_([0, 2], [0, 2])], precision.numpy()[np.ix_([0, 2], rest)])
    full = np.zeros((2, 5))
    for k, column in zip(found.on, np.array(found.slope, dtype=float).T, strict=True):
        full[:, k] = column
    assert np.allclose(full[:, rest], slope, atol=1e-12)
    expected = center.numpy()[[0, 2]] - slope @ center.numpy()[rest]
    assert np.allclose(np.array(found.intercept, dtype=float), expected, atol=1e-12)
