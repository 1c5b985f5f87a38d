"""Circles, tori, cyclic and dihedral groups, permutations, products: energies known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pyro_symvi.equivariance import LayerSpectrum, gram_error, spectrum
from pyro_symvi.groups import (
    BlockSigns,
    ComposedAction,
    CoordinatePermutation,
    Cyclic,
    Dihedral,
    FiniteMatrixGroup,
    Group,
    NaturalAction,
    Quadrature,
    SpecialOrthogonal,
    Symmetric,
    Torus,
    TorusAction,
)
from pyro_symvi.groups._quadrature import torus

SO2 = SpecialOrthogonal(2)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sectors(layer: LayerSpectrum) -> dict[object, float]:
    """The irreps that hold any energy."""
    return {label: f for label, f in zip(layer.labels, layer.fractions.tolist(), strict=True) if f > 1e-13}


def waves(q: tuple[int, int], x: Tensor) -> Tensor:
    """Cos(q_1 t_1) cos(q_2 t_2) of the angles of two complex numbers."""
    angle = torch.atan2(x[:, 1::2], x[:, ::2])
    return (angle[:, 0] * q[0]).cos() * (angle[:, 1] * q[1]).cos()


def test_a_product_of_cosines_on_a_torus() -> None:
    """The product is half a sum and half a difference: E u^2 = 1/4 in equal parts on (q1, q2) and (q1, -q2)."""
    group, x = Torus(2), normal(3, 4)
    found = spectrum(lambda x: waves((1, 2), x)[:, None], x, group, 2, rho_in=TorusAction(2)).output
    assert sectors(found) == {(1, 2): pytest.approx(0.5, abs=1e-13), (1, -2): pytest.approx(0.5, abs=1e-13)}
    torch.testing.assert_close(found.total, torch.full((3, 1), 0.25, dtype=torch.float64))
    with pytest.raises(ValueError, match="one degree short"):
        spectrum(lambda x: waves((1, 2), x)[:, None], x, group, 2, rho_in=TorusAction(2), degree=3)


@pytest.mark.parametrize(("nodes", "energy"), [(4, 1.0), (5, 0.5)], ids=["2K-aliased", "2K+1-exact"])
def test_an_even_number_of_nodes_aliases_the_largest_frequency(nodes: int, energy: float) -> None:
    """At n = 2 K the sine of frequency K vanishes on all nodes, and the mean square of the cosine is 1, not 1/2."""
    angles, weights = torus(1, nodes - 1)
    assert float(weights @ (2 * angles[:, 0]).cos().square()) == pytest.approx(energy, abs=1e-14)
    rule = Quadrature(angles, weights, 4)
    error = gram_error(Torus(1), rule, 2)
    assert error < 1e-13 if nodes == 5 else error == pytest.approx(0.5, abs=1e-13)


def test_a_frequency_beyond_the_rule_comes_back_modulo_the_nodes() -> None:
    """Frequency 7 on 5 nodes is frequency 2; with more nodes it is the residual. A rule cannot tell from inside."""
    x = normal(2, 2)

    def model(x: Tensor) -> Tensor:
        return (7 * torch.atan2(x[:, 1], x[:, 0])).cos()[:, None]

    assert sectors(spectrum(model, x, SO2, 2, degree=4).output) == {2: pytest.approx(1)}
    assert spectrum(model, x, SO2, 2, degree=9).output.residual == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize("n", [5, 6])
def test_waves_on_a_cycle(n: int) -> None:
    group, places = Cyclic(n), torch.arange(n, dtype=torch.float64)
    start = torch.nn.functional.one_hot(torch.tensor([0]), n).double()
    seen = set()
    for k in range(n // 2 + 1):
        wave = (2 * math.pi * k * places / n).cos()
        action = CoordinatePermutation(n, permutations=group)
        layer = spectrum(lambda x, w=wave: (x @ w)[:, None], start, group, rho_in=action).output
        (label,) = found = sectors(layer)
        assert found[label] == pytest.approx(1, abs=1e-13)
        assert layer.square == pytest.approx(1 if 2 * k in (0, n) else 0.5, abs=1e-14)
        kind = group.irreps()[layer.index(label)]
        assert (kind.dimension, kind.kind) == ((1, "real") if 2 * k in (0, n) else (2, "complex"))
        seen.add(label)
    assert len(seen) == len(group.irreps())  # k and n - k together are one real representation


def test_waves_on_a_polygon() -> None:
    """Of D_6: even waves about a corner; the signed ones are odd under every reflection through corners."""
    group, places = Dihedral(6), torch.arange(6, dtype=torch.float64)
    x, action = normal(2, 6), CoordinatePermutation(6, permutations=group)
    for k, dimension in ((0, 1), (1, 2), (2, 2), (3, 1)):
        wave = (2 * math.pi * k * places / 6).cos()
        layer = spectrum(lambda x, w=wave: (x @ w)[:, None], x, group, rho_in=action).output
        (label,) = found = sectors(layer)
        assert found[label] == pytest.approx(1, abs=1e-12)
        assert group.irreps()[layer.index(label)].dimension == dimension


@pytest.mark.parametrize("n", [3, 4])
def test_one_point_of_a_permuted_list(n: int) -> None:
    """U = x_1: the mean of the entries in the trivial representation, their variance in the standard one."""
    group, x = Symmetric(n), normal(3, n)
    layer = spectrum(lambda x: x[:, :1], x, group, rho_in=CoordinatePermutation(n)).output
    swap = torch.tensor([1, 0, *range(2, n)])
    standard = [
        i for i, r in enumerate(group.irreps()) if r.dimension == n - 1 and abs(r.character(swap) - (n - 3)) < 1e-9
    ]
    assert n == 3 or len(standard) == 1
    torch.testing.assert_close(layer.energies[0, :, 0], x.mean(1).square(), rtol=1e-12, atol=0)
    torch.testing.assert_close(layer.energies[standard].sum(0)[:, 0], x.var(1, unbiased=False), rtol=1e-12, atol=0)
    assert abs(layer.residual) < 1e-13


def test_the_alternating_function_of_a_permuted_list() -> None:
    group, x = Symmetric(3), normal(2, 3)

    def model(x: Tensor) -> Tensor:
        a, b, c = x.unbind(-1)
        return ((a - b) * (b - c) * (c - a))[:, None]

    layer = spectrum(model, x, group, rho_in=CoordinatePermutation(3)).output
    (label,) = sectors(layer)
    irrep = group.irreps()[layer.index(label)]
    assert irrep.dimension == 1 and float(irrep.character(torch.tensor([1, 0, 2]))) == pytest.approx(-1)


def test_a_product_of_a_permutation_group_and_a_reflection() -> None:
    """Odd in the sign, and mean or spread over the entries."""
    action = ComposedAction([CoordinatePermutation(3), BlockSigns(3, [(0, 1, 2)])])
    x = normal(2, 3)
    layer = spectrum(lambda x: x[:, :1] + x[:, :1] ** 2, x, action.group, rho_in=action).output
    by_sign = {"even": torch.zeros(2, dtype=torch.float64), "odd": torch.zeros(2, dtype=torch.float64)}
    flip = action.group.pack(torch.arange(3), -torch.ones(1, dtype=torch.float64))
    for irrep, energy in zip(action.group.irreps(), layer.energies[:, :, 0], strict=True):
        by_sign["odd" if float(irrep.character(flip)) < 0 else "even"] += energy
    torch.testing.assert_close(by_sign["odd"], x.square().mean(1), rtol=1e-12, atol=0)
    torch.testing.assert_close(by_sign["even"], (x**4).mean(1), rtol=1e-12, atol=0)


def _three_fold_with_mirrors() -> Group:
    c, s = -0.5, math.sqrt(3) / 2
    turn = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)
    return FiniteMatrixGroup.generated_by([turn, torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))])


def test_a_point_group_of_matrices() -> None:
    """C3v: z is totally symmetric, (x, y) one pair of dimension two."""
    group, x = _three_fold_with_mirrors(), normal(3, 3)
    assert group.order == 6
    layer = spectrum(lambda x: x, x, group, rho_in=NaturalAction(group)).output
    torch.testing.assert_close(layer.energies[0].sum(1), x[:, 2].square(), rtol=1e-12, atol=0)
    pair = [i for i, r in enumerate(group.irreps()) if r.dimension == 2]
    torch.testing.assert_close(layer.energies[pair].sum(0).sum(1), x[:, :2].square().sum(1), rtol=1e-12, atol=0)
