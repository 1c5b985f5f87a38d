"""Frequencies of cycles and Mulliken symbols of polygons: the Fourier transform, printed tables, any order."""

import math

import pytest
import torch

from pyro_symvi.equivariance import spectrum
from pyro_symvi.groups import CoordinatePermutation, Cyclic, Dihedral, GridRotations, PointGroup


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_energies_by_frequency_are_a_periodogram(n: int) -> None:
    """B_k = (|U_k|^2 + |U_(n-k)|^2) / n^2 for a response with the values u_0, ..., u_(n-1) along the cycle."""
    group, values = Cyclic(n), torch.randn(1, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    layer = spectrum(lambda x: x[:, :1], values, group, rho_in=CoordinatePermutation(n, permutations=group)).output
    power = torch.fft.fft(values[0]).abs().square() / n**2
    for irrep, energy in zip(group.irreps(), layer.energies[:, 0, 0], strict=True):
        k = irrep.label
        wanted = power[k] if 2 * k % n == 0 else power[k] + power[n - k]  # type: ignore[operator,index]
        assert float(energy) == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_polygons_agree_with_printed_tables(n: int) -> None:
    """D_n in the plane is C_nv of space: the same symbol and character at r^k and r^k f, f the plane xz."""
    plane, space = Dihedral(n), PointGroup(f"C{n}v")
    g = plane.elements()
    angle = 2 * math.pi * g[:, 0].double() / n
    c, s, mirror = angle.cos(), angle.sin(), 1 - 2 * g[:, 1].double()
    zero, one = torch.zeros_like(c), torch.ones_like(c)
    matrices = torch.stack([c, -s * mirror, zero, s, c * mirror, zero, zero, zero, one], -1).reshape(-1, 3, 3)
    ours, theirs = plane.irreps(), space.irreps()
    assert [r.label for r in ours] == [r.label for r in theirs]
    for mine, printed in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.character(g), printed.character(matrices), atol=1e-10)


@pytest.mark.parametrize("group", [Cyclic(1), Cyclic(7), Dihedral(1), Dihedral(2), Dihedral(7)], ids=repr)
def test_representations(group: Cyclic | Dihedral) -> None:
    g = group.elements()
    size = 0
    for r in group.irreps():
        m = r.matrix(g)
        assert torch.allclose(m[:, None] @ m, r.matrix(group.compose(g[:, None], g)), atol=1e-12)
        assert torch.allclose(r.matrix(g.double()), m) and m.dtype == torch.float64
        square = round(float(r.character(g).square().mean()))
        assert square == (2 if r.kind == "complex" else 1)
        size += r.dimension**2 // square
    assert size == group.order


def test_orders_beyond_a_multiplication_table() -> None:
    group = Cyclic(5000)
    assert len(group.irreps()) == 2501
    turn = group.irreps()[-1]
    assert turn.label == 2499 and turn.character(torch.tensor(1)) == pytest.approx(
        2 * math.cos(2 * math.pi * 2499 / 5000)
    )


def test_a_derivative_of_an_image_is_in_the_plane_of_directions() -> None:
    """Of the eight symmetries of a square: the mean gray is A1, a difference of left and right E, x y is B2."""
    action, x = GridRotations(), torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    at = torch.arange(6, dtype=torch.float64) - 2.5
    weights = {"A1": at.new_ones(6, 6), "E": at.expand(6, 6), "B2": at[:, None] * at, "B1": at[:, None] ** 2 - at**2}
    for label, weight in weights.items():
        layer = spectrum(lambda z, w=weight: (z * w).sum((-2, -1))[:, None], x, action.group, rho_in=action).output
        assert layer.fraction(label) == pytest.approx(1, abs=1e-12)
