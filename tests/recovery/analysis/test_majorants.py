"""Integrals bounded step by step: scale mixtures and hierarchies with known moments, twins without; random ones."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import constraints

from pyro_symvi.recovery.analysis import analyze
from pyro_symvi.recovery.analysis.integrability import moment
from pyro_symvi.recovery.analysis.majorants import majorants, rescaled
from pyro_symvi.recovery.analysis.values import Values
from tests.recovery.analysis.quick import expression

F = torch.nn.functional
Function = Callable[[torch.Tensor], torch.Tensor]
RUNS = 15 if os.environ.get("CI") else 40
X = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0.3, 1.2, -0.4, 0.7, -1.0, 0.1], dtype=torch.float64)


def exists(function: Function, dim: int) -> list[bool]:
    """Integrable; first; second moments of all coordinates."""
    table, p = expression(function, dim)
    assert not table.open_obligations
    everything = tuple(range(dim))
    return [moment(table, p, everything, everything if order else (), order).exists for order in (0, 1, 2)]


def student(z: torch.Tensor, v: torch.Tensor, df: float) -> torch.Tensor:
    return -(df + 1) / 2 * torch.log1p((z - 1) ** 2 * torch.exp(-2 * v) / df) - v


def half_cauchy(v: torch.Tensor) -> torch.Tensor:
    return v - torch.log1p(torch.exp(2 * v))


def ridge(z: torch.Tensor) -> torch.Tensor:
    return -0.5 * (z[:2] ** 2).sum() * torch.exp(-2 * z[2]) - 2 * z[2]


SHOWN: dict[str, tuple[Function, int, list[bool]]] = {
    "robust regression, normal prior": (
        lambda z: -2.5 * torch.log1p((Y - X @ z) ** 2 / 4).sum() - (z**2).sum(),
        2,
        [True, True, True],
    ),
    "robust regression, Laplace prior": (
        lambda z: -2.5 * torch.log1p((Y - X @ z) ** 2 / 4).sum() - z.abs().sum(),
        2,
        [True, True, True],
    ),
    "Laplace with a log-normal scale": (
        lambda z: -(z[0] - 1).abs() * torch.exp(-z[1]) - z[1] - z[1] ** 2,
        2,
        [True, True, True],
    ),
    "Student-t, 4 degrees, log-normal scale": (lambda z: student(z[0], z[1], 4.0) - z[1] ** 2, 2, [True, True, True]),
    "Student-t, 1.5 degrees, log-normal scale": (
        lambda z: student(z[0], z[1], 1.5) - z[1] ** 2,
        2,
        [True, True, False],
    ),
    "Student-t with a half-Cauchy scale: the scale has no mean": (
        lambda z: student(z[0], z[1], 4.0) + half_cauchy(z[1]),
        2,
        [True, False, False],
    ),
    "ridge regression with a half-Cauchy scale": (
        lambda z: -((Y - X @ z[:2]) ** 2).sum() + ridge(z) + half_cauchy(z[2]),
        3,
        [True, True, True],
    ),
    "Cauchy priors, a likelihood of one direction": (
        lambda z: -torch.log1p(z**2).sum() - F.softplus(z[0] + z[1]) - F.softplus(-z[0] - z[1]),
        2,
        [True, False, False],
    ),
    "Student-t priors, a likelihood of one direction": (
        lambda z: -2 * torch.log1p(z**2 / 3).sum() - F.softplus(z[0] + z[1]) - F.softplus(-z[0] - z[1]),
        2,
        [True, True, True],
    ),
}
IMPROPER: dict[str, tuple[Function, int]] = {
    "robust regression of one direction": (lambda z: -3 * torch.log1p((z[0] + z[1]) ** 2), 2),
    "Laplace with a flat log scale": (lambda z: -z[0].abs() * torch.exp(-z[1]) - z[1], 2),
    "ridge regression with a flat log scale": (lambda z: -((Y - X @ z[:2]) ** 2).sum() + ridge(z), 3),
    "a scale alone": (lambda z: -z[0].abs() * torch.exp(-z[1]) - torch.exp(-z[1]), 2),
    "a bounded bump on nothing": (lambda z: torch.exp(-(z[0] ** 2)) - torch.exp(-(z[1] ** 2)), 2),
    "separated logits beside a Cauchy prior on the other": (
        lambda z: -F.softplus(z[0] + z[1]) - torch.log1p((z[0] - z[1]) ** 2),
        2,
    ),
}


@pytest.mark.parametrize("name", SHOWN)
def test_moments_that_exist(name: str) -> None:
    function, dim, truth = SHOWN[name]
    assert exists(function, dim) == truth


@pytest.mark.parametrize("name", IMPROPER)
def test_improper_laws_are_not_shown_proper(name: str) -> None:
    function, dim = IMPROPER[name]
    assert exists(function, dim) == [False, False, False]


def test_bounds_are_bounds() -> None:
    """log p minus the bound is bounded above, at heavy-tailed points."""
    for function, dim, _ in SHOWN.values():
        table, p = expression(function, dim)
        z = torch.randn(400, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        z = torch.cat([z, 6 * z, 40 * z])
        values = np.array([float(function(point)) for point in z])
        for found in majorants(table, p, tuple(range(dim))):
            gap = values - Values(table, found.bound)(z.numpy())[0]
            gap = gap[np.isfinite(gap)]
            near, far = gap[:400].max(), gap[400:].max(initial=-np.inf)
            assert far <= near + 1 + 1e-9 * np.abs(values[np.isfinite(values)]).max()


def test_other_units_keep_the_integral() -> None:
    """z = c + t e^u with the Jacobian e^u: the same function of the point, u more."""
    function, dim, _ = SHOWN["Student-t, 4 degrees, log-normal scale"]
    table, p = expression(function, dim)
    found = rescaled(table, p, (0, 1))
    assert found is not None and set(found.log_units) == {0}
    t = np.random.default_rng(2).normal(size=(50, 2))
    moved = torch.tensor(np.stack([1 + t[:, 0] * np.exp(t[:, 1]), t[:, 1]], 1))
    expected = np.array([float(function(point)) for point in moved]) + t[:, 1]
    assert np.allclose(Values(table, found.bound)(t)[0], expected, atol=1e-12)


PIECES: list[Callable[[torch.Tensor], torch.Tensor]] = [
    torch.abs,
    lambda u: torch.log1p(u**2),
    F.softplus,
    torch.exp,
    torch.square,
    torch.tanh,
    lambda u: u,
]


@pytest.mark.parametrize("seed", range(RUNS))
def test_what_is_shown_has_vanishing_rings(seed: int) -> None:
    """Mass (and second moment) of the rings R < |z| < 2R, along 720 rays: far ones hold less than nearer ones."""
    rng = random.Random(seed)
    terms = []
    for _ in range(rng.randint(2, 5)):
        row = (rng.choice([-1.0, 0.0, 1.0, 2.0]), rng.choice([-1.0, 0.0, 1.0]))
        scale = rng.choice([0.0, 0.0, 1.0])
        terms.append((rng.choice([-3.0, -2.0, -1.0, -0.5, 0.5]), row, scale, rng.choice(PIECES)))

    def function(z: torch.Tensor) -> torch.Tensor:
        value = 0 * z.sum()
        for c, (a, b), scale, piece in terms:
            u = a * z[0] * torch.exp(-scale * z[1]) if scale else a * z[0] + b * z[1] - 0.5
            value = value + c * piece(u)
        return value

    table, p = expression(function, 2)
    if table.depends(p) != 3:
        return
    angles = torch.linspace(0, 2 * torch.pi, 721, dtype=torch.float64)[:-1]
    rays = torch.stack([torch.cos(angles), torch.sin(angles)], 1)
    for order in (0, 2):
        if not moment(table, p, (0, 1), (0, 1) if order else (), order).exists:
            continue
        rings = []
        for inner in (100.0, 1000.0):
            radius = inner * torch.exp(torch.linspace(0, np.log(2), 40, dtype=torch.float64))
            z = (radius[:, None, None] * rays).reshape(-1, 2)
            values = torch.func.vmap(function)(z).reshape(40, -1)
            weights = torch.exp(values.clamp(max=600.0)) * radius[:, None] ** (2 + order)
            rings.append(float(torch.nan_to_num(weights, nan=0.0).mean()))
        assert rings[1] <= 0.9 * rings[0] + 1e-12


def test_a_hierarchical_model_has_its_moments() -> None:
    labels = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 1.0])

    def model(flat: bool) -> None:
        tau = pyro.sample("tau", dist.ImproperUniform(constraints.positive, (), ()) if flat else dist.HalfCauchy(1.0))
        beta = pyro.sample("beta", dist.Normal(torch.zeros(2), tau).to_event(1))
        with pyro.plate("data", len(Y)):
            pyro.sample("y", dist.Bernoulli(logits=X @ beta), obs=labels)

    found = analyze(model, False)
    assert found.refusal == "" and found.has_moments(2)
    assert "log-concave part" in found.moments[1].reason
    assert not analyze(model, True).has_moments(1)  # true, but the bounds lose it: beta is known to 1/|beta|
