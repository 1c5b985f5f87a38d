"""What a symmetry leaves free in a frame."""

import pytest
import torch

from pyro_symvi.deformable import (
    FrameSymmetry,
    bilateral,
    commuting_maps,
    dihedral,
    half_turn,
    random_gauge,
    random_rotation,
    rotational,
)

SYMMETRIES = [bilateral(), bilateral(5), half_turn(4), rotational(2), rotational(3), rotational(5, 4), dihedral(4)]


@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=str)
def test_commuting_maps_are_a_basis_of_the_commutant(symmetry: FrameSymmetry) -> None:
    basis, matrices = commuting_maps(symmetry), symmetry.frame_matrices()
    assert len(basis) == round(float(matrices.diagonal(dim1=-2, dim2=-1).sum(-1).square().mean()))
    torch.testing.assert_close(matrices[:, None] @ basis, basis @ matrices[:, None])
    flat = basis.flatten(1)
    torch.testing.assert_close(flat @ flat.mT, torch.eye(len(flat), dtype=torch.float64))


@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=str)
def test_random_gauge_commutes_and_a_random_rotation_does_not(symmetry: FrameSymmetry) -> None:
    generator, matrices = torch.Generator().manual_seed(3), symmetry.frame_matrices()
    eye = torch.eye(symmetry.dim, dtype=torch.float64)
    for _ in range(4):
        gauge = random_gauge(symmetry, generator=generator)
        torch.testing.assert_close(gauge @ gauge.mT, eye)
        torch.testing.assert_close(matrices @ gauge, gauge @ matrices)
    turn = random_rotation(symmetry.dim, generator=generator)
    torch.testing.assert_close(turn @ turn.mT, eye)
    assert float(torch.linalg.det(turn)) == pytest.approx(1)
    assert float((matrices @ turn - turn @ matrices).abs().max()) > 0.1


def test_random_gauge_is_haar() -> None:
    """Bilateral: a fair sign, and an orthogonal map of the plane: E (tr Q)^2 is 1 for each part, E tr Q = 0.

    Turns of a plane by a third: rotations of the plane (never reflections, which would exchange the turns), and a
    sign of the axis; E cos^2 = 1/2.
    """
    generator, count = torch.Generator().manual_seed(5), 100
    plane = torch.stack([random_gauge(bilateral(), generator=generator) for _ in range(count)])
    assert float(plane[:, 0, 0].abs().min()) == pytest.approx(1)
    traces = plane[:, 1, 1] + plane[:, 2, 2]
    for values, variance in ((plane[:, 0, 0], 1.0), (traces, 1.0), (plane[:, 1, 2], 0.5)):
        assert abs(float(values.mean())) < 4.5 * (variance / count) ** 0.5
        assert float(values.square().mean()) == pytest.approx(variance, abs=0.6)
    turns = torch.stack([random_gauge(rotational(3), generator=generator) for _ in range(40)])
    torch.testing.assert_close(torch.linalg.det(turns[:, :2, :2]), torch.ones(40, dtype=torch.float64))
    assert float(turns[:, 0, 0].square().mean()) == pytest.approx(0.5, abs=0.25)
    assert set(turns[:, 2, 2].round().tolist()) == {-1.0, 1.0}


def test_draws_leave_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    random_gauge(bilateral(), generator=torch.Generator().manual_seed(0))
    random_rotation(4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())
