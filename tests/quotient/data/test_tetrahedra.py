"""Tetrahedra: angles and lengths in closed form, hands in the share that was asked for."""

import math

import pytest
import torch

from pyro_symvi.groups import PointCloudAction, SpecialEuclidean
from pyro_symvi.quotient.data import chiral_tetrahedra, tetrahedron_shapes


def hands(clouds):
    arms = clouds[..., 1:4, :] - clouds[..., :1, :]
    return torch.linalg.det(arms).sign()


def test_shapes_have_their_arms_and_the_tetrahedral_angle():
    shapes = tetrahedron_shapes((1.0, 2.0, 3.0, 4.0))
    arms = shapes[:, 1:] - shapes[:, :1]
    lengths = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    torch.testing.assert_close(arms.norm(dim=-1), lengths.expand(2, 4))
    unit = arms / arms.norm(dim=-1, keepdim=True)
    off = (unit @ unit.mT)[:, ~torch.eye(4, dtype=torch.bool)]
    torch.testing.assert_close(off, torch.full_like(off, -1 / 3))  # 109.47 degrees
    assert hands(shapes).tolist() == [1, -1]


def test_hands_come_in_the_share_asked_for():
    # 4000 draws: 4 standard errors of the share are 0.026
    data = chiral_tetrahedra(4000, right=0.8, generator=torch.Generator().manual_seed(0))
    assert (hands(data.clouds) > 0).double().mean().item() == pytest.approx(0.8, abs=0.026)
    assert data.context.edges.sum() == 8 and data.context.features.shape == (1, 5, 5)
    pure = chiral_tetrahedra(200, right=0.0, generator=torch.Generator().manual_seed(1))
    assert (hands(pure.clouds) < 0).all()


def test_without_spread_each_is_a_rigid_motion_of_one_shape():
    data = chiral_tetrahedra(50, right=0.5, spread=0.0, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    shapes, motions = tetrahedron_shapes(), PointCloudAction(SpecialEuclidean(3))
    distances = torch.stack([motions.distance(data.clouds, shape.expand(50, 5, 3)) for shape in shapes])
    nearest = torch.where(hands(data.clouds) > 0, 0, 1)
    assert distances[nearest, torch.arange(50)].max() < 1e-7 and distances[1 - nearest, torch.arange(50)].min() > 0.5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"right": 1.5}, "share"),
        ({"arms": (1.0, 2.0, 3.0)}, "four finite arms"),
        ({"arms": (1.0, 1.0, math.inf, 1.0)}, "four finite arms"),
        ({"spread": 0.5}, "hands would change"),
        ({"spread": math.nan}, "spread"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        chiral_tetrahedra(10, **arguments)
