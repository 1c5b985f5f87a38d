"""Real spherical and solid harmonics against scipy and e3nn, under rotations, as polynomials, at the origin."""

import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y
from torch import Tensor

from pyro_symvi.groups import SpecialOrthogonal, solid_harmonics, spherical_harmonics, wigner_d
from pyro_symvi.groups._quadrature import rotations


def vectors(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_scipy(degree: int, x: Tensor) -> Tensor:
    """From the complex harmonics with Condon-Shortley phase, which is taken out."""
    points = x.numpy()
    polar = np.arctan2(np.hypot(points[:, 0], points[:, 1]), points[:, 2])
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    y = {m: (-1) ** m * sph_harm_y(degree, m, polar, azimuth) for m in range(degree + 1)}
    rows = [y[0].real if m == 0 else np.sqrt(2) * (y[m].real if m > 0 else y[-m].imag) for m in range(-degree, 1)]
    rows += [np.sqrt(2) * y[m].real for m in range(1, degree + 1)]
    return torch.as_tensor(np.stack(rows, -1))


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 5, 8, 12, 20])
def test_against_scipy_and_under_rotations(degree: int) -> None:
    x = vectors(40)
    y = spherical_harmonics(degree, x)
    assert float((y - by_scipy(degree, x)).abs().max()) < 1e-12
    g = SpecialOrthogonal(3).sample(40, generator=torch.Generator().manual_seed(1))
    moved = spherical_harmonics(degree, (g @ x[..., None])[..., 0])
    assert float((moved - (wigner_d(degree, g) @ y[..., None])[..., 0]).abs().max()) < 1e-12
    solid = solid_harmonics(degree, x)
    assert torch.allclose(solid, x.norm(dim=-1, keepdim=True) ** degree * y, rtol=1e-12, atol=1e-12)
    unit = spherical_harmonics(degree, x, squared_norm=1.0)
    assert float((unit.square().sum(-1) - 1).abs().max()) < 1e-12


def test_the_phase_matters() -> None:
    """With the Condon-Shortley phase left in, the harmonics would not turn by wigner_d."""
    x, g = vectors(5), SpecialOrthogonal(3).sample(5, generator=torch.Generator().manual_seed(1))
    phase = torch.tensor([1.0, -1, 1, -1, 1]).double()
    y, moved = spherical_harmonics(2, x) * phase, spherical_harmonics(2, (g @ x[..., None])[..., 0]) * phase
    assert float((moved - (wigner_d(2, g) @ y[..., None])[..., 0]).abs().max()) > 0.1


def test_against_e3nn() -> None:
    """Their harmonics have y for polar axis: the same numbers after the cyclic change (x, y, z) -> (y, z, x)."""
    o3 = pytest.importorskip("e3nn.o3")
    x = vectors(20)
    for degree in (1, 2, 3, 6, 11):
        theirs = o3.spherical_harmonics(degree, x[:, [1, 2, 0]], normalize=True, normalization="component")
        ours = spherical_harmonics(degree, x, squared_norm=2 * degree + 1)
        assert float((theirs - ours).abs().max()) < 1e-12


def test_orthonormal_on_the_sphere() -> None:
    g, weights = rotations(12)
    points = g[:, :, 2]
    y = torch.cat([spherical_harmonics(k, points) for k in range(7)], -1)
    gram = 4 * math.pi * (y.mT * weights) @ y
    assert float((gram - torch.eye(49)).abs().max()) < 1e-12


def test_solid_harmonics_are_harmonic() -> None:
    x = vectors(1)[0]
    for degree in (2, 5):
        hessian = torch.func.hessian(lambda p, k=degree: solid_harmonics(k, p))(x)
        assert float(hessian.diagonal(dim1=1, dim2=2).sum(-1).abs().max()) < 1e-11
        assert float(hessian.abs().max()) > 1


def test_zero_and_short_vectors() -> None:
    x = torch.tensor([[0.0, 0, 0], [3e-200, 0, 4e-200], [3e150, 0, 4e150]], dtype=torch.float64, requires_grad=True)
    for degree in (1, 2, 3):
        y = spherical_harmonics(degree, x)
        assert torch.equal(y[0], torch.zeros(2 * degree + 1).double())
        assert torch.allclose(y[1:], spherical_harmonics(degree, torch.tensor([0.6, 0, 0.8]).double()))
        (slope,) = torch.autograd.grad(solid_harmonics(degree, x[:1]).sum(), x)
        (spherical,) = torch.autograd.grad(spherical_harmonics(degree, x[:1]).sum(), x)
        wanted = math.sqrt(0.75 / math.pi) if degree == 1 else 0.0  # S_1 = sqrt(3 / 4 pi) (y, z, x)
        assert torch.allclose(slope[0], torch.full((3,), wanted).double(), atol=1e-15)
        assert torch.allclose(spherical[0], slope[0], atol=1e-15)
        tangent = torch.func.jvp(lambda p, k=degree: solid_harmonics(k, p), (x.detach(),), (torch.ones_like(x),))[1]
        assert torch.allclose(tangent[0].sum(), 3 * torch.tensor(wanted).double())


def test_derivatives_of_the_direction() -> None:
    """The radial derivative vanishes; reverse, forward and second derivatives agree with finite differences."""
    x = vectors(3, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: spherical_harmonics(3, p), x)
    assert torch.autograd.gradgradcheck(lambda p: spherical_harmonics(3, p), x)
    radial = torch.func.jvp(lambda p: spherical_harmonics(3, p), (x.detach(),), (x.detach(),))[1]
    assert float(radial.abs().max()) < 1e-14


@pytest.mark.parametrize(
    ("degree", "x", "options", "error", "words"),
    [
        (-1, torch.ones(3), {}, ValueError, "expected degree >= 0, got -1"),
        (1.0, torch.ones(3), {}, TypeError, "expected degree to be an int"),
        (1, torch.ones(2), {}, ValueError, r"expected vectors x of shape \[..., 3\], got \[2\]"),
        (1, torch.ones(3).long(), {}, TypeError, "floating dtype, got torch.int64"),
        (1, torch.ones(3), {"squared_norm": 0.0}, ValueError, "expected a positive squared_norm"),
    ],
    ids=["negative", "float", "plane", "integers", "zero norm"],
)
def test_errors(degree: int, x: Tensor, options: dict[str, float], error: type[Exception], words: str) -> None:
    for function in (spherical_harmonics, solid_harmonics):
        with pytest.raises(error, match=words):
            function(degree, x, **options)
