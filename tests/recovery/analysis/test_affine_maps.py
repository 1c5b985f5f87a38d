"""Invariance under affine maps that somebody names: proved by substitution, and never where it is false."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.recovery.analysis import analyze, prove_invariance
from pyro_symvi.recovery.analysis.affine_maps import determinant, prove_map
from tests.recovery.analysis.quick import expression

F = Fraction
Function = Callable[[torch.Tensor], torch.Tensor]
THREE_FIVE = [[F(3, 5), F(-4, 5)], [F(4, 5), F(3, 5)]]


def density(function: Function, dim: int) -> LogDensity:
    return LogDensity.from_callable(function, dim)


def test_a_rotation_by_a_pythagorean_angle() -> None:
    round_ = density(lambda z: -2 * torch.log1p((z**2).sum()), 2)
    proof = prove_invariance(round_, THREE_FIVE)
    assert bool(proof) and proof.proved and "same expression" in proof.reason
    square = prove_invariance(density(lambda z: -(z**4).sum(), 2), THREE_FIVE)
    assert not square and not square.proved and "changes the expression" in square.reason


def test_floats_are_the_fractions_stored() -> None:
    """0.6^2 + 0.8^2 is not 1 in dyadic fractions: such a matrix is no rotation."""
    round_ = density(lambda z: -2 * torch.log1p((z**2).sum()), 2)
    proof = prove_invariance(round_, torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64))
    assert not proof and "determinant" in proof.reason
    assert prove_invariance(round_, np.array([[0.0, -1.0], [1.0, 0.0]]))


def test_an_offset() -> None:
    flip = [[-1, 0], [0, 1]]
    about_half = density(lambda z: -torch.log1p((z[0] - 0.5) ** 2) - z[1] ** 2, 2)
    assert not prove_invariance(about_half, flip)
    assert prove_invariance(about_half, flip, [1, 0])
    assert not prove_invariance(about_half, flip, [F(1) + F(1, 2**52), 0])


def test_shears_that_keep_volume_count_and_scalings_do_not() -> None:
    """p(z) depends on z_1 - z_0 and |z_0| only: the conditional reflection z_1 -> 2 z_0 - z_1 is a shear."""
    sheared = density(lambda z: -((z[1] - z[0]) ** 2) - z[0] ** 4, 2)
    analysis = analyze(sheared)
    assert prove_invariance(analysis, [[1, 0], [2, -1]])
    assert prove_invariance(analysis, [[-1, 0], [0, -1]])
    assert not prove_invariance(analysis, [[1, 0], [0, -1]])
    flat = prove_invariance(density(lambda z: -((z[0] - z[1]) ** 2), 2), [[2, -1], [1, 0]])
    assert flat  # z_0 - z_1 is kept, and so is volume
    assert not prove_invariance(density(lambda z: -((z[0] - z[1]) ** 2), 2), [[3, -2], [2, -1 + F(1, 2)]])


def test_an_idealised_density_is_not_called_proved() -> None:
    x = torch.tensor([[0.3, -1.0], [1.5, 0.7]], dtype=torch.float64)

    def mirrored(z: torch.Tensor) -> torch.Tensor:
        eta = torch.cat([x, x]) @ z
        labels = torch.tensor([1.0, 1, 0, 0], dtype=torch.float64)
        return (labels * eta - torch.nn.functional.softplus(eta)).sum() - (z**2).sum()

    proof = prove_invariance(density(mirrored, 2), [[-1, 0], [0, -1]])
    assert proof.proved and not proof and "idealised" in proof.reason and proof.idealisations


def test_nothing_is_proved_of_what_cannot_be_read() -> None:
    proof = prove_invariance(density(lambda z: torch.log(z[0] ** 2) - (z**2).sum(), 2), [[-1, 0], [0, 1]])
    assert not proof and "nothing is proved" in proof.reason


def test_models_with_their_data_inside() -> None:
    def model(y: torch.Tensor) -> None:
        w = pyro.sample("w", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        s = pyro.sample("s", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Normal(w * s, 1.0).to_event(1), obs=y)

    target = LogDensity.from_model(model, torch.tensor([0.4, -1.0, 0.7], dtype=torch.float64))
    assert prove_invariance(target, -np.eye(4))
    one = np.eye(4)
    one[3, 3] = -1
    assert not prove_invariance(target, one)


def test_arguments() -> None:
    target = density(lambda z: -(z**2).sum(), 2)
    for matrix in ([[1, 0]], [[1, 0, 0], [0, 1, 0]], 3, [1, 0], "ab"):
        with pytest.raises(ValueError, match="expected a matrix of shape"):
            prove_invariance(target, matrix)
    with pytest.raises(ValueError, match="expected an offset of 2 numbers"):
        prove_invariance(target, [[1, 0], [0, 1]], [1])
    with pytest.raises(ValueError, match="expected finite numbers"):
        prove_invariance(target, [[1, 0], [0, float("nan")]])
    with pytest.raises(TypeError, match="expected real numbers"):
        prove_invariance(target, [[1, 0], [0, 1j]])
    with pytest.raises(TypeError, match="expected a LogDensity or an Analysis"):
        prove_invariance(lambda z: -(z**2).sum(), [[1]])


@pytest.mark.parametrize("seed", range(6))
def test_determinants(seed: int) -> None:
    rng = random.Random(seed)
    n = rng.randint(1, 6)
    matrix = [[F(rng.randint(-3, 3), rng.randint(1, 4)) * (rng.random() < 0.6) for _ in range(n)] for _ in range(n)]
    assert float(determinant(matrix)) == pytest.approx(np.linalg.det(np.array(matrix, dtype=float)), abs=1e-9)
    order = list(range(n))
    rng.shuffle(order)
    permutation = [[F(int(k == order[j])) for k in range(n)] for j in range(n)]
    assert float(determinant(permutation)) == pytest.approx(np.linalg.det(np.array(permutation, dtype=float)))


PIECES: list[Function] = [
    lambda u: -(u**2),
    lambda u: -(u**4),
    torch.cos,
    torch.tanh,
    lambda u: -torch.log1p(u**2),
    lambda u: -torch.abs(u),
    lambda u: torch.exp(-(u**2)),
    torch.sin,
]


@pytest.mark.parametrize("seed", range(12))
def test_random_maps_on_random_densities(seed: int) -> None:
    """A density averaged over a random finite group is proved invariant; every proof holds at random points."""
    rng = random.Random(seed)
    dim = 3
    rows = [torch.tensor([float(rng.randint(-2, 2)) for _ in range(dim)], dtype=torch.float64) for _ in range(2)]
    pieces = [rng.choice(PIECES) for _ in rows]
    order = list(range(dim))
    rng.shuffle(order)
    signs = [rng.choice([1, -1]) for _ in range(dim)]
    g = [[F(signs[j] * int(k == order[j])) for k in range(dim)] for j in range(dim)]
    powers = [np.eye(dim)]
    while len(powers) == 1 or not np.array_equal(powers[-1], powers[0]):
        powers.append(np.array(g, dtype=float) @ powers[-1])
    images = torch.tensor(np.stack(powers[1:]))

    def symmetric(z: torch.Tensor) -> torch.Tensor:
        value = -0.1 * (z**2).sum()
        for image in images:
            for row, piece in zip(rows, pieces, strict=True):
                value = value + piece((row * (image @ z)).sum())
        return value

    table, p = expression(symmetric, dim)
    assert prove_map(table, p, g, [F(0)] * dim)[0]
    other = list(range(dim))
    rng.shuffle(other)
    h = [[F(rng.choice([1, -1]) * int(k == other[j])) for k in range(dim)] for j in range(dim)]
    z = torch.randn(50, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    value = torch.func.vmap(symmetric)
    gap = (value(z @ torch.tensor([[float(x) for x in row] for row in h]).double().mT) - value(z)).abs().max()
    assert prove_map(table, p, h, [F(0)] * dim)[0] == bool(gap < 1e-9)
