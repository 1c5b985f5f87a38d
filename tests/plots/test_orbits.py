"""Pictures of orbits: the points drawn lie on the orbit, what is fixed is where algebra says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from pyro_symvi import plots
from pyro_symvi.groups import (
    Antipodal,
    AxialRotation,
    AxisFlips,
    ConditionalReflection,
    CoordinatePermutation,
    Cyclic,
    EllipticalRotation,
    FiniteMatrixGroup,
    HiddenLayer,
    HiddenUnitRescaling,
    NaturalAction,
    PointCloudAction,
    PointReflection,
    SpecialEuclidean,
    SphereRotation,
    TranslationAction,
)
from pyro_symvi.plots._orbits import fixed_points, orbit_of

POINT = torch.tensor([1.5, 0.4], dtype=torch.float64)


def orbit(action, x=POINT, reach=1.5):
    return orbit_of(action, x, reach=reach, generator=torch.Generator().manual_seed(0))


def test_orbits_are_those_of_the_formulas():
    np.testing.assert_allclose(orbit(SphereRotation(2)).norm(dim=-1), float(POINT.norm()))
    shape = torch.tensor([[2.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    moved = orbit(EllipticalRotation([1.0, 0.0], shape).bind(2)) - torch.tensor([1.0, 0.0])
    level = (moved @ torch.linalg.inv(shape) * moved).sum(-1)
    np.testing.assert_allclose(level, level[0, 0], rtol=1e-10)
    curve = orbit(HiddenUnitRescaling(HiddenLayer(2, [[0]], [[1]])))
    np.testing.assert_allclose(curve.prod(-1), float(POINT.prod()))  # a hyperbola
    assert float(curve[..., 0].max() / POINT[0]) == pytest.approx(math.exp(1.5))
    line = orbit(TranslationAction(2, [[1.0], [1.0]]))
    np.testing.assert_allclose(line[..., 0] - line[..., 1], 1.1)
    assert len(torch.unique(orbit(AxisFlips(center=0.0).bind(2))[0], dim=0)) == 4


def test_a_curve_goes_once_round():
    turned = orbit(AxialRotation([0.0, 0.0, 1.0]), torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64))[0]
    angle = np.unwrap(np.arctan2(turned[:, 1].numpy(), turned[:, 0].numpy()))
    assert abs(angle[-1] - angle[0]) == pytest.approx(2 * math.pi)
    np.testing.assert_allclose(turned[:, 2], 0.8)


@pytest.mark.parametrize(
    "action, point, directions",
    [
        (PointReflection([1.0, 2.0]).bind(2), [1.0, 2.0], []),
        (PointReflection(3.0, [0]).bind(2), [3.0, 0.0], [[0.0, 1.0]]),
        (CoordinatePermutation(2), [0.0, 0.0], [[1.0, 1.0]]),
        (ConditionalReflection([0]).bind(2, 1.0, [[0.5]]), [1.0, 0.0], [[0.5, 1.0]]),
        (AxialRotation([0.0, 0.0, 1.0]), [0.0] * 3, [[0.0, 0.0, 1.0]]),
        (Antipodal(3), [0.0] * 3, []),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "group") else "",
)
def test_fixed_points_are_where_algebra_says(action, point, directions):
    base, free = fixed_points(action, len(point))
    assert free.shape[-1] == len(directions)
    for known in torch.tensor([point, *[[p + d for p, d in zip(point, v, strict=True)] for v in directions]]).double():
        offset = known - base
        np.testing.assert_allclose(offset - free @ (free.mT @ offset), 0, atol=1e-9)
    assert fixed_points(TranslationAction(2), 2) is None


def test_dots_links_and_fixed_points_are_drawn():
    figure = plots.plot_orbits(CoordinatePermutation(2), POINT, labels=["a (m)", "b"])
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a (m)", "b")
    dots = next(line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 2)
    assert sorted(dots.get_xdata()) == [0.4, 1.5]
    dashed = next(line for line in axes.lines if line.get_linestyle() == "--")
    np.testing.assert_allclose(dashed.get_xdata(), dashed.get_ydata(), atol=1e-12)


def test_links_join_a_point_to_its_image_under_a_generator():
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    (axes,) = plots.plot_orbits(NaturalAction(FiniteMatrixGroup.generated_by([turn])), POINT).axes
    links = [np.array(line.get_xydata()) for line in axes.lines if line.get_alpha() == 0.5]
    assert len(links) >= 4
    for start, end in links:
        turned = turn.numpy() @ start
        assert np.allclose(end, turned) or np.allclose(end, -turned)  # a generator, or its inverse


def test_a_cloud_reaches_as_far_as_asked():
    cloud = orbit(TranslationAction(2), reach=2.0)[0] - POINT
    assert 1.9 < float(cloud.max()) <= 2.0 and -2.0 <= float(cloud.min()) < -1.9


def test_contours_of_an_invariant_density():
    figure = plots.plot_orbits(
        PointReflection(0.0),
        [POINT, [0.2, 1.0]],
        density=lambda z: -0.5 * z[..., 0] ** 2 - 2 * z[..., 1] ** 2,
        limits=(-3, 3),
    )
    (axes,) = figure.axes
    assert axes.get_xlim() == (-3.0, 3.0)
    (contours,) = (c for c in axes.collections if hasattr(c, "levels"))
    np.testing.assert_allclose(contours.levels, [-4.5, -2.0, -0.5, 0.0])
    inside = contours.get_paths()[-1].vertices
    assert np.abs(inside).max(0) == pytest.approx([1.0, 0.5], abs=0.06)  # half a nat below the top: one deviation each


def test_space_and_sphere():
    x = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64)
    figure = Figure()
    axes = figure.add_subplot(projection="3d")
    assert plots.plot_orbits(SphereRotation(3), x, sphere=True, axes=axes) is figure
    assert axes.get_zlabel() == "$x_3$"
    cloud = max(axes.lines, key=lambda line: len(line.get_xdata())).get_data_3d()
    np.testing.assert_allclose(np.linalg.norm(np.array(cloud), axis=0), 1.0)
    mirror = NaturalAction(FiniteMatrixGroup.generated_by([torch.diag(torch.tensor([1.0, 1.0, -1.0]).double())]))
    (axes,) = plots.plot_orbits(mirror, x).axes
    (plane,) = (c for c in axes.collections if type(c).__name__ == "Poly3DCollection")
    corners = np.concatenate([np.asarray(face) for face in plane._faces])
    np.testing.assert_allclose(corners[:, 2], 0, atol=1e-12)
    assert np.ptp(corners[:, 0]) > 0.5 and np.ptp(corners[:, 1]) > 0.5


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(TypeError, match="expected an action, got Cyclic"):
        plots.plot_orbits(Cyclic(3), POINT)
    for action, x in ((SphereRotation(4), torch.ones(1, 4)), (PointCloudAction(SpecialEuclidean(2)), torch.ones(3, 2))):
        with pytest.raises(ValueError, match=r"expected points \[n, 2\] or \[n, 3\]"):
            plots.plot_orbits(action, x)
    with pytest.raises(ValueError, match="expected points"):
        plots.plot_orbits(SphereRotation(2), torch.ones(1, 3))
    with pytest.raises(ValueError, match="expected center"):
        plots.plot_orbits(PointReflection(), POINT)
    with pytest.raises(ValueError, match="expected density=None"):
        plots.plot_orbits(SphereRotation(3), torch.ones(3), density=lambda z: z.sum(-1))
    with pytest.raises(ValueError, match="expected 2 labels, got 1"):
        plots.plot_orbits(SphereRotation(2), POINT, labels=["x"])
    with pytest.raises(ValueError, match="expected limits"):
        plots.plot_orbits(SphereRotation(2), POINT, limits=(3, -3))
    with pytest.raises(ValueError, match="expected finite points"):
        plots.plot_orbits(SphereRotation(2), [math.nan, 0.0])
