"""Errors of correspondences: by hand, against quadrature, and what a guess is worth."""

import math

import pytest
import torch

from pyro_symvi.deformable import (
    ambiguous_error,
    bilateral,
    chance_error,
    correspondence_error,
    cycle_error,
    flip_consistency,
    half_turn,
    match,
    partners,
    rotational,
)
from pyro_symvi.deformable._points import grid_points

SIDE_OF_SQUARE = (2 + math.sqrt(2) + 5 * math.log(1 + math.sqrt(2))) / 15


def test_by_hand() -> None:
    true = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [[0.5, 0.5], [torch.nan, 0.0], [0.0, 0.0]]])
    found = torch.tensor([[[0.1, 0.0], [0.0, 0.1], [0.6, 0.8]], [[0.7, 0.5], [0.0, 0.0], [torch.nan, torch.nan]]])
    error = correspondence_error(found, true, torch.tensor([20.0, 50.0]), size=(40, 20))  # unit: 10 px in x, 20 in y
    torch.testing.assert_close(error.pixels, torch.tensor([(1 + 2 + math.hypot(6, 16)) / 3, 2.0]))
    torch.testing.assert_close(error.percent, error.pixels / torch.tensor([20.0, 50.0]) * 100)
    torch.testing.assert_close(error.within_5, torch.tensor([100 / 3, 50.0]))
    torch.testing.assert_close(error.within_10, torch.tensor([200 / 3, 50.0]))
    torch.testing.assert_close(error.missing, torch.tensor([0.0, 50.0]))
    assert error.mean() == pytest.approx(float(error.pixels.mean()))
    assert error.standard_error() == pytest.approx(float(error.pixels[0] - 2) / 2)  # of two values: half their distance
    weighted = correspondence_error(found, true, 20.0, torch.tensor([3.0, 1.0, 0.0]), size=(40, 20))
    torch.testing.assert_close(weighted.pixels, torch.tensor([5 / 4, 2.0]))
    assert weighted.summary()["within_5"][0] == pytest.approx((75 + 0) / 2)


def test_images_without_points_do_not_count() -> None:
    true = torch.full((3, 4, 2), torch.nan)
    true[0] = 0
    error = correspondence_error(torch.ones(3, 4, 2), true, size=(10, 10))
    assert torch.isnan(error.pixels).tolist() == [False, True, True]
    assert error.mean("percent") == pytest.approx(5 * math.sqrt(2) * 10)
    assert math.isnan(error.standard_error())


