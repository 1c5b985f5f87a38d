"""Symmetries fitted to frames afterwards, and how far frames are from them."""

import math

import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from torch import Tensor

from pyro_symvi.deformable import (
    FrameSymmetry,
    bilateral,
    consistency_residual,
    half_turn,
    procrustes_symmetry,
    random_gauge,
    random_rotation,
    rotational,
)
from pyro_symvi.groups import Orthogonal


def noisy(symmetry: FrameSymmetry, noise: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Frames whose symmetry was turned away by an orthogonal Q, and A = Q^T R Q."""
    generator = torch.Generator().manual_seed(seed)
    turn = random_rotation(symmetry.dim, generator=generator)
    wanted = turn.mT @ symmetry.frame_matrices()[1] @ turn
    first = torch.randn(2, symmetry.dim, 4, 5, generator=generator, dtype=torch.float64)
    second = torch.einsum("ij,bjhw->bihw", wanted, first)
    return first, second + noise * torch.randn(second.shape, generator=generator, dtype=torch.float64), wanted


@pytest.mark.parametrize("symmetry", [bilateral(), half_turn(4), rotational(5), rotational(3, 4)], ids=str)
def test_the_hidden_symmetry_is_found(symmetry: FrameSymmetry) -> None:
    first, second, wanted = noisy(symmetry, 0.0)
    found = procrustes_symmetry(first, second, symmetry)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert consistency_residual(first, second, symmetry, matrix=found).residual < 1e-5
    assert consistency_residual(first, second, symmetry).residual > 0.3  # R itself is not the frame's symmetry


@pytest.mark.parametrize("symmetry", [bilateral(), half_turn(3), rotational(5)], ids=str)
def test_no_other_conjugate_is_better(symmetry: FrameSymmetry) -> None:
    first, second, _ = noisy(symmetry, 1.5, seed=2)
    found = procrustes_symmetry(first, second, symmetry)
    matrix = symmetry.frame_matrices()[1]
    others = Orthogonal(symmetry.dim).sample(20000, generator=torch.Generator().manual_seed(4))
    moved = others.mT @ matrix @ others
    gram = torch.einsum("bihw,bjhw->ij", second, first)
    best, value = float((moved * gram).sum((-2, -1)).max()), float((found * gram).sum())
    assert best < value + 1e-9 and best > value - 0.02 * abs(value)
    torch.testing.assert_close(torch.linalg.eigvals(found).real.sort()[0], torch.linalg.eigvals(matrix).real.sort()[0])
    if bool(torch.equal(matrix @ matrix, torch.eye(3, dtype=torch.float64))):
        torch.testing.assert_close(found @ found, torch.eye(3, dtype=torch.float64))


def test_plain_procrustes_is_scipys_and_no_involution() -> None:
    first, second, _ = noisy(bilateral(), 1.5, seed=2)
    found = procrustes_symmetry(first, second, bilateral(), conjugate=False)
    rows = (frame.flatten(2).mT.reshape(-1, 3).numpy() for frame in (first, second))
    torch.testing.assert_close(found.mT, torch.from_numpy(orthogonal_procrustes(*rows)[0]))
    assert float((found @ found - torch.eye(3, dtype=torch.float64)).abs().max()) > 0.1


def test_hidden_places_do_not_count() -> None:
    first, second, wanted = noisy(bilateral(), 0.0)
    weight = torch.ones(2, 20, dtype=torch.float64)
    weight[0, 3:9], weight[1, 5] = 0, 0
    first, second = first.clone(), second.clone()
    first.flatten(2)[0, :, 3:9], second.flatten(2)[1, :, 5] = 7.0, torch.nan
    torch.testing.assert_close(procrustes_symmetry(first, second, bilateral(), weight), wanted)
    residual = consistency_residual(first, second, bilateral(), weight.reshape(2, 4, 5), matrix=wanted)
    assert residual.residual < 1e-12 and residual.relative < 1e-12 and float(residual) == residual.residual
    doubled = torch.where(weight > 0, torch.arange(1.0, 21, dtype=torch.float64), 0.0)  # weights are squares of lengths
    first, second = torch.randn(2, 2, 3, 20, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    long = doubled.sqrt()[:, None]
    torch.testing.assert_close(
        procrustes_symmetry(first, second, bilateral(), doubled),
        procrustes_symmetry(long * first, long * second, bilateral()),
    )
    first[0, :, 4] = torch.inf
    with pytest.raises(ValueError, match="expected finite frames"):
        procrustes_symmetry(first, second, bilateral())
    with pytest.raises(ValueError, match=r"expected weight \[2, 20\], got \[2, 4\]"):
        procrustes_symmetry(first, second, bilateral(), weight[:, :4])
    with pytest.raises(ValueError, match="some of them above 0"):
        consistency_residual(first, second, bilateral(), 0 * weight)
    with pytest.raises(ValueError, match=r"expected two frames \[B, 3, ...\] at the same places"):
        consistency_residual(first, second[..., :4], bilateral())
    with pytest.raises(ValueError, match="expected the number of an element, 0 to 1"):
        consistency_residual(first, second, bilateral(), element=2)


def test_the_residual_is_a_ratio_of_means() -> None:
    """On unit vectors of two places, e1 and e2: R moves e1 to -e1, so the distances are 2 and 0, the lengths 1."""
    first = torch.eye(3, dtype=torch.float64)[None, :, :2]
    found = consistency_residual(first, first, bilateral())
    assert found.residual == pytest.approx(1.0)
    assert found.chance == pytest.approx((2 + 0 + 2 * math.sqrt(2)) / 4)
    heavy = consistency_residual(first, first, bilateral(), torch.tensor([[1.0, 3.0]]))
    assert heavy.residual == pytest.approx(0.5)
    assert heavy.chance == pytest.approx((2 + 0 + 6 * math.sqrt(2)) / 16)


def test_what_knows_nothing_is_at_chance() -> None:
    """A constant frame on the mirror plane obeys the symmetry to the letter; noise is at chance."""
    flat = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)[None, :, None].expand(2, 3, 30)
    found = consistency_residual(flat, flat, bilateral())
    assert found.residual == 0 and found.relative == 1
    noise = torch.randn(2, 2, 3, 900, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert consistency_residual(*noise, bilateral()).relative == pytest.approx(1, abs=0.05)
    gauge = random_gauge(bilateral(), generator=torch.Generator().manual_seed(1))
    first, second = noise[0], torch.einsum("ij,bjn->bin", bilateral().frame_matrices()[1], noise[0])
    assert consistency_residual(gauge @ first, gauge @ second, bilateral()).residual < 1e-12
    turn = random_rotation(3, generator=torch.Generator().manual_seed(1))
    assert consistency_residual(turn @ first, turn @ second, bilateral()).residual > 0.3
