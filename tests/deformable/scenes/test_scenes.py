"""Scenes: frames and partners are exact."""

import pytest
import torch

from pyro_symvi.deformable import Flower, TwoArmFigure
from pyro_symvi.deformable._points import grid_points

SCENES = [TwoArmFigure(size=32), Flower(petals=4, pattern=2, size=32)]


@pytest.fixture(params=SCENES, ids=lambda scene: type(scene).__name__)
def drawn(request):
    scene = request.param
    poses = scene.poses(6, generator=torch.Generator().manual_seed(3))
    return scene, poses, scene.draw(poses, dtype=torch.float64)


def test_partners_carry_the_moved_place_and_its_colour(drawn):
    scene, poses, rendered = drawn
    places = rendered.frame.flatten(2).mT
    for element, matrix in enumerate(rendered.symmetry.frame_matrices()):
        points = rendered.partners[element]
        seen = ~torch.isnan(points[..., 0])
        assert seen.float().mean() > 0.05
        found = scene.places(points.nan_to_num(), poses)
        torch.testing.assert_close(found[seen], (places @ matrix.mT)[seen], atol=1e-6, rtol=0)
        back = scene.points(found @ matrix, poses)
        torch.testing.assert_close(back[seen], grid_points(32, 32, like=back).expand_as(back)[seen], atol=1e-8, rtol=0)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_flower_turned_on_by_its_pattern_is_the_same_image(steps):
    flower = Flower(petals=4, pattern=2, size=32)
    poses = flower.poses(4, generator=torch.Generator().manual_seed(5))
    moved = dict(poses, turn=poses["turn"] + steps * torch.pi / 2)
    for name in ("bend", "swing", "stretch", "depth"):
        moved[name] = poses[name].roll(-steps, 1)
    one, other = flower.draw(poses, dtype=torch.float64), flower.draw(moved, dtype=torch.float64)
    turned = torch.einsum("ij,njhw->nihw", flower.symmetry.frame_matrices()[steps], other.frame)
    torch.testing.assert_close(turned, one.frame, atol=1e-9, rtol=0, equal_nan=True)
    off = (one.images - other.images).abs().amax((1, 2, 3))
    assert (off < 1e-9).all() if steps == flower.pattern else (off > 0.1).all()
