"""Coordinates of bent strips, against a curve integrated numerically."""

import torch

from pyro_symvi.deformable.scenes._sphere import on_plane, on_sphere
from pyro_symvi.deformable.scenes._strips import Strip


def test_points_lie_at_t_along_the_normal_of_a_curve_of_the_curvatures():
    curvatures = [torch.tensor(k, dtype=torch.float64) for k in ([0.0, 0.4], [3.0, -5.0], [0.0, 1.0])]
    lengths, heading = (0.3, 0.2, 0.4), torch.tensor([0.3, -2.0], dtype=torch.float64)
    strip = Strip(heading, lengths, curvatures, lambda s: torch.where((s >= 0) & (s <= 0.9), 0.15, -1.0))
    steps = 9000
    step = 0.9 / steps
    middle = (torch.arange(steps, dtype=torch.float64) + 0.5) * step
    pieces = zip(*curvatures, strict=True)
    bent = torch.stack([torch.where(middle < 0.3, a, torch.where(middle < 0.5, b, c)) for a, b, c in pieces])
    angle = heading[:, None] + bent.cumsum(-1) * step
    ahead = angle - bent * step / 2
    curve = torch.stack([ahead.cos(), ahead.sin()], -1).cumsum(1) * step
    for at, t in ((2000, 0.1), (3500, -0.12), (4400, 0.14), (8000, 0.0)):
        s = torch.full((2, 1), (at + 1) * step, dtype=torch.float64)
        normal = torch.stack([-angle[:, at].sin(), angle[:, at].cos()], -1)
        expected = (curve[:, at] + t * normal)[:, None]
        torch.testing.assert_close(strip.point(s, torch.full_like(s, t)), expected, atol=1e-8, rtol=0)
        found_s, found_t, inside, found_angle = strip.locate(expected)
        torch.testing.assert_close(found_s, s, atol=1e-7, rtol=0)
        torch.testing.assert_close(found_t, torch.full_like(s, t), atol=1e-7, rtol=0)
        torch.testing.assert_close(found_angle[:, 0], angle[:, at], atol=1e-7, rtol=0)
        assert inside.all()
    assert not strip.locate(torch.full((2, 1, 2), -2.0, dtype=torch.float64))[2].any()


def test_the_drawing_on_the_sphere_is_a_stereographic_projection():
    drawing = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    places = on_sphere(drawing)
    pole = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    ray = places - pole  # the point, the pole and the place are on one line
    torch.testing.assert_close(pole + ray / ray[:, 2:], torch.cat([drawing, torch.zeros(50, 1)], -1))
    torch.testing.assert_close(on_plane(places), drawing)