def test_a_guess_is_as_good_as_the_mean_distance_of_the_grid() -> None:
    size = (30, 30)
    points = grid_points(*size, like=torch.zeros((), dtype=torch.float64))[None]
    chance = chance_error(points, size=size)
    assert chance.mean("percent") == pytest.approx(100 * SIDE_OF_SQUARE, rel=2e-3)
    drawn = 2 * torch.rand(1, 900, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    guess = correspondence_error(drawn, points, size=size)
    assert guess.mean() == pytest.approx(chance.mean(), rel=0.05)
    assert guess.mean("within_10") == pytest.approx(chance.mean("within_10"), abs=2)
    middle = chance_error(torch.zeros(1, 1, 2, dtype=torch.float64), size=(200, 200)).mean("percent")
    assert middle == pytest.approx(100 * (math.sqrt(2) + math.asinh(1)) / 6, rel=1e-4)  # the centre of a square


def test_frames_of_truth_have_small_errors_and_a_random_frame_a_guess(posed) -> None:
    frames, true = posed(4)
    known = torch.where((true.abs() < 0.9).all(-1, keepdim=True), true, torch.nan)
    good = correspondence_error(partners(frames, bilateral()), known, size=(24, 24))
    assert good.mean() < 0.1 and good.mean("within_5") == 100
    wrong = correspondence_error(partners(frames, half_turn()), known, size=(24, 24))
    assert wrong.mean() > 10 * good.mean() and wrong.mean("percent") > 10
    noise = torch.randn(4, 3, 24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    guess = correspondence_error(partners(noise, bilateral()), known, size=(24, 24))
    chance = chance_error(known, size=(24, 24))
    assert 0.8 * chance.mean() < guess.mean() < 1.5 * chance.mean()


def test_the_best_candidate_is_taken_image_by_image_or_for_all() -> None:
    true = torch.zeros(2, 5, 2)
    found = torch.stack([true + 0.1, true + 0.3])
    found[:, 1] = found[:, 1].flip(0)
    found[0, 0, 0] = 0.9  # a bad point does not change the candidate of the others
    each = ambiguous_error(found, true, size=(20, 20))
    assert each.element is not None and each.element.tolist() == [0, 1]
    for number in range(2):
        alone = correspondence_error(found[number], true, size=(20, 20))
        assert float(each.pixels[number]) == pytest.approx(float(alone.pixels[number]))
        assert bool((each.pixels <= alone.pixels + 1e-6).all())
    shared = ambiguous_error(found, true, size=(20, 20), shared=True)
    assert shared.element is not None and shared.element.tolist() == [1, 1]
    hidden = torch.cat([true, torch.full((1, 5, 2), torch.nan)])  # an image without points has no say
    shared = ambiguous_error(torch.cat([found, found[:, :1]], 1), hidden, size=(20, 20), shared=True)
    assert shared.element is not None and shared.element.tolist() == [1, 1, 1]
    swapped = ambiguous_error(true, found, size=(20, 20))  # candidates of the truth: the same distances
    torch.testing.assert_close(swapped.pixels, each.pixels)
    with pytest.raises(ValueError, match="candidates"):
        ambiguous_error(true, true, size=(20, 20))


def test_turned_frames_are_right_up_to_an_element() -> None:
    angle = 2 * math.pi * torch.rand(2, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    points = grid_points(20, 20, like=angle)
    radius, polar = points.norm(dim=-1), torch.atan2(points[:, 1], points[:, 0])

    def seen(phase):
        turned = torch.stack([radius * (polar + phase).cos(), radius * (polar + phase).sin()], -1) / 1.5
        return torch.cat([turned, (1 - turned.square().sum(-1, keepdim=True)).sqrt()], -1).mT.unflatten(-1, (20, 20))

    symmetry, true = (
        rotational(4),
        torch.where((points.norm(dim=-1) < 0.8)[:, None], points, torch.nan).expand(2, -1, 2),
    )
    pose = torch.tensor([[1.0], [3.0]], dtype=angle.dtype) * math.pi / 2  # known up to quarter turns only
    candidates = torch.stack([match(seen(angle), seen(angle + pose), matrix) for matrix in symmetry.frame_matrices()])
    error = ambiguous_error(candidates, true, size=(20, 20))
    assert error.element is not None and error.element.tolist() == [1, 3] and error.mean() < 0.1
    assert ambiguous_error(candidates, true, size=(20, 20), shared=True).mean() > 1


def test_cycles_close_on_truth_and_on_a_trivial_frame(posed) -> None:
    frames, true = posed(3)
    known = (true.abs() < 0.9).all(-1).double()
    assert cycle_error(frames, bilateral(), weight=known).mean() < 0.05
    noise = torch.randn(3, 3, 24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert cycle_error(noise, bilateral()).mean() > 5
    points = grid_points(24, 24, like=frames)
    x, y = points.unbind(-1)
    trivial = torch.stack([x, y, (4 - x**2 - y**2).sqrt()])[None].unflatten(-1, (24, 24)) / 2
    assert cycle_error(trivial, bilateral()).mean() < 0.05  # knows the place in the image, nothing of the object
    veiled = torch.where(torch.arange(24) < 9, torch.nan, frames)
    assert float(cycle_error(veiled, bilateral()).missing.max()) == 0  # places without a frame are not asked for
    turns = rotational(3)
    seen = (
        torch.cat([points, (4 - points.square().sum(-1, keepdim=True)).sqrt()], -1).mT[None].unflatten(-1, (24, 24)) / 2
    )
    inner = (points.norm(dim=-1) < 0.85).double()
    assert cycle_error(seen, turns, element=1, weight=inner, size=(48, 48)).mean() < 0.1
    assert cycle_error(seen, turns, matrix=turns.frame_matrices()[1], weight=inner).mean() < 0.05


def test_flips_agree_where_the_frame_is_that_of_the_symmetry(posed) -> None:
    frames, true = posed(2)
    symmetry = bilateral()
    moved = symmetry.on_frames(torch.ones(2, dtype=torch.long), frames).flip(-1)  # R Phi(u; I) = Phi(m u; m I)
    known = (true.abs() < 0.9).all(-1).double()
    assert flip_consistency(frames, moved, symmetry, weight=known).mean() < 1e-9
    assert flip_consistency(frames, frames.roll(1, 0), symmetry, weight=known).mean() > 1  # other poses
    assert flip_consistency(frames, moved.roll(2, -1), symmetry, weight=known).mean("pixels") > 1
    with pytest.raises(ValueError, match="moves images"):
        flip_consistency(frames, frames, rotational(3))


def test_arguments_are_checked() -> None:
    points = torch.zeros(2, 3, 2)
    with pytest.raises(ValueError, match="N, P, 2"):
        correspondence_error(points, points[:1], size=(4, 4))
    with pytest.raises(ValueError, match="width for each"):
        correspondence_error(points, points, torch.ones(3), size=(4, 4))
    with pytest.raises(ValueError, match="above 0"):
        correspondence_error(points, points, 0.0, size=(4, 4))
    with pytest.raises(ValueError, match="weight"):
        correspondence_error(points, points, weight=torch.ones(2), size=(4, 4))
    with pytest.raises(ValueError, match="0 or more"):
        correspondence_error(points, points, weight=-torch.ones(3), size=(4, 4))
    with pytest.raises(ValueError, match="N, P, 2"):
        chance_error(torch.zeros(3, 2), size=(4, 4))
