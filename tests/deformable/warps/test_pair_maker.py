"""Pairs: the same place has the same colour in both images, whatever moved it; weights; the law of the element."""

import pytest
import torch

from pyro_symvi.deformable import (
    ColourJitter,
    DistanceLoss,
    FrameLoss,
    FrameSymmetry,
    PairMaker,
    RandomWarps,
    bilateral,
    dihedral,
    rotational,
)
from pyro_symvi.deformable._points import grid_points, values_at
from pyro_symvi.groups import Cyclic, MatrixRepresentation

WARPS = RandomWarps(angle=0.2, elastic=0.04)


def quarter_turns():
    """Quarter turns of the frame and of the image: elements that are not their own inverses."""
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    plane = torch.stack([torch.linalg.matrix_power(turn, k) for k in range(4)])
    frame = torch.eye(3, dtype=torch.float64).repeat(4, 1, 1)
    frame[:, :2, :2] = plane
    return FrameSymmetry(MatrixRepresentation(Cyclic(4), frame), MatrixRepresentation(Cyclic(4), plane))


def smooth_images(count=16, side=48):
    """Colours that tell places apart, and nothing symmetric about them."""
    x, y = grid_points(side, side).unbind(-1)
    colours = torch.stack(
        [0.5 + 0.3 * torch.sin(2 * x + y), 0.5 + 0.3 * torch.cos(3 * y - x), 0.5 + 0.3 * x * y - 0.1 * x]
    )
    return colours.view(1, 3, side, side).repeat(count, 1, 1, 1)


def colour_gap(pairs, points):
    """Largest difference of colour between places that correspond, of all that count."""
    here = values_at(pairs.first, grid_points(24, 24).expand(len(pairs.first), -1, 2))
    return float(((here - values_at(pairs.second, points)).abs().amax(1) * pairs.weight).amax())


@pytest.mark.parametrize("symmetry", [None, bilateral(), rotational(4), dihedral(3), quarter_turns()])
def test_places_that_correspond_have_the_same_colour(symmetry):
    pairs = PairMaker(WARPS, jitter=None, symmetry=symmetry).pairs(
        smooth_images(), generator=torch.Generator().manual_seed(0)
    )
    assert pairs.points.shape == (16, 576, 2) and pairs.second.shape == (16, 3, 48, 48)
    assert colour_gap(pairs, pairs.points) < 0.03
    assert colour_gap(pairs, grid_points(24, 24).expand(16, -1, 2)) > 0.3
    if symmetry is not None and symmetry.moves_images:  # the element matters, and which one
        assert 0 < int((pairs.element > 0).sum()) < 16
        assert colour_gap(pairs, symmetry.on_points(pairs.element, pairs.points)) > 0.3
    else:
        assert not pairs.element.any()


@pytest.mark.parametrize("symmetry", [bilateral(), quarter_turns()])
def test_the_true_frame_of_an_object_has_a_small_loss(symmetry):
    # The place of a pixel u of the object is (u, 1 - |u|^2 / 2) / length: R_g on places is M_g on pixels. A pose k(u)
    # that is not symmetric; the images are their own places, so that both are warped alike, then R_g for the moved.
    u = (
        grid_points(20, 20, like=torch.zeros((), dtype=torch.float64))
        @ torch.tensor([[0.9, 0.2], [-0.1, 0.8]]).double()
        + 0.1
    )
    place = torch.cat([u, 1 - u.square().sum(-1, keepdim=True) / 2], -1)
    frame = (place / place.norm(dim=-1, keepdim=True)).T.view(1, 3, 20, 20).repeat(6, 1, 1, 1)
    maker = PairMaker(WARPS, jitter=None, symmetry=symmetry, frame_size=(20, 20))
    pairs = maker.pairs(frame, generator=torch.Generator().manual_seed(4))
    loss = FrameLoss(symmetry, DistanceLoss(power=1))
    first, second = (800 * torch.nn.functional.normalize(part, dim=1) for part in (pairs.first, pairs.second))
    assert loss(first, symmetry.on_frames(pairs.element, second), pairs).max() < 0.6  # cells of the frame
    moved = pairs.element > 0
    assert moved.any()
    wrong = loss(first, second, pairs)  # as if the frame did not know that the image was moved
    assert wrong[moved].min() > 4 and wrong[~moved].max() < 0.6


def test_what_is_not_seen_does_not_count():
    maker = PairMaker(RandomWarps(translation=0.5, elastic=0.03), symmetry=bilateral(), padding="zeros")
    pairs = maker.pairs(torch.ones(16, 1, 48, 48), generator=torch.Generator().manual_seed(0))
    assert set(pairs.weight.unique().tolist()) == {0.0, 1.0} and 0.3 < pairs.weight.mean() < 0.9
    assert pairs.points.isfinite().all()
    assert (pairs.points.abs() <= 1).all(-1)[pairs.weight > 0].all()
    # Padding is black: points that count are seen in the first image, those black there do not count.
    plain = PairMaker(RandomWarps(translation=0.5, elastic=0.03), jitter=None, symmetry=bilateral(), padding="zeros")
    pairs = plain.pairs(torch.ones(16, 1, 48, 48), generator=torch.Generator().manual_seed(0))
    here = values_at(pairs.first, grid_points(24, 24).expand(16, -1, 2))[:, 0]
    there = values_at(pairs.second, pairs.points)[:, 0]
    assert here[pairs.weight > 0].min() > 0.2 and there[pairs.weight > 0].min() > 0.2
    lost = (pairs.weight == 0) & (here > 0.99) & (there > 0.99) & (pairs.points.abs().amax(-1) < 0.95)
    assert not lost.any()


