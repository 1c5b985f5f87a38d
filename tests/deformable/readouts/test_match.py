"""Matches: exact where they can be, of second order elsewhere, and nowhere where nothing is known."""

import pytest
import torch

from pyro_symvi.deformable import bilateral, match, partners
from pyro_symvi.deformable._points import grid_points, nearest_pixels
from pyro_symvi.deformable.readouts import _match


def affine_frame(height, width, batch=2):
    """Frames (p, q, 1 - |(p, q)|^2 / 2) with p, q affine: inner products with a place (a, b) + summit there."""
    points = grid_points(height, width, like=torch.zeros((), dtype=torch.float64))
    matrix = torch.tensor([[[1.0, 0.4], [-0.3, 0.8]], [[0.2, -0.9], [1.1, 0.3]]], dtype=torch.float64)[:batch]
    return matrix, torch.einsum("bij,nj->bni", matrix, points)


def test_the_summit_is_exact_for_affine_frames() -> None:
    matrix, places = affine_frame(11, 14)
    frame = torch.cat([places, -places.square().sum(-1, keepdim=True) / 2], -1)  # <(a, 1), frame> = |a|^2/2 - |a-p|^2/2
    wanted = torch.rand(2, 50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 1.4 - 0.7
    asked = torch.cat([torch.einsum("bij,bnj->bni", matrix, wanted), torch.ones(2, 50, 1, dtype=torch.float64)], -1)
    found = match(asked.mT[..., None], frame.mT.unflatten(-1, (11, 14)))
    assert float((found - wanted).abs().max()) < 1e-12
    coarse = match(asked.mT[..., None], frame.mT.unflatten(-1, (11, 14)), refine=False)
    cells = grid_points(11, 14, like=frame)
    assert float((coarse - wanted).abs().max()) > 0.05
    assert torch.equal(coarse, cells[nearest_pixels(coarse, 11, 14)])


@pytest.mark.parametrize("refine, order", [(True, 2), (False, 1)])
def test_errors_fall_with_the_size_of_a_cell(posed, refine, order) -> None:
    errors = []
    for side in (20, 40):
        frames, true = posed(side=side)
        inside = (true.abs() < 0.9).all(-1)
        found = partners(frames, bilateral(), refine=refine)
        errors.append(float((found - true).norm(dim=-1)[inside].mean()))
    assert errors[1] < errors[0] / 2 ** (order - 0.3)
    assert errors[1] * 20 < (0.02 if refine else 0.5)  # cells


def test_the_map_acts_on_the_first_frame_and_points_are_interpolated(posed) -> None:
    frames, _ = posed(2)
    turn, _ = torch.linalg.qr(torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    turned = torch.einsum("bij,bjhw->bihw", turn, frames)
    cells = grid_points(24, 24, like=frames)
    found = match(frames, turned, turn, cells * 0.8)
    assert float((found - cells * 0.8).norm(dim=-1).max()) * 12 < 0.1
    wrong = match(frames, turned, turn.mT, cells * 0.8)
    assert float((wrong - cells * 0.8).norm(dim=-1).mean()) * 12 > 1


def test_batches_in_parts_are_batches(posed, monkeypatch) -> None:
    frames, _ = posed(3, side=12)
    whole = match(frames[:2], frames[1:])
    monkeypatch.setattr(_match, "_LOGITS", 144 * 144)
    assert torch.equal(match(frames[:2], frames[1:]), whole)


def test_hidden_cells_are_never_found_and_find_nothing(posed) -> None:
    frames, _ = posed(2, side=16)
    hidden = torch.zeros(16, 16, dtype=torch.bool)
    hidden[4:9, 9:13] = True
    veiled = torch.where(hidden, torch.nan, frames)
    found = partners(veiled, bilateral())
    assert torch.equal(torch.isnan(found).any(-1), hidden.flatten().expand(2, -1))
    centres = partners(veiled, bilateral(), refine=False)[:, ~hidden.flatten()]
    assert not bool(hidden.flatten()[nearest_pixels(centres, 16, 16)].any())
    # between cells: known neighbours speak for a point, and a point in a hidden cell has nothing
    at = torch.tensor(
        [[1 / 16, 1 / 16], [1.5 / 16, -4.5 / 16], [3.5 / 16, -4.5 / 16], [torch.nan, 0]], dtype=frames.dtype
    )
    near = match(veiled, frames, points=at)
    assert torch.isnan(near).any(-1).tolist() == [[False, False, True, True]] * 2
    assert float((near[:, :2] - at[:2]).norm(dim=-1).max()) * 8 < 0.5
    ones = torch.where(hidden, torch.nan, torch.ones_like(frames))
    torch.testing.assert_close(_match.frames_at(ones, at[:2]), torch.ones(2, 2, 3, dtype=frames.dtype))


def test_the_border_keeps_what_it_can(posed) -> None:
    frames, _ = posed(1, side=16)
    cells = grid_points(16, 16, like=frames)
    found = match(frames, frames)[0]
    inner = (cells.abs() < 0.9).all(-1)
    assert float((found - cells)[inner].norm(dim=-1).max()) < 0.02
    left = cells[:, 0] < -0.9
    assert torch.equal(found[left, 0], cells[left, 0])  # no neighbour on the left: x stays, y may move
    assert float((found - cells)[left].abs().max()) > 0


def test_shapes_are_checked(posed) -> None:
    frames, _ = posed(2, side=6)
    with pytest.raises(ValueError, match="two frames"):
        match(frames, frames[:1])
    with pytest.raises(ValueError, match="matrix"):
        match(frames, frames, torch.eye(2))
    with pytest.raises(ValueError, match="points"):
        match(frames, frames, points=torch.zeros(5, 3))
    with pytest.raises(ValueError, match="dimension 4"):
        partners(frames, bilateral(4))
    with pytest.raises(ValueError, match="element from 0 to 1"):
        partners(frames, bilateral(), element=2)
