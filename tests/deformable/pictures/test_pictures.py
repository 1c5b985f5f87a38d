"""Pictures: what is drawn where, what colours mean, and refusals."""

import numpy as np
import pytest
import torch

from pyro_symvi.deformable import bilateral
from pyro_symvi.deformable._points import grid_points
from pyro_symvi.deformable.pictures import (
    draw_correspondences,
    draw_flip_energy,
    draw_frames,
    draw_midline,
    draw_symmetrized,
    frame_colours,
    grid_of_points,
    save_figure,
)

IMAGES = torch.rand(3, 1, 10, 20, generator=torch.Generator().manual_seed(0))


def place_frame(count=3, height=5, width=10):
    place = grid_points(height, width).T.reshape(1, 2, height, width).expand(count, -1, -1, -1)
    return torch.cat([place, 3 + place[:, :1] ** 2], 1)


def test_colours_of_the_two_sides_are_opposite_about_the_middle():
    red, green, blue = frame_colours(place_frame(), bilateral()).unbind(1)
    torch.testing.assert_close(red, 1 - red.flip(-1))
    torch.testing.assert_close(green, green.flip(-1))
    torch.testing.assert_close(blue, blue.flip(-1))
    assert red.min() == 0 and red.max() == 1 and (red.diff(dim=-1) > 0).any()
    shifted = place_frame() + torch.tensor([5.0, 0.0, 0.0])[:, None, None]
    assert float(frame_colours(shifted, bilateral())[:, 0].min()) > 0.5  # all on one side
    assert float(frame_colours(shifted)[:, 0].min()) < 0.1  # without a symmetry: centred


def test_colours_of_other_dimensions_of_constants_and_of_hidden_places():
    frames = place_frame()
    assert frame_colours(torch.ones(2, 3, 4, 4)).unique().tolist() == [0.5]
    wide = torch.cat([frames, torch.zeros(3, 4, 5, 10)], 1)
    assert frame_colours(wide).shape == (3, 3, 5, 10) and frame_colours(frames[:, :2]).shape == (3, 3, 5, 10)
    hidden = frames.clone()
    hidden[0, :, 0, 0] = torch.nan
    assert frame_colours(hidden)[0, :, 0, 0].unique().tolist() == pytest.approx([0.93])


def test_what_a_mask_leaves_out_is_light():
    mask = torch.zeros(3, 10, 20, dtype=torch.bool)
    mask[:, :, :11] = True  # half of the sixth column of cells: not more than half
    shown = draw_frames(IMAGES, place_frame(), mask=mask).axes[3].images[0].get_array()
    np.testing.assert_allclose(shown[:, 5:], 0.93)
    assert not (shown[:, :5] == 0.93).all(-1).any()


def test_points_lie_on_their_pixels_and_hidden_ones_are_left_out():
    centre = grid_points(10, 20)[[3 * 20 + 17]].expand(3, 1, 2)
    other = torch.full((3, 1, 2), torch.nan)
    other[0] = centre[0] * torch.tensor([-1.0, 1.0])
    axis = draw_correspondences(IMAGES, centre, other).axes[0]
    dots, rings = axis.collections
    image = axis.images[0]
    left, right, low, high = image.get_extent()
    x, y = dots.get_offsets()[0]
    row, column = (y - high) / (low - high) * 10, (x - left) / (right - left) * 20
    assert (int(row), int(column)) == (3, 17) and image.get_array()[3, 17, 0] == IMAGES[0, 0, 3, 17]
    np.testing.assert_allclose(rings.get_offsets()[0], [-x, y])
    assert len(axis.lines) == 1
    assert not draw_correspondences(IMAGES, centre, other).axes[1].collections
    two = draw_correspondences(IMAGES, centre, centre, seconds=IMAGES)
    assert not two.axes[0].lines and len(two.axes) == 6


