"""Images and points go through a warp in opposite directions; landmarks of mirror images; colours."""

import pytest
import torch

from pyro_symvi.deformable import bilateral, dihedral, mirrored_landmarks, rotational
from pyro_symvi.deformable._points import grid_points
from pyro_symvi.deformable.warps import (
    ColourJitter,
    RandomWarps,
    ThinPlateSpline,
    control_points,
    warped_images,
    warped_points,
)

DOUBLE = torch.zeros((), dtype=torch.float64)


def spots(points, side=48, size=0.08):
    """Images ``[N, K, side, side]``: channel k is a Gaussian spot at landmark k."""
    apart = grid_points(side, side, like=points)[None, :, None] - points[:, None]
    return (-apart.square().sum(-1) / (2 * size**2)).exp().mT.reshape(len(points), points.shape[1], side, side)


def middles(images):
    """Centres of mass of channels, ``[N, K, 2]``."""
    weight = images.flatten(2)
    return weight @ grid_points(*images.shape[-2:], like=images) / weight.sum(-1, keepdim=True)


def landmarks(count=4, number=5, seed=0):
    draws = torch.rand(count, number, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 1.2 * draws - 0.6


def test_landmarks_are_seen_where_the_inverse_says_and_not_where_the_map_says():
    points = landmarks()
    warp = RandomWarps(translation=0.15, scale=0.15, angle=0.3).sample(
        4, generator=torch.Generator().manual_seed(1), like=DOUBLE
    )
    seen = middles(warped_images(spots(points), warp))
    pixel = 2 / 48
    assert (seen - warped_points(points, warp)).norm(dim=-1).max() < 0.35 * pixel
    assert (seen - warp.forward(points)).norm(dim=-1).mean() > 4 * pixel


def test_a_shift_by_whole_pixels_is_a_roll():
    images = torch.rand(1, 2, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shift = torch.tensor([2 * 2 / 8, 1 * 2 / 6], dtype=torch.float64)  # s(u) two pixels to the right, one down
    warp = ThinPlateSpline(shift.expand(1, 4, 2))
    shown = warped_images(images, warp)
    torch.testing.assert_close(shown[..., :5, :6], images[..., 1:, 2:], atol=1e-12, rtol=0)
    torch.testing.assert_close(shown[..., :5, 7], images[..., 1:, 7], atol=1e-12, rtol=0)  # the border goes on
    assert warped_images(images, warp, padding="zeros")[..., 5, :].abs().max() < 1e-12
    assert warped_images(images, warp, (3, 4)).shape == (1, 2, 3, 4)
    whole = ThinPlateSpline(torch.zeros(1, 4, 2, dtype=torch.float64))
    halves = warped_images(images, whole, (3, 4))  # in the same coordinates: the mean of 2 x 2
    torch.testing.assert_close(halves, torch.nn.functional.avg_pool2d(images, 2), atol=1e-12, rtol=0)


def test_an_image_warped_and_warped_back_is_itself():
    points = landmarks(1)
    images = spots(points, side=96, size=0.2)
    controls = control_points(9, like=points)
    warp = RandomWarps(elastic=0.02).sample(1, generator=torch.Generator().manual_seed(2), like=DOUBLE)
    back = ThinPlateSpline(warp.inverse(controls) - controls)
    error = (warped_images(warped_images(images, warp), back) - images)[..., 20:76, 20:76].abs().max()
    assert error < 0.03 < (warped_images(images, warp) - images).abs().max()


@pytest.mark.parametrize("symmetry", [bilateral(), dihedral(3)])
def test_mirrored_landmarks_change_their_names(symmetry):
    # Nose, left eye, right eye, left ear, right ear; each kind looks its own way, left and right look the same.
    points = landmarks()
    mirror = torch.tensor([0, 2, 1, 4, 3])
    moving = (symmetry.image_matrices()[:, 0, 0] < 0).nonzero()[:, 0]
    order = torch.arange(5).repeat(symmetry.order, 1)
    order[moving] = mirror
    element = torch.stack([moving[0] * 0, moving[0], moving[-1], moving[0]])
    # What is seen: spots whose channel is the name; a mirror image of the scene, with its names told anew.
    seen = middles(symmetry.on_images(element, spots(points)))
    renamed = torch.where((element > 0)[:, None, None], seen[:, mirror], seen)
    found = mirrored_landmarks(points, order, symmetry, element)
    torch.testing.assert_close(found, renamed, atol=1e-3, rtol=0)
    # Without new names the error is the distance between left and right.
    unnamed = symmetry.on_points(element, points)
    assert (unnamed - renamed).norm(dim=-1)[1:, 1:].mean() > 0.3
    torch.testing.assert_close(
        mirrored_landmarks(found, order, symmetry, element), points
    )  # reflections: twice is once
    torch.testing.assert_close(mirrored_landmarks(points, order, symmetry, 0), points)


def test_a_cycle_of_names_is_followed_forwards():
    order = torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]])  # petals on petals; the image stays
    points = landmarks(2, 3)
    points[0, 0] = float("nan")  # hidden, and hidden under its new name
    found = mirrored_landmarks(points, order, rotational(3), 1)
    assert torch.equal(found[1, 1], points[1, 0]) and torch.equal(found[1, 0], points[1, 2])
    assert found[0].isnan().any(-1).tolist() == [False, True, False]
    torch.testing.assert_close(
        mirrored_landmarks(found, order, rotational(3), torch.tensor([2, 2])), points, equal_nan=True
    )


