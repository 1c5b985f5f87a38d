"""Thin-plate splines against SciPy, autograd and what defines them; their inverse."""

import numpy
import pytest
import torch
from scipy.interpolate import RBFInterpolator

from pyro_symvi.deformable._points import grid_points
from pyro_symvi.deformable.warps import RandomWarps, ThinPlateSpline, control_points


def spline(count=3, rows=5, strength=0.05, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, rows**2, 2, generator=generator, dtype=torch.float64)
    return ThinPlateSpline((strength * noise).to(dtype))


def places(count=3, number=40, seed=1, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    return spread * (2 * torch.rand(count, number, 2, generator=generator, dtype=torch.float64) - 1)


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_agrees_with_scipy_inside_and_outside_the_image(rows):
    warp, points = spline(rows=rows), places(spread=1.5)
    controls = control_points(rows, like=points)
    for number, displacement in enumerate(warp.displacements):
        known = RBFInterpolator(
            controls.numpy(), (controls + displacement).numpy(), kernel="thin_plate_spline", degree=1
        )(points[number].numpy())
        numpy.testing.assert_allclose(warp.forward(points)[number].numpy(), known, atol=1e-12)


def test_control_points_go_where_they_are_sent():
    warp = spline()
    controls = control_points(5, like=warp.displacements)
    assert controls[:2].tolist() == [[-1, -1], [-0.5, -1]]  # row by row from the upper left
    torch.testing.assert_close(warp.forward(controls), controls + warp.displacements, atol=1e-12, rtol=0)


def test_affine_displacements_are_reproduced_everywhere():
    matrix = torch.tensor([[0.9, -0.3], [0.2, 1.1]], dtype=torch.float64)
    offset = torch.tensor([0.05, -0.2], dtype=torch.float64)
    controls = control_points(4, like=matrix)
    warp = ThinPlateSpline((controls @ matrix.T + offset - controls)[None])
    points = places(1, spread=3.0)
    torch.testing.assert_close(warp.forward(points), points @ matrix.T + offset, atol=1e-12, rtol=0)
    torch.testing.assert_close(warp.jacobians(points), matrix.expand(1, 40, 2, 2), atol=1e-12, rtol=0)
    assert warp.least_jacobian().item() == pytest.approx(matrix.det().item())


def test_one_set_of_points_serves_all_maps_and_the_grid_is_that_of_pixels():
    warp = spline()
    points = grid_points(6, 9, like=warp.displacements)
    each = warp.forward(points.expand(3, -1, 2))
    torch.testing.assert_close(warp.forward(points), each, atol=0, rtol=0)
    torch.testing.assert_close(warp.on_grid(6, 9), each, atol=1e-12, rtol=0)
    torch.testing.assert_close(warp[1:].on_grid(6, 9), each[1:], atol=1e-12, rtol=0)


def test_jacobians_are_those_of_autograd_and_the_least_one_is_found():
    warp = spline()
    points = grid_points(8, 8, like=warp.displacements).expand(3, -1, 2).clone().requires_grad_()
    moved = warp.forward(points)
    rows = [torch.autograd.grad(moved[..., i].sum(), points, retain_graph=True)[0] for i in range(2)]
    found = warp.jacobians(points.detach())
    torch.testing.assert_close(found, torch.stack(rows, -2), atol=1e-12, rtol=0)
    torch.testing.assert_close(warp.least_jacobian(8), found.det().amin(-1), atol=1e-12, rtol=0)


def test_a_first_use_inside_a_transform_spoils_nothing():
    rows = 7  # used nowhere else here
    noise = 0.01 * torch.ones(1, rows**2, 2, dtype=torch.float64)
    points = places(1)

    def total(displacements):
        return ThinPlateSpline(displacements).forward(points).sum() + ThinPlateSpline(displacements).on_grid(3, 3).sum()

    slope = torch.func.grad(total)(noise)
    assert slope.sum().item() == pytest.approx(2 * (40 + 9))  # a common shift of the controls shifts all
    assert ThinPlateSpline(noise.float()).on_grid(3, 3).dtype == torch.float32


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-9), (torch.float32, 5e-6)])
def test_the_inverse_undoes_the_map_on_both_sides(dtype, error):
    warp = RandomWarps(elastic=0.07).sample(
        20, generator=torch.Generator().manual_seed(3), like=torch.zeros((), dtype=dtype)
    )
    points = places(20).to(dtype)
    torch.testing.assert_close(warp.inverse(warp.forward(points)), points, atol=error, rtol=0)
    torch.testing.assert_close(warp.forward(warp.inverse(points)), points, atol=error, rtol=0)
    assert (warp.forward(points) - points).abs().max() > 0.1
    rough = warp.inverse(points, tolerance=1e-3)  # one more step squares the error
    assert (warp.forward(rough) - points).abs().max() < 5e-5


def test_points_that_are_shown_nowhere_are_nan_and_so_are_unknown_ones():
    warp = spline(2, seed=4)
    controls = control_points(5, like=warp.displacements)
    flat = ThinPlateSpline(torch.stack([warp.displacements[0], -controls * torch.tensor([0, 1.0]).to(controls)]))
    reached = flat.forward(torch.tensor([[0.3, 0.4]], dtype=torch.float64))
    unknown = torch.tensor([[float("nan"), 0.0], [0.1, 0.5]], dtype=torch.float64).expand(2, 2, 2)
    found = flat.inverse(torch.cat([unknown, reached], 1))  # the second map is onto the line y = 0
    assert found.isnan().all(-1).tolist() == [[True, False, False], [True, True, True]]
    torch.testing.assert_close(flat.forward(found)[0, 1:], torch.stack([unknown[0, 1], reached[0, 0]]))
    known = places(3)
    given_up = spline().inverse(known, tolerance=1e-3, max_steps=2)  # the affine map is not all there is
    near = (spline().forward(spline().inverse(known, max_steps=2, tolerance=9.0)) - known).norm(dim=-1)
    assert 0 < int(given_up.isnan().any(-1).sum()) < 120 and near.max() < 0.1


def test_unknown_points_cost_no_steps():
    class Counted(ThinPlateSpline):
        calls = 0

        def _linear(self, points):
            self.calls += 1
            return super()._linear(points)

    warp = Counted(spline().displacements)
    assert warp.inverse(torch.full((3, 5, 2), float("nan"), dtype=torch.float64)).isnan().all()
    assert warp.calls == 1


def test_what_is_refused():
    warp = spline()
    with pytest.raises(ValueError, match=r"expected displacements \[B, rows\^2, 2\].*got \[3, 24, 2\]"):
        ThinPlateSpline(warp.displacements[:, 1:])
    with pytest.raises(ValueError, match="expected finite displacements.* 1 entries not finite"):
        ThinPlateSpline(torch.tensor([float("nan"), *[0.0] * 7]).view(1, 4, 2))
    with pytest.raises(ValueError, match="finite displacements of a floating dtype, got torch.int64"):
        ThinPlateSpline(torch.zeros(1, 4, 2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"expected points \[N, 2\] or \[3, N, 2\], got \[2, 40, 2\]"):
        warp.forward(places(2))
    with pytest.raises(TypeError, match="expected points of a floating dtype, got torch.int64"):
        warp.inverse(torch.zeros(4, 2, dtype=torch.long))