def test_panels_grow_with_their_side():
    points = torch.zeros(3, 1, 2)
    for draw in (
        lambda **size: draw_correspondences(IMAGES, points, points, **size),
        lambda **size: draw_frames(IMAGES, place_frame(), **size),
        lambda **size: draw_midline(IMAGES, points, **size),
        lambda **size: draw_symmetrized(IMAGES, IMAGES, **size),
    ):
        usual, same, large = draw(), draw(side=1.3), draw(side=3.9)
        assert usual.get_size_inches().tolist() == same.get_size_inches().tolist()
        assert large.get_size_inches()[0] - usual.get_size_inches()[0] == pytest.approx(3 * 2.6)  # three across


def test_midlines_are_drawn_with_their_axes(tmp_path):
    points = torch.tensor([[[0.0, -0.5], [0.1, 0.5], [torch.nan, 0.0]]]).expand(3, -1, -1)
    axes = torch.tensor([[[0.0, -1.0], [0.0, 1.0]]]).repeat(3, 1, 1)
    axes[2] = torch.nan
    figure = draw_midline(
        IMAGES, points, torch.full((3, 3), 0.7), axes=axes, titles=["a", "b", "c"], heading="midlines"
    )
    first, _, last = figure.axes
    np.testing.assert_allclose(first.collections[0].get_offsets(), [[0.0, -2.5], [1.0, 2.5]], atol=1e-6)
    np.testing.assert_allclose(first.lines[0].get_xydata(), [[0, -5], [0, 5]])
    assert not last.lines
    assert save_figure(figure, tmp_path / "midline.svg").stat().st_size > 1000


def test_rows_of_symmetrised_images_and_energies():
    figure = draw_symmetrized(IMAGES, IMAGES, others=[("other pose", IMAGES)])
    shown = [axis.images[0].get_array()[..., 0] for axis in figure.axes]
    np.testing.assert_allclose(shown[3], (shown[0] + shown[0][:, ::-1]) / 2, atol=1e-6)
    assert len(shown) == 12
    energies = draw_flip_energy({"a": torch.tensor([0.1, 0.2, 0.9]), "b": torch.tensor([0.5])}).axes[0]
    assert [text.get_text() for text in energies.texts] == ["0.20", "0.50"]


def test_points_are_spread_over_images_and_masks():
    points = grid_of_points(40, IMAGES)
    assert 30 <= points.shape[1] <= 55 and points.abs().max() <= 0.86
    assert grid_of_points(40, IMAGES, half=True)[..., 0].max() < 0
    mask = torch.zeros(3, 10, 20, dtype=torch.bool)
    mask[:, :, :10] = True
    kept = grid_of_points(40, IMAGES, mask)
    assert kept[..., 0].nan_to_num(-9).max() < 0.06 and torch.isnan(kept).any()


def test_refusals():
    frames, points = place_frame(), torch.zeros(3, 2, 2)
    for words, call in {
        "frames \\[3, D, h, w\\]": lambda: draw_frames(IMAGES, frames[:2]),
        "a mask \\[3, 10, 20\\]": lambda: draw_frames(IMAGES, frames, mask=torch.ones(3, 5, 10)),
        "frames of dimension 4": lambda: draw_frames(IMAGES, frames, bilateral(4)),
        "images \\[N, 3, H, W\\]": lambda: draw_frames(IMAGES[:, 0], frames),
        "at most 40 images, got 41": lambda: draw_midline(IMAGES[:1].expand(41, -1, -1, -1), points),
        "3 titles": lambda: draw_frames(IMAGES, frames, titles=["one"]),
        "starts \\[3, P, 2\\]": lambda: draw_correspondences(IMAGES, points[:2], points),
        "as many ends": lambda: draw_correspondences(IMAGES, points, points[:, :1]),
        "confidence \\[3, 2\\]": lambda: draw_midline(IMAGES, points, torch.ones(3, 1)),
        "axes \\[3, 2, 2\\]": lambda: draw_midline(IMAGES, points, axes=points[:2]),
        "symmetrized images": lambda: draw_symmetrized(IMAGES, IMAGES[:2]),
        "at least one group": lambda: draw_flip_energy({}),
        "in \\[0, 1\\] for 'a'": lambda: draw_flip_energy({"a": torch.tensor([1.5])}),
    }.items():
        with pytest.raises(ValueError, match=words):
            call()
