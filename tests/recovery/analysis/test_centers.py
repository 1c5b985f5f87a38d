"""Centres that no single term shows: found by a sum of squares with the density's own symmetry."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch

from pyro_symvi.recovery.analysis import analyze_function
from pyro_symvi.recovery.analysis.symmetries import Reflection, reflections
from tests.recovery.analysis.quick import expression

Function = Callable[[torch.Tensor], torch.Tensor]
F = torch.nn.functional
X = torch.tensor([[0.5, -1.0], [1.5, 0.75], [-0.25, 0.5]], dtype=torch.float64)
C = torch.tensor([1.0, -0.5], dtype=torch.float64)


def mirrored(z: torch.Tensor) -> torch.Tensor:
    """Logistic regression with offsets, its data mirrored about C."""
    eta = torch.cat([X @ (z - C) + 0.25, X @ (z - C) - 0.25])
    labels = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
    return (labels * eta - F.softplus(eta)).sum()


CASES: dict[str, tuple[Function, tuple[float, ...]]] = {
    "two modes": (lambda z: torch.logsumexp(torch.stack([-((z - 3) ** 2).sum(), -((z + 1) ** 2).sum()]), 0), (1, 1)),
    "mirrored data": (mirrored, (1, -0.5)),
    "exponentials": (lambda z: -torch.exp(z - 0.25).sum() - torch.exp(0.75 - z).sum(), (0.5, 0.5)),
    "absolute values": (lambda z: -torch.abs(z - 1).sum() - torch.abs(z - 4).sum() - (z.sum() - 5) ** 2, (2.5, 2.5)),
}


@pytest.mark.parametrize("name", CASES)
def test_centers(name: str) -> None:
    function, center = CASES[name]
    table, p = expression(function, 2)
    found = reflections(table, p, 2)
    covered = {j: c for r in found for j, c in zip(r.coordinates, r.center, strict=True)}
    assert [float(covered[j]) for j in range(2)] == pytest.approx(center)


def test_a_logistic_law_flips_alone() -> None:
    table, p = expression(lambda z: (z - 0.5 - 2 * F.softplus(z - 0.5)).sum() - (z[1] - 0.5) ** 4, 2)
    assert reflections(table, p, 2) == tuple(Reflection((j,), (Fraction(1, 2),)) for j in range(2))


def test_data_mirrored_up_to_one_place() -> None:
    def function(z: torch.Tensor) -> torch.Tensor:
        return mirrored(z) - F.softplus(z[0] - 1) - F.softplus(1 + 2.0**-52 - z[0]) + z[0] - 1

    table, p = expression(function, 2)
    assert reflections(table, p, 2) == ()


@pytest.mark.parametrize("seed", range(12))
def test_random_sums_symmetric_about_a_point(seed: int) -> None:
    """Random terms and their mirror images; what is claimed holds at random points."""
    rng = random.Random(seed)
    steps: list[Function] = [torch.exp, F.softplus, torch.tanh, torch.cos, torch.abs, lambda u: torch.log1p(u**2)]
    rows = [torch.tensor([rng.randint(-2, 2), rng.choice([-1, 1])]).double() for _ in range(3)]
    chosen, offsets = [rng.choice(steps) for _ in rows], [rng.choice([0.0, 0.5, 1.0]) for _ in rows]
    center = torch.tensor([rng.choice([0.0, 0.5, -1.25]) for _ in range(2)]).double()
    spoil = rng.choice([0.0, 0.0, 1e-3])

    def function(z: torch.Tensor) -> torch.Tensor:
        value = -((z - center) ** 2).sum()
        for row, step, offset in zip(rows, chosen, offsets, strict=True):
            u = row @ (z - center)
            value = value - step(u + offset) - step(offset - u)
        return value - spoil * torch.exp(z[0] + z[1])

    found = analyze_function(function, 2)
    parts = [*found.reflections, *(b for b in found.blocks if b.is_symmetric), *found.ellipses]
    z = 2 * torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    value = torch.func.vmap(function)
    covered: set[int] = set()
    for part in parts:
        image = z.clone()
        at = torch.tensor([float(c) for c in part.center or ()], dtype=torch.float64)
        image[:, list(part.coordinates)] = 2 * at - z[:, list(part.coordinates)]
        assert torch.allclose(value(image), value(z), rtol=1e-9, atol=1e-9)
        covered |= set(part.coordinates)
    if not spoil:
        assert covered == {0, 1} and np.isfinite(float(value(z).sum()))