def test_a_mask_is_looked_up_where_the_first_image_comes_from():
    mask = torch.zeros(8, 48, 48, dtype=torch.bool)
    mask[:, 10:30, :16] = True  # up to the border, beyond which nothing counts
    maker = PairMaker(RandomWarps(translation=0.3, elastic=0.03), jitter=None, symmetry=bilateral())
    pairs = maker.pairs(mask[:, None].float(), generator=torch.Generator().manual_seed(0), mask=mask)
    here = values_at(pairs.first, grid_points(24, 24).expand(8, -1, 2))[:, 0]
    assert here[pairs.weight > 0].min() >= 0.24  # a nearest pixel of the mask: at least a quarter of the colour
    free = maker.pairs(mask[:, None].float(), generator=torch.Generator().manual_seed(0))
    assert torch.equal(pairs.weight > 0, (free.weight > 0) & (pairs.weight > 0))
    assert ((here > 0.99) & (free.weight > 0) & (pairs.weight == 0)).sum() == 0
    assert torch.equal(pairs.second, free.second)


def test_the_law_of_the_element():
    def shares(symmetry, chance, count=500):
        maker = PairMaker(RandomWarps(rows=2), None, symmetry, chance, (1, 1))
        pairs = maker.pairs(torch.zeros(count, 1, 2, 2), generator=torch.Generator().manual_seed(0))
        return pairs.element.bincount() / count

    assert shares(bilateral(), 0.3)[1].item() == pytest.approx(0.3, abs=0.06)
    assert shares(bilateral(), 0.0, 20).tolist() == [1.0]
    assert shares(bilateral(), 1.0, 20).tolist() == [0.0, 1.0]
    torch.testing.assert_close(shares(quarter_turns(), 0.75), torch.full((4,), 0.25), atol=0.06, rtol=0)
    found = shares(dihedral(3), 0.5)  # elements 3, 4, 5 share one mirror image: the first stands for it
    torch.testing.assert_close(found, torch.tensor([0.5, 0.0, 0.0, 0.5]), atol=0.06, rtol=0)


def test_the_first_warp_is_half_as_elastic_and_only_the_second_is_coloured():
    images = smooth_images(64)
    stiff = RandomWarps(translation=0, scale=0, angle=0, elastic=0.06)
    pairs = PairMaker(stiff, jitter=None).pairs(images, generator=torch.Generator().manual_seed(0))
    bent = [(part - images).square().mean().sqrt() for part in (pairs.first, pairs.second)]
    assert float(bent[0] / bent[1]) == pytest.approx(0.5, abs=0.08)
    still = RandomWarps(translation=0, scale=0, angle=0, elastic=0)
    pairs = PairMaker(still, jitter=ColourJitter()).pairs(images, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pairs.first, images, atol=1e-5, rtol=0)
    assert (pairs.second - images).abs().amax((1, 2, 3)).min() > 0.02
    torch.testing.assert_close(pairs.points, grid_points(24, 24).expand(64, -1, 2), atol=1e-5, rtol=0)


def test_randomness_and_what_is_refused():
    maker, images = PairMaker(symmetry=bilateral()), smooth_images(3, 16)
    state = torch.get_rng_state()
    one, two = (maker.pairs(images, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    for name in ("first", "second", "points", "element", "weight"):
        assert torch.equal(getattr(one, name), getattr(two, name))
    assert torch.equal(state, torch.get_rng_state())
    assert one.points.shape == (3, 64, 2)  # half of the image's side
    assert maker == PairMaker(symmetry=bilateral()) and hash(maker) == hash(PairMaker(symmetry=bilateral()))
    with pytest.raises(
        ValueError, match=r"images \[B, C, H, W\] of a floating dtype, got .* torch.uint8; try images.float"
    ):
        maker.pairs(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"expected a mask \[3, H, W\] of bool, got \[3, 16, 16\] of torch.float32"):
        maker.pairs(images, mask=torch.ones(3, 16, 16))
    with pytest.raises(ValueError, match="expected square images, got 8 x 6"):
        PairMaker(symmetry=quarter_turns()).pairs(torch.zeros(2, 1, 8, 6))
    with pytest.raises(ValueError, match="expected a flip_probability between 0 and 1, got 1.5"):
        PairMaker(flip_probability=1.5)
    with pytest.raises(ValueError, match="expected padding border, reflection or zeros, got 'wrap'"):
        PairMaker(padding="wrap")
    with pytest.raises(ValueError, match="expected frame_size >= 1, got 0"):
        PairMaker(frame_size=(0, 4))
