"""Positive definite precisions whose single terms are indefinite."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from pyro_symvi.recovery.analysis.gaussian_block import gaussian_block
from pyro_symvi.recovery.analysis.gram_lift import gram_lift
from tests.recovery.analysis.quick import expression

Function = Callable[[torch.Tensor], torch.Tensor]
EFFECTS = torch.tensor([28.0, 8.0, -3.0], dtype=torch.float64)


def definite(function: Function, dim: int, block: tuple[int, ...]) -> bool:
    table, p = expression(function, dim)
    return gaussian_block(table, p, block).positive_definite


def noncentred(z: torch.Tensor) -> torch.Tensor:
    mu, t, e = z[0], z[1], z[2:]
    theta = mu + torch.exp(t) * e
    return -0.5 * ((EFFECTS - theta) ** 2).sum() / 100 - 0.02 * mu**2 - 0.5 * (e**2).sum() - t**2


DEFINITE: dict[str, tuple[Function, int, tuple[int, ...]]] = {
    "schools, not centred": (noncentred, 5, (0, 2, 3, 4)),
    "a square with a ridge": (lambda z: -((z[0] + torch.exp(z[2]) * z[1]) ** 2) - 0.1 * (z**2).sum(), 3, (0, 1)),
    "a factor that may vanish": (lambda z: -((z[0] + z[2] * z[1]) ** 2) - 0.1 * (z**2).sum(), 3, (0, 1)),
    "two exponentials": (
        lambda z: -((torch.exp(z[2]) * z[0] - torch.exp(z[3]) * z[1]) ** 2) - torch.exp(z[2]) * (z[:2] ** 2).sum(),
        4,
        (0, 1),
    ),
    "one factor, one row each": (
        lambda z: -((z[0] + torch.exp(z[2]) * z[1]) ** 2) - torch.exp(2 * z[2]) * z[1] ** 2,
        3,
        (0, 1),
    ),
}
NOT_DEFINITE: dict[str, tuple[Function, int, tuple[int, ...]]] = {
    "8 a difference of weights": (lambda z: -(z[0] ** 2) * (torch.exp(z[1]) - 1), 2, (0,)),
    "a square alone": (lambda z: -((z[0] + torch.exp(z[2]) * z[1]) ** 2) - z[2] ** 2, 3, (0, 1)),
    "a ridge on one only": (lambda z: -((z[0] + z[2] * z[1]) ** 2) - 0.1 * z[0] ** 2, 3, (0, 1)),
    "a cross term too large": (lambda z: -(z[0] ** 2) - z[1] ** 2 - 2.1 * torch.exp(z[2]) * z[0] * z[1], 3, (0, 1)),
    "a ridge of the other sign": (
        lambda z: -((z[0] + torch.exp(z[2]) * z[1]) ** 2) + 0.1 * (z[:2] ** 2).sum(),
        3,
        (0, 1),
    ),
    "a weight that may vanish": (lambda z: -(z[1] ** 2) * z[0] ** 2, 2, (0,)),
}


@pytest.mark.parametrize("name", DEFINITE)
def test_definite(name: str) -> None:
    function, dim, block = DEFINITE[name]
    assert definite(function, dim, block)


@pytest.mark.parametrize("name", NOT_DEFINITE)
def test_not_definite(name: str) -> None:
    function, dim, block = NOT_DEFINITE[name]
    assert not definite(function, dim, block)


def test_the_bound_holds() -> None:
    """z^T Lambda z >= epsilon sum m_i^2 z_i^2 at random points, against autograd."""
    table, p = expression(noncentred, 5)
    block = gaussian_block(table, p, (0, 2, 3, 4))
    lift = gram_lift(table, [(f.monomial, f.matrix) for f in block.factors if f.is_curved])
    assert lift is not None and set(lift.halves) == {0} and len(block.anchors) == 1
    z = 3 * torch.randn(200, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    index = torch.tensor([0, 2, 3, 4])
    hessian = torch.func.vmap(torch.func.hessian(noncentred))(z)[:, index][:, :, index]
    assert float(torch.linalg.eigvalsh(-hessian)[:, 0].min()) >= float(lift.epsilon)


@pytest.mark.parametrize("seed", range(30))
def test_random_sums_of_squares(seed: int) -> None:
    """Squares of random combinations with random weights, some subtracted: claims are checked by autograd."""
    rng = random.Random(seed)
    count = rng.randint(1, 4)
    rows = [[rng.randint(-2, 2) for _ in range(2)] for _ in range(count)]
    scales = [[rng.choice([0.0, 0.0, 1.0, -0.5]) for _ in range(2)] for _ in range(count)]
    signs = [rng.choice([1.0, 1.0, 1.0, 1.0, -0.3]) for _ in range(count)]
    ridge = rng.choice([0.0, 0.1])

    def function(z: torch.Tensor) -> torch.Tensor:
        value = -ridge * (z[:2] ** 2).sum()
        for row, scale, sign in zip(rows, scales, signs, strict=True):
            combination = sum(a * torch.exp(s * z[2]) * z[i] for i, (a, s) in enumerate(zip(row, scale, strict=True)))
            value = value - sign * combination**2
        return value + 0 * z.sum()

    table, p = expression(function, 3)
    if table.depends(p) & 3 != 3 or not gaussian_block(table, p, (0, 1)).positive_definite:
        return
    z = torch.zeros(81, 3, dtype=torch.float64)
    z[:, 2] = torch.linspace(-4, 4, 81)
    hessian = torch.func.vmap(torch.func.hessian(function))(z)[:, :2, :2]
    assert bool((torch.linalg.eigvalsh(hessian)[:, -1] < 0).all())
