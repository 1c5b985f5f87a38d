"""Midlines and axes: closed forms, outliers, other libraries, and what is no line."""

import math

import pytest
import torch
from scipy.optimize import minimize

from pyro_symvi.deformable import (
    FrameSymmetry,
    TwoArmFigure,
    bilateral,
    dihedral,
    flip_odd_energy,
    half_turn,
    midline,
    odd_coordinate,
    rotational,
    symmetry_axis,
)
from pyro_symvi.deformable._points import grid_points
from pyro_symvi.deformable.readouts._axis import fitted_axis
from pyro_symvi.groups import MatrixRepresentation, SignFlips


def test_the_midline_of_an_affine_frame_is_its_line() -> None:
    points = grid_points(12, 9, like=torch.zeros((), dtype=torch.float64))
    x, y = points.unbind(-1)
    odd = torch.stack([x - 0.3 * y - 0.1, y + 0.2 * x - 0.05])  # zero on one line each
    frames = torch.stack([odd, (x + y).expand(2, -1), torch.ones(2, len(x))], 1).unflatten(-1, (12, 9))
    line = midline(frames, bilateral())
    there = line.confidence > 0
    assert torch.equal(there, ~torch.isnan(line.points).any(-1)) and there.sum(1).tolist() == [14, 11]
    off = line.points[..., 0] * odd.new_tensor([[1.0], [0.2]]) - line.points[..., 1] * odd.new_tensor([[0.3], [-1.0]])
    assert float((off - odd.new_tensor([[0.1], [0.05]]))[there].abs().max()) < 1e-12
    assert bool((line.points[0, 1:, 1] >= line.points[0, :-1, 1])[there[0, 1:]].all())  # downwards
    axis = symmetry_axis(frames, bilateral(), size=(24, 18))
    assert float(axis.angle[0]) == pytest.approx(math.atan2(-0.3 * 9, 12), abs=1e-5)  # the upper end is on the left
    assert float(axis.angle[1]) == pytest.approx(math.atan2(9, 0.2 * 12), abs=1e-5)
    assert float(axis.spread.max()) < 1e-3 and axis.count.tolist() == [14, 11]
    top, bottom = axis.ends(0.25)[0]
    assert float(top[1]) < float(bottom[1])
    assert float(((bottom - top) * top.new_tensor([9, 12])).norm()) == pytest.approx(
        2 * 0.25 * 24
    )  # heights, not widths
    assert float((axis.ends(0.25)[0] @ odd.new_tensor([1, -0.3]) - 0.1).abs().max()) < 1e-4


def test_jumps_and_noise_have_little_confidence_and_masks_hide() -> None:
    cells = grid_points(8, 8, like=torch.zeros((), dtype=torch.float64))
    side = torch.where(cells[:, 0] < 0, -1.0, 1.0)
    jump = torch.stack([side, 0 * side, 0 * side])[None].unflatten(-1, (8, 8))
    assert float(midline(jump, bilateral()).confidence.max()) == 0
    noise = torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = noise / noise.norm(dim=1, keepdim=True)
    assert float(midline(noise, bilateral()).confidence.mean()) == pytest.approx(0.5, abs=0.03)
    upper = cells[:, 1].view(8, 8) < 0
    smooth = torch.stack([cells[:, 0], cells[:, 1], 0 * side + 1])[None].unflatten(-1, (8, 8))
    half = midline(smooth, bilateral(), mask=upper)
    assert half.points.shape == (1, 4, 2) and float(half.points[..., 1].max()) < 0
    hidden = midline(torch.where(upper, torch.nan, smooth), bilateral())
    assert hidden.points.shape == (1, 4, 2) and float(hidden.points[..., 1].min()) > 0
    nothing = midline(smooth, bilateral(), mask=torch.zeros(8, 8, dtype=torch.bool))
    assert nothing.points.shape == (1, 0, 2)
    axis = symmetry_axis(smooth, bilateral(), mask=torch.zeros(8, 8, dtype=torch.bool))
    assert bool(torch.isnan(axis.angle).all()) and axis.count.tolist() == [0]
    with pytest.raises(ValueError, match="mask"):
        midline(smooth, bilateral(), mask=torch.ones(4, 8))


