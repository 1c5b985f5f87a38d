"""The law of random warps: its ranges, no folds, its symmetry, its randomness."""

import math

import pytest
import torch

from pyro_symvi.deformable.warps import RandomWarps, control_points


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_without_the_spline_maps_are_similarities_within_their_ranges():
    law = RandomWarps(translation=0.3, scale=0.2, angle=0.5, elastic=0.0)
    warp = law.sample(400, generator=generator(), like=torch.zeros((), dtype=torch.float64))
    matrices = warp.jacobians(torch.zeros(1, 2, dtype=torch.float64))[:, 0]
    offsets = warp.forward(torch.zeros(1, 2, dtype=torch.float64))[:, 0]
    sizes = matrices.det().sqrt()
    gram = matrices @ matrices.mT
    torch.testing.assert_close(gram, sizes[:, None, None] ** 2 * torch.eye(2, dtype=torch.float64), atol=1e-12, rtol=0)
    angles = torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0])
    for values, middle, reach in (
        (sizes, 1.0, 0.2),
        (angles, 0.0, 0.5),
        (offsets[:, 0], 0.0, 0.3),
        (offsets[:, 1], 0.0, 0.3),
    ):
        apart = (values - middle).abs()
        assert 0.95 * reach < apart.max() <= reach * (1 + 1e-12)
        assert apart.square().mean().sqrt().item() == pytest.approx(reach / math.sqrt(3), rel=0.08)  # uniform
        assert abs((values - middle).mean()) < 4 * reach / math.sqrt(3 * 400)
    assert torch.corrcoef(torch.stack([sizes, angles, *offsets.T])).triu(1).abs().max() < 0.2


def test_the_spline_moves_control_points_by_normal_steps():
    law = RandomWarps(rows=4, translation=0.0, scale=0.0, angle=0.0, elastic=0.02)
    steps = law.sample(200, generator=generator()).displacements
    assert steps.shape == (200, 16, 2)
    assert steps.std().item() == pytest.approx(0.02, rel=0.03)
    assert steps.mean((0, 2)).abs().max() < 5 * 0.02 / math.sqrt(400)
    assert RandomWarps(elastic=0.0).sample(2, generator=generator()).displacements.dtype == torch.float32


def test_folds_are_drawn_again_and_only_they():
    strong = RandomWarps(elastic=0.09)
    warp = strong.sample(100, generator=generator())
    assert warp.least_jacobian().min() > 0.1
    assert warp.least_jacobian(90).min() > 0.05  # on a finer grid than was checked
    free = 0.09 * torch.randn(100, 25, 2, generator=generator())
    assert (type(warp)(free).least_jacobian() < 0.1).float().mean() > 0.05  # without the check there are folds
    with pytest.raises(ValueError, match=r"expected warps that do not fold, got .* elastic=1.0.*try elastic=0.05"):
        RandomWarps(elastic=1.0).sample(2, generator=generator())


def test_the_generator_decides_and_the_global_one_is_left_alone():
    state = torch.get_rng_state()
    one, two = (RandomWarps(elastic=0.08).sample(30, generator=generator(5)).displacements for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, RandomWarps(elastic=0.08).sample(30, generator=generator(6)).displacements)
    assert torch.equal(state, torch.get_rng_state())


def test_values_and_what_is_refused():
    assert RandomWarps() == RandomWarps(rows=5) != RandomWarps(elastic=0.02)
    assert repr(RandomWarps(elastic=0.02)) == "RandomWarps(elastic=0.02)"
    assert control_points(3).shape == (9, 2)
    for options, words in (
        ({"rows": 1}, "expected rows >= 2"),
        ({"elastic": -0.1}, "expected a finite elastic of 0 or more"),
        ({"translation": math.inf}, "expected a finite translation"),
        ({"angle": math.nan}, "expected a finite angle"),
        ({"scale": 1.0}, "expected a scale below 1"),
    ):
        with pytest.raises(ValueError, match=words):
            RandomWarps(**options)
    with pytest.raises(ValueError, match="expected count >= 1, got 0"):
        RandomWarps().sample(0)
