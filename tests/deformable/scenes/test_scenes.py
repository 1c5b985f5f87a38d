"""Scenes: frames and partners are exact."""

import pytest
import torch

from pyro_symvi.deformable import TwoArmFigure
from pyro_symvi.deformable._points import grid_points

SCENES = [TwoArmFigure(size=32)]


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
