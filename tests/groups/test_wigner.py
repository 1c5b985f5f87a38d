"""Real Wigner matrices against spherical harmonics (scipy), as a representation, at the poles, and against e3nn."""

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y
from torch import Tensor

from pyro_symvi.groups import Orthogonal, SpecialOrthogonal, wigner_d

DEGREES = [0, 1, 2, 3, 4, 7, 12, 20]


def rotations(n: int, seed: int = 0) -> Tensor:
    return SpecialOrthogonal(3).sample(n, generator=torch.Generator().manual_seed(seed))


def harmonics(degree: int, x: Tensor) -> Tensor:
    """Real spherical harmonics without Condon-Shortley phase, m = -l, ..., l."""
    points = x.numpy()
    polar = np.arctan2(np.hypot(points[:, 0], points[:, 1]), points[:, 2])
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    columns = []
    for m in range(-degree, degree + 1):
        y = (-1) ** m * sph_harm_y(degree, abs(m), polar, azimuth)
        columns.append(y.real if m == 0 else np.sqrt(2) * (y.real if m > 0 else y.imag))
    return torch.as_tensor(np.stack(columns, -1))


@pytest.mark.parametrize("degree", DEGREES)
def test_turns_spherical_harmonics(degree: int) -> None:
    r = rotations(30)
    x = torch.randn(30, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    turned = harmonics(degree, (r @ x[..., None])[..., 0])
    assert float((turned - (wigner_d(degree, r) @ harmonics(degree, x)[..., None])[..., 0]).abs().max()) < 1e-13


@pytest.mark.parametrize("degree", DEGREES)
def test_is_an_orthogonal_representation(degree: int) -> None:
    a, b = rotations(20), rotations(20, seed=1)
    da, db = wigner_d(degree, a), wigner_d(degree, b)
    assert float((da @ db - wigner_d(degree, a @ b)).abs().max()) < 1e-13
    assert float((da.mT @ da - torch.eye(2 * degree + 1)).abs().max()) < 1e-13
    single = wigner_d(degree, a.float())
    assert single.dtype == torch.float32 and float((single.double() - da).abs().max()) < 1e-4


@pytest.mark.parametrize("tilt", [0.0, 1e-300, 1e-16, 1e-9, 1e-5])
def test_stable_at_the_poles(tilt: float) -> None:
    """Rotations that (nearly) keep or reverse the z axis, where Euler angles are undefined."""
    z = torch.tensor([0.4, -2.0, 3.1], dtype=torch.float64)
    spin = torch.linalg.matrix_exp(z[:, None, None] * torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 0]]).double())
    lean = torch.linalg.matrix_exp(tilt * torch.tensor([[0.0, 0, 1], [0, 0, 0], [-1, 0, 0]]).double())
    over = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    for r in (spin @ lean, over @ spin @ lean):
        d = wigner_d(20, r)
        assert float((d.mT @ d - torch.eye(41)).abs().max()) < 1e-13
        x = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        turned = harmonics(20, (r @ x[..., None])[..., 0])
        assert float((turned - (d @ harmonics(20, x)[..., None])[..., 0]).abs().max()) < 1e-12


def test_derivative_is_the_angular_momentum() -> None:
    """d/dt D^l(exp(tX)) at the identity, a pole of the Euler angles: antisymmetric, sum of squares -l(l+1)."""
    group = SpecialOrthogonal(3)
    for degree in (1, 2, 6):
        parts = []
        for e in torch.eye(3, dtype=torch.float64):
            _, d = torch.func.jvp(lambda c, k=degree: wigner_d(k, group.exp(c)), (torch.zeros_like(e),), (e,))
            assert float((d + d.mT).abs().max()) < 1e-12
            parts.append(d @ d)
        casimir = -degree * (degree + 1) * torch.eye(2 * degree + 1, dtype=torch.float64)
        assert float((sum(parts) - casimir).abs().max()) < 1e-10


def test_improper_elements_follow_the_convention() -> None:
    """(l, sigma): the inversion acts as sigma (-1)^l; a vector is (1, 1), a cross product (1, -1)."""
    irreps = {r.label: r for r in Orthogonal(3).irreps(3)}
    assert set(irreps) == {(k, s) for k in range(4) for s in (1, -1)}
    inversion = -torch.eye(3, dtype=torch.float64)
    for (degree, sigma), r in irreps.items():
        wanted = sigma * (-1) ** degree * torch.eye(2 * degree + 1, dtype=torch.float64)
        assert float((r.matrix(inversion) - wanted).abs().max()) < 1e-14
    g = Orthogonal(3).sample(20, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([1, 2, 0])
    assert float((irreps[(1, 1)].matrix(g) - g[:, order][:, :, order]).abs().max()) < 1e-14
    cross = torch.linalg.det(g)[:, None, None] * g
    assert float((irreps[(1, -1)].matrix(g) - cross[:, order][:, :, order]).abs().max()) < 1e-13
    assert float((irreps[(0, -1)].matrix(g)[:, 0, 0] - torch.linalg.det(g)).abs().max()) < 1e-13


def test_restriction_to_the_cube() -> None:
    """l = 2 splits as E + T2 and l = 3 as A2 + T1 + T2 under the rotations of the cube."""
    from pyro_symvi.groups import PolyhedralGroup

    cube = PolyhedralGroup("octahedral")
    g = cube.elements()
    for degree, wanted in ((2, ["E", "T2"]), (3, ["A2", "T1", "T2"]), (4, ["A1", "E", "T1", "T2"])):
        trace = wigner_d(degree, g).diagonal(dim1=-2, dim2=-1).sum(-1)
        found = [r.label for r in cube.irreps() for _ in range(round(float((r.character(g) * trace).mean())))]
        assert found == wanted


def test_against_e3nn() -> None:
    """Their harmonics have y for polar axis: the same matrices after a cyclic change of axes."""
    o3 = pytest.importorskip("e3nn.o3")
    torch.set_default_dtype(torch.float64)
    cycle = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    r = rotations(10)
    for degree in (1, 2, 5, 8, 11):
        theirs = o3.Irrep(degree, 1).D_from_matrix(r)
        assert float((theirs - wigner_d(degree, cycle @ r @ cycle.mT)).abs().max()) < 1e-12