def test_landmarks_that_are_refused():
    points, order = landmarks(2, 3), torch.tensor([[0, 1, 2], [0, 2, 1]])
    with pytest.raises(ValueError, match=r"expected points \[N, K, 2\], got \[3, 2\]"):
        mirrored_landmarks(points[0], order, bilateral())
    with pytest.raises(ValueError, match=r"expected an order \[2, 3\], a row for each element.*got \[1, 3\]"):
        mirrored_landmarks(points, order[:1], bilateral())
    with pytest.raises(ValueError, match="to be a permutation of 0 ... 2"):
        mirrored_landmarks(points, torch.tensor([[0, 1, 2], [0, 2, 2]]), bilateral())


NOTHING = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "tint": 0.0, "light": 0.0}


def test_each_change_of_colour_is_what_it_says():
    generator = torch.Generator().manual_seed(0)
    images = 0.4 + 0.2 * torch.rand(50, 3, 6, 8, generator=generator, dtype=torch.float64)
    assert torch.equal(ColourJitter(**NOTHING)(images), images)

    ratio = ColourJitter(**NOTHING | {"brightness": 0.2})(images, generator=generator) / images
    torch.testing.assert_close(ratio, ratio[:, :1, :1, :1].expand_as(ratio))
    assert 0.8 <= ratio.min() < 0.85 and 1.15 < ratio.max() <= 1.2

    ratio = ColourJitter(**NOTHING | {"tint": 0.2})(images, generator=generator) / images
    torch.testing.assert_close(ratio, ratio[..., :1, :1].expand_as(ratio))
    assert ratio[:, :, 0, 0].std(1).min() > 0.001 and 0.8 <= ratio.min() < 0.85

    changed, mean = (
        ColourJitter(**NOTHING | {"contrast": 0.3})(images, generator=generator),
        images.mean((1, 2, 3), True),
    )
    ratio = (changed - mean) / (images - mean)
    torch.testing.assert_close(ratio, ratio[:, :1, :1, :1].expand_as(ratio))
    assert 0.7 <= ratio.min() < 0.75 and 1.25 < ratio.max() <= 1.3

    grey = (images * torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(3, 1, 1)).sum(1, keepdim=True)
    ratio = (ColourJitter(**NOTHING | {"saturation": 0.3})(images, generator=generator) - grey) / (images - grey)
    torch.testing.assert_close(ratio, ratio[:, :1, :1, :1].expand_as(ratio))
    assert 0.7 <= ratio.min() < 0.75 and 1.25 < ratio.max() <= 1.3

    fall = ColourJitter(**NOTHING | {"light": 0.3})(images, generator=generator) / images - 1
    plane = grid_points(6, 8, like=images)
    slopes = torch.linalg.lstsq(plane.expand(50, -1, 2), fall[:, 0].flatten(1)[..., None]).solution
    torch.testing.assert_close((plane @ slopes)[..., 0], fall[:, 2].flatten(1))  # linear, 0 in the middle
    strength, turn = slopes[..., 0].norm(dim=-1), torch.atan2(slopes[:, 1, 0], slopes[:, 0, 0])
    assert strength.max() <= 0.3 and strength.std() > 0.05
    assert turn.cos().mean().abs() < 0.5 and turn.min() < -2.5 and turn.max() > 2.5

    both = ColourJitter(**NOTHING | {"brightness": 0.2, "contrast": 0.2})(images, generator=generator)
    level = both.mean((1, 2, 3)) / images.mean((1, 2, 3))
    spread = both.std((1, 2, 3)) / images.std((1, 2, 3)) / level
    assert torch.corrcoef(torch.stack([level, spread]))[0, 1].abs() < 0.5  # drawn apart

    noise = ColourJitter(**NOTHING | {"noise": 0.01})(images, generator=generator) - images
    assert noise.std().item() == pytest.approx(0.01, rel=0.03)


def test_colours_stay_colours_and_any_number_of_channels_goes():
    images = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    strong = ColourJitter(1, 1, 1, 1, 1, 1)
    state = torch.get_rng_state()
    one, two = (strong(images, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two) and torch.equal(state, torch.get_rng_state())
    assert one.min() == 0 and one.max() == 1
    assert strong(images.expand(-1, 5, -1, -1), generator=torch.Generator()).shape == (4, 5, 6, 6)
    with pytest.raises(ValueError, match="expected contrast between 0 and 1, got 2"):
        ColourJitter(contrast=2)
    with pytest.raises(
        ValueError, match=r"images \[B, C, H, W\] of a floating dtype, got \[4, 1, 6, 6\] of torch.uint8"
    ):
        strong((255 * images).byte())


def test_images_that_are_refused():
    warp = ThinPlateSpline(torch.zeros(2, 4, 2))
    with pytest.raises(ValueError, match=r"expected images \[2, C, H, W\], one for each warp, got \[3, 1, 4, 4\]"):
        warped_images(torch.zeros(3, 1, 4, 4), warp)
    with pytest.raises(TypeError, match="of a floating dtype, got torch.uint8"):
        warped_images(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), warp)