def test_only_reflections_have_lines() -> None:
    frames = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for symmetry in (half_turn(), rotational(2), rotational(3)):
        with pytest.raises(ValueError, match="with a reflection"):
            midline(frames, symmetry)
    with pytest.raises(ValueError, match="expected a reflection of the frame.*one of|try an element of \\[3, 4, 5\\]"):
        midline(frames, dihedral(3), 1)
    torch.testing.assert_close(odd_coordinate(frames, dihedral(3)), frames[:, 0])  # the first reflection
    turned = odd_coordinate(frames, dihedral(3), 4)
    matrix = dihedral(3).frame_matrices()[4]
    torch.testing.assert_close(turned, odd_coordinate(torch.einsum("ij,bjhw->bihw", -matrix, frames), dihedral(3), 4))
    units = torch.eye(3, dtype=torch.float64)[:, :, None, None]
    for number in (3, 4, 5):
        axis = odd_coordinate(units, dihedral(3), number).flatten()
        assert float(axis[axis.abs().argmax()]) > 0
    swap = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    exchange = FrameSymmetry(MatrixRepresentation(SignFlips(1), torch.stack([torch.eye(3, dtype=torch.float64), swap])))
    torch.testing.assert_close(
        odd_coordinate(frames, exchange).abs(), (frames[:, 0] - frames[:, 1]).abs() / math.sqrt(2)
    )


def test_the_line_is_the_least_of_all_and_forgets_outliers() -> None:
    generator = torch.Generator().manual_seed(1)
    points = 2 * torch.rand(2, 25, 2, generator=generator, dtype=torch.float64) - 1
    weight = torch.rand(2, 25, generator=generator, dtype=torch.float64)
    points[0, 15:, 0] = -0.5 * points[0, 15:, 1] + 0.2
    weight[0, 15:] = 2
    points[1, :5] = torch.nan
    axis = fitted_axis(points, weight, (20, 20))
    assert float(axis.angle[0]) == pytest.approx(math.atan(0.5), abs=1e-5) and float(axis.spread[0]) < 1e-3
    spread = torch.randn(1, 1000, 2, generator=generator, dtype=torch.float64) * torch.tensor([0.1, 0.5])
    assert float(fitted_axis(spread, torch.ones(1, 1000), (20, 20)).spread) == pytest.approx(
        1.0, rel=0.1
    )  # of 10 pixels
    here, mass = points[1, 5:].numpy() * 10, weight[1, 5:].numpy()

    def cost(line):
        return mass @ abs(here @ [math.cos(line[0]), math.sin(line[0])] - line[1]) / mass.sum()

    starts = [(k * math.pi / 12, 0.0) for k in range(12)]
    least = min(minimize(cost, start, method="Nelder-Mead").fun for start in starts)
    angle = float(axis.angle[1])
    offset = float(axis.point[1] @ torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)) * 10
    assert cost((angle, offset)) <= least + 1e-3


def test_the_midline_of_a_figure_is_where_its_middle_is() -> None:
    scene = TwoArmFigure(size=24).render(3, generator=torch.Generator().manual_seed(2))
    line = midline(scene.frame, scene.symmetry)
    order = scene.landmark_order[1]
    middle = scene.landmarks[:, order == torch.arange(len(order))]
    sure = torch.where((line.confidence > 0.8)[..., None], line.points, torch.nan)
    distance = (middle[:, :, None] - sure[:, None]).norm(dim=-1).nan_to_num(torch.inf).amin(-1) * 12
    assert middle.shape[1] >= 2 and float(distance[~torch.isnan(middle).any(-1)].max()) < 1
    by_line, by_pairs = (symmetry_axis(scene.frame, scene.symmetry, midpoints=way) for way in (False, True))
    assert float((by_line.angle - by_pairs.angle).abs().max()) < 0.1 and float(by_line.spread.max()) < 1
    mirrored = symmetry_axis(
        scene.symmetry.on_frames(torch.ones(3, dtype=torch.long), scene.frame).flip(-1), bilateral()
    )
    torch.testing.assert_close(mirrored.angle, -by_line.angle, atol=1e-4, rtol=0)


def test_odd_energy() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(5, 3, 16, 16, generator=generator, dtype=torch.float64)
    even, odd = (images + images.flip(-1)) / 2 + 3, (images - images.flip(-1)) / 2
    torch.testing.assert_close(flip_odd_energy(even), torch.zeros(5, dtype=torch.float64))
    torch.testing.assert_close(flip_odd_energy(odd + 7), torch.ones(5, dtype=torch.float64))
    assert float(flip_odd_energy(images).mean()) == pytest.approx(0.5, abs=0.03)
    torch.testing.assert_close(flip_odd_energy(images, bilateral()), flip_odd_energy(images))
    torch.testing.assert_close(flip_odd_energy(2 * images), flip_odd_energy(images))
    assert flip_odd_energy(torch.ones(1, 1, 4, 4)).tolist() == [0]
    with pytest.raises(ValueError, match="N, C, H, W"):
        flip_odd_energy(images[0])
