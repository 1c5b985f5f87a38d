"""The law of the pose given one image: uniform on the stabiliser of the appearance, on rendered flowers."""

import math

import pytest
import torch

from pyro_symvi.deformable import Flower, dihedral, pose_ambiguity, rotational
from pyro_symvi.deformable._points import grid_points


def test_the_law_is_uniform_on_the_stabiliser_and_the_divergence_that_of_the_theory() -> None:
    for petals, pattern in ((4, 1), (4, 4), (6, 2)):
        stabiliser = petals // pattern
        scene = Flower(petals, pattern=pattern, size=24).render(2, generator=torch.Generator().manual_seed(0))
        found = pose_ambiguity(scene.images, scene.frame, scene.symmetry)
        inside = torch.arange(petals) % pattern == 0
        torch.testing.assert_close(found.weights.sum(0), torch.ones(2))
        assert float(found.weights[inside].sum(0).min()) > 0.95
        assert float((found.entropy - math.log(stabiliser)).abs().max()) < 0.25
        assert float((found.divergence - math.log(petals / stabiliser)).abs().max()) < 0.25
        assert float((found.effective_order / stabiliser - 1).abs().max()) < 0.25
        assert float(found.energies[0].max()) < 1e-3


def test_light_makes_equal_petals_unlike() -> None:
    scene = Flower(4, size=24).render(3, generator=torch.Generator().manual_seed(4))
    lit = pose_ambiguity(scene.images, scene.frame, scene.symmetry, brightness=True)
    unlit = pose_ambiguity(scene.images, scene.frame, scene.symmetry, brightness=False)
    assert float(lit.energies[1:].mean()) > 3 * float(unlit.energies[1:].mean()) and float(unlit.energies.max()) < 0.006
    assert float(unlit.effective_order.min()) > 3.7
    assert float(lit.effective_order.mean()) < float(unlit.effective_order.mean()) - 0.3


def test_by_hand_on_a_wheel() -> None:
    """An image of the polar angle alone: cos of k times the angle is unchanged by turns of 2 pi / k."""
    points = grid_points(24, 24, like=torch.zeros((), dtype=torch.float64))
    radius, polar = points.norm(dim=-1), torch.atan2(points[:, 1], points[:, 0])
    plane = points / 1.5
    frame = torch.cat([plane, (1 - plane.square().sum(-1, keepdim=True)).clamp_min(0).sqrt()], -1)
    frame = torch.where(((radius < 0.9) & (radius > 0.3))[:, None], frame, torch.nan).mT.unflatten(-1, (24, 24))[None]
    images = torch.stack([(2 * polar).cos(), polar.cos()])[:, None].unflatten(-1, (24, 24))
    symmetry = rotational(4)
    found = pose_ambiguity(images, frame.expand(2, -1, -1, -1), symmetry, 0.1)
    # mean over the angle of (cos k t - cos k (t + s))^2 is 1 - cos k s
    angle = 2 * math.pi / 4 * torch.arange(4, dtype=torch.float64)
    expected = torch.stack([1 - (k * angle).cos() for k in (2, 1)], 1)
    torch.testing.assert_close(found.energies, expected, atol=0.02, rtol=0)
    torch.testing.assert_close(found.weights, (-found.energies / 0.1).softmax(0))
    assert found.effective_order.tolist() == pytest.approx([2, 1], abs=0.02)
    right = (polar.abs() < math.pi / 4).double().expand(2, -1)  # a quarter, where cos^2 is larger than on average
    half = pose_ambiguity(images, frame.expand(2, -1, -1, -1), symmetry, 0.1, weight=right)
    wanted = (polar[right[0] > 0].cos() + polar[right[0] > 0].cos()).square()
    ring = ((radius < 0.9) & (radius > 0.3))[right[0] > 0]
    assert float(wanted[ring].mean()) > 1.2 * float(expected[2, 1])
    assert float(half.energies[2, 1]) == pytest.approx(float(wanted[ring].mean()), abs=0.02)


def test_nothing_to_see_is_every_pose() -> None:
    frame = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = pose_ambiguity(torch.full((2, 3, 16, 16), 0.5), frame, dihedral(3))
    torch.testing.assert_close(found.entropy, torch.full((2,), math.log(6)))
    torch.testing.assert_close(found.divergence, torch.zeros(2), atol=1e-6, rtol=0)


def test_arguments_are_checked() -> None:
    frame = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="temperature above 0"):
        pose_ambiguity(torch.zeros(2, 3, 8, 8), frame, rotational(3), 0.0)
    with pytest.raises(ValueError, match="B, C, H, W"):
        pose_ambiguity(torch.zeros(1, 3, 8, 8), frame, rotational(3))
    with pytest.raises(ValueError, match="weight"):
        pose_ambiguity(torch.zeros(2, 3, 8, 8), frame, rotational(3), weight=torch.ones(2, 8))
    with pytest.raises(ValueError, match="several channels"):
        pose_ambiguity(torch.zeros(2, 1, 8, 8), frame, rotational(3), brightness=False)
