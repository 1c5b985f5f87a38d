"""Point clouds: weights, masks, degenerate clouds, single precision, alignment."""

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from pyro_symvi.groups import Orthogonal, PointCloudAction, SpecialEuclidean, SpecialOrthogonal
from pyro_symvi.groups import _geometry as geometry

RIGID = PointCloudAction(SpecialEuclidean(3))


def clouds(n: int = 6, size: int = 7, d: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(n, size, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_weights_are_the_metric(d: int) -> None:
    """With masses the projection is W^-1/2 P_e W^1/2 of the scaled basis; H is the metric gradient of the volume."""
    weights = torch.rand(7, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.2
    action = PointCloudAction(SpecialEuclidean(d), weights)
    x, v = clouds(d=d), clouds(d=d, seed=2)
    root = weights.sqrt()[:, None]
    basis = (action.vertical_basis(x) * root[..., None]).flatten(1, 2)
    wanted = geometry.project_horizontal(basis, (v * root).flatten(1)).reshape(x.shape) / root
    assert float((action.project(x, v) - wanted).abs().max()) < 1e-10
    assert float((action.gram(x) - basis.mT @ basis).abs().max()) < 1e-10

    def volume(y: Tensor) -> Tensor:
        return geometry.log_volume((action.vertical_basis(y) * root[..., None]).flatten(1, 2)).sum()

    gradient = torch.func.grad(volume)(x) / weights[:, None]
    assert float((action.mean_curvature(x) + gradient).abs().max()) < 1e-9
    difference = geometry.log_volume(basis) - action.log_orbit_volume(x)
    assert float(difference.max() - difference.min()) < 1e-10


def test_padding_is_ignored() -> None:
    x, v = clouds(), clouds(seed=2)
    padded, wide = torch.cat([x, clouds(size=3, seed=5)], 1), torch.cat([v, clouds(size=3, seed=6)], 1)
    mask = torch.tensor([1.0] * 7 + [0.0] * 3, dtype=torch.float64)
    action = PointCloudAction(SpecialEuclidean(3), mask)
    assert float((action.project(padded, wide)[:, :7] - RIGID.project(x, v)).abs().max()) < 1e-12
    assert float(action.project(padded, wide)[:, 7:].abs().max()) == 0
    assert float((action.mean_curvature(padded)[:, :7] - RIGID.mean_curvature(x)).abs().max()) < 1e-10
    assert torch.allclose(action.log_orbit_volume(padded), RIGID.log_orbit_volume(x))
    assert torch.allclose(action.distance(padded, wide), RIGID.distance(x, v))
    ragged = torch.ones(6, 7, dtype=torch.float64)
    ragged[0, 4:] = 0
    several = PointCloudAction(SpecialEuclidean(3), ragged)
    assert torch.allclose(several.project(x, v)[0, :4], RIGID.project(x[0, :4], v[0, :4]))
    assert torch.allclose(several.project(x, v)[1:], RIGID.project(x, v)[1:])


@pytest.mark.parametrize("bend", [0.0, 1e-300, 1e-16, 1e-10, 1e-7, 1e-4, 1e-2])
def test_collinear_clouds(bend: float) -> None:
    """Straight and nearly straight clouds: P stays an orthogonal projection; H stays finite and horizontal."""
    line = torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, -2.0], dtype=torch.float64)
    x = line + bend * clouds(1, 6)[0]
    v, w = clouds(1, 6, seed=3)[0], clouds(1, 6, seed=4)[0]
    p = RIGID.project(x, v)
    assert float((RIGID.project(x, p) - p).abs().max()) < 1e-11
    assert abs(float((p * w).sum() - (v * RIGID.project(x, w)).sum())) < 1e-11
    assert float(p.norm()) <= float(v.norm())
    turn = torch.linalg.cross(p, x - x.mean(0)).sum(0)
    assert float(turn.abs().max()) < 1e-11, "no angular momentum is left"
    h = RIGID.mean_curvature(x)
    assert float((RIGID.project(x, h) - h).abs().max()) < 1e-7 * float(h.abs().max())
    if bend == 0:
        removed = 6 * 3 - 3 - 2
        basis = torch.eye(18, dtype=torch.float64).reshape(18, 6, 3)
        trace = (RIGID.project(x.expand(18, 6, 3), basis) * basis).sum()
        assert float(trace) == pytest.approx(removed, abs=1e-9), "two rotations, not three, move a straight cloud"
        centred = x - x.mean(0)
        wanted = -2 * centred / centred.square().sum()
        assert float((RIGID.mean_curvature(x) - wanted).abs().max()) < 1e-10, "a bond is a Bessel-3 process"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_fewer_points_than_axes(size: int) -> None:
    """Against the derivation, in four dimensions; two points in space are a Bessel-3 bond, H = -2 x / |x|^2."""
    for d in (3, 4):
        action = PointCloudAction(SpecialOrthogonal(d))
        x, v = clouds(3, size, d), clouds(3, size, d, seed=1)
        wanted = geometry.project_horizontal(action.vertical_basis(x).flatten(1, 2), v.flatten(1)).reshape(v.shape)
        assert float((action.project(x, v) - wanted).abs().max()) < 1e-10
        derived = torch.func.grad(lambda y, a=action: geometry.log_volume(a.vertical_basis(y).flatten(1, 2)).sum())(x)
        assert float((action.mean_curvature(x) + derived).abs().max()) < 1e-9
    x = clouds(1, 2)[0]
    centred = x - x.mean(0)
    assert torch.allclose(RIGID.mean_curvature(x), -2 * centred / centred.square().sum())


def test_degenerate_single_points() -> None:
    """All points in one place: nothing but translations moves them."""
    x, v = torch.ones(4, 3, dtype=torch.float64), clouds(1, 4)[0]
    assert torch.allclose(RIGID.project(x, v), v - v.mean(0))
    assert float(RIGID.mean_curvature(x).abs().max()) == 0 and float(RIGID.log_orbit_volume(x)) == 0


def test_single_precision() -> None:
    """fp32 clouds far from the origin, on the scale of 1e3: error of P at the level of fp32 rounding."""
    x, v = clouds(200, 20) * 1e3, clouds(200, 20, seed=1)
    reference = RIGID.project(x, v)
    single = RIGID.project(x.float(), v.float())
    assert single.dtype == torch.float32
    assert float((single.double() - reference).abs().max()) < 5e-6
    idempotent = RIGID.project(x.float(), single)
    assert float((idempotent - single).abs().max()) < 2e-6


def test_straight_horizontal_steps_stay_aligned() -> None:
    """A small horizontal step leaves no rotation: Kabsch finds the identity, and angular momentum stays zero."""
    x = clouds()
    x = x - x.mean(-2, keepdim=True)
    step = 0.1 * RIGID.project(x, clouds(seed=8))
    after = x + step
    assert float(torch.linalg.cross(after, x).sum(-2).abs().max()) < 1e-12
    g = RIGID.align(after, x)
    assert float((g - RIGID.group.identity()).abs().max()) < 1e-9


def test_alignment_against_scipy() -> None:
    x, y = clouds(10), clouds(10, seed=1)
    weights = torch.rand(7, generator=torch.Generator().manual_seed(2), dtype=torch.float64) + 0.1
    action = PointCloudAction(SpecialOrthogonal(3), weights)
    g = action.align(x, y)
    for i in range(10):
        found, _ = Rotation.align_vectors(y[i].numpy(), x[i].numpy(), weights=weights.numpy())
        assert float((g[i] - torch.as_tensor(found.as_matrix())).abs().max()) < 1e-9
    assert bool((torch.linalg.det(g) > 0).all())


def test_alignment_recovers_a_motion_and_knows_mirrors() -> None:
    x = clouds()
    g = RIGID.group.element(
        RIGID.group.rotations.sample(6, generator=torch.Generator().manual_seed(0)), clouds(1, 6, seed=9)[0]
    )
    assert float((RIGID.align(x, RIGID.act(g, x)) - g).abs().max()) < 1e-9
    mirrored = x * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    assert float(RIGID.distance(x, mirrored).min()) > 0.1
    assert float(PointCloudAction(Orthogonal(3)).distance(x, mirrored).max()) < 1e-9


@pytest.mark.parametrize("kind", ["planar", "collinear", "coincident", "symmetric"])
def test_alignment_at_degenerate_singular_values(kind: str) -> None:
    """A proper rotation that attains the minimum also where it is not unique."""
    x = {
        "planar": clouds(1)[0] * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64),
        "collinear": clouds(1)[0][:, :1] * torch.ones(3, dtype=torch.float64),
        "coincident": torch.zeros(7, 3, dtype=torch.float64),
        "symmetric": torch.cat([torch.eye(3), -torch.eye(3)]).double(),
    }[kind]
    turn = SpecialOrthogonal(3).sample(1, generator=torch.Generator().manual_seed(0))[0]
    action = PointCloudAction(SpecialOrthogonal(3))
    y = action.act(turn, x)
    g = action.align(x, y)
    assert bool(action.group.contains(g, tolerance=1e-9)) and float(action.distance(x, y)) < 1e-9


def test_sizes() -> None:
    """10^5 points modulo rotation and 10^4 clouds of 20 points: one call each, shapes kept."""
    from pyro_symvi.groups import SphereRotation

    x, v = clouds(1, 100_000)[0], clouds(1, 100_000, seed=1)[0]
    assert SphereRotation(3).project(x, v).shape == (100_000, 3)
    many = torch.randn(10_000, 20, 3, generator=torch.Generator().manual_seed(0))
    assert RIGID.project(many, many.flip(0)).shape == many.shape
