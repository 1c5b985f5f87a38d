"""Random densities: whatever is claimed of a block is checked at heavy-tailed points, in floating point."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
import torch

from pyro_symvi.recovery.analysis.differential import compare
from pyro_symvi.recovery.analysis.driver import find_blocks
from tests.recovery.analysis.quick import expression

F = torch.nn.functional
RUNS = 24 if os.environ.get("CI") else 48

UNARY: list[Callable[[torch.Tensor], torch.Tensor]] = [
    torch.exp,
    torch.tanh,
    torch.sin,
    torch.cos,
    F.softplus,
    torch.sigmoid,
    torch.abs,
    torch.relu,
    torch.square,
    lambda x: torch.log1p(x**2),
    lambda x: 1 / (1 + x**2),
    lambda x: torch.sqrt(1 + x**2),
    lambda x: torch.where(x > 0.25, x, 2 * x),
    lambda x: torch.lgamma(torch.exp(x)),
    lambda x: torch.exp(-(x**2)),
    lambda x: x * x.exp(),
]


WEIGHTS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    torch.exp,
    lambda y: 1 + y**2,
    lambda y: y,
    lambda y: 1 + 0 * y,
]


def random_function(rng: random.Random, dim: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A sum of weight(rest) * (a.z - c)^2 and of random graphs, some of which spoil the block."""
    terms = rng.randint(2, 4)
    weights = [
        rng.choice([lambda y: torch.exp(y), lambda y: 1 + y**2, lambda y: y, lambda y: 1 + 0 * y]) for _ in range(terms)
    ]
    rows = [torch.tensor([float(rng.randint(-2, 2)) for _ in range(dim)], dtype=torch.float64) for _ in range(terms)]
    center = torch.tensor([rng.choice([0.0, 0.5, -1.25, 0.1]) for _ in range(dim)], dtype=torch.float64)
    offsets = [0.0 if rng.random() < 0.8 else 0.3 for _ in range(terms)]
    chain = [rng.choice(UNARY) for _ in range(rng.randint(1, 3))]
    spoiled = rng.random() < 0.3
    inner = torch.tensor(
        [float(rng.randint(-1, 1)) if spoiled else 0.0 for _ in range(dim)] + [1.0], dtype=torch.float64
    )
    sign = rng.choice([1.0, 1.0, 1.0, -1.0])

    def function(z: torch.Tensor) -> torch.Tensor:
        x, y = z[:dim], z[dim]
        value = z.new_zeros(())
        for weight, row, offset in zip(weights, rows, offsets, strict=True):
            value = value - 0.5 * weight(y) * ((row * (x - center)).sum() - offset) ** 2
        graph = (inner * z).sum()
        for step in chain:
            graph = step(0.5 * graph)
        return sign * value - graph - y**2

    return function


@pytest.mark.parametrize("seed", range(RUNS))
def test_claims_about_blocks_hold(seed: int) -> None:
    rng = random.Random(seed)
    dim = rng.randint(1, 3)
    function = random_function(rng, dim)
    table, p = expression(function, dim + 1)
    compare(function, p, table, dim + 1)
    assert not table.open_obligations
    blocks = find_blocks(table, p, tuple(f"z[{j}]" for j in range(dim + 1)))
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(200, dim + 1, dtype=torch.float64, generator=generator)
    z = z * torch.logspace(-2, 1, 200, dtype=torch.float64)[:, None]
    value = torch.func.vmap(function)
    for block in blocks:
        index = torch.tensor(block.coordinates)
        if block.center is not None:
            center = torch.tensor([float(c) for c in block.center], dtype=torch.float64)
            image = z.clone()
            image[:, index] = 2 * center - z[:, index]
            here, there = value(z), value(image)
            finite = torch.isfinite(here) & torch.isfinite(there)
            assert finite.sum() > 50
            assert bool(((here - there).abs() <= 1e-9 * (1 + here.abs()))[finite].all())
        if block.is_gaussian:
            hessian = torch.func.vmap(torch.func.hessian(function))(z)[:, index][:, :, index]
            ok = torch.isfinite(hessian).all(-1).all(-1)
            assert bool((torch.linalg.eigvalsh(hessian[ok])[:, -1] < 0).all())
            moved = z.clone()
            moved[:, index] += torch.randn(200, len(index), dtype=torch.float64, generator=generator)
            other = torch.func.vmap(torch.func.hessian(function))(moved)[:, index][:, :, index]
            assert torch.allclose(hessian[ok], other[ok], rtol=1e-8, atol=1e-8)
