"""Circles, tori, cyclic and dihedral groups, permutations, products: energies known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import ConvergenceWarning, LayerSpectrum, MonteCarlo, Spectrum, gram_error, spectrum
from pyro_symvi.groups import (
    BlockSigns,
    ComposedAction,
    CoordinatePermutation,
    Cyclic,
    Dihedral,
    Group,
    Irrep,
    NaturalAction,
    Orthogonal,
    PointGroup,
    Quadrature,
    SignFlips,
    SpecialOrthogonal,
    Symmetric,
    Torus,
    TorusAction,
)
from pyro_symvi.groups._quadrature import torus
from tests.equivariance_samples import normal

SO2 = SpecialOrthogonal(2)


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


def test_point_groups_of_molecules() -> None:
    """Published character tables: z, (x, y) and Cartesian products of C3v, D2h and T_d."""
    x = normal(3, 3)
    functions = {
        "C3v": {"A1": lambda x: x[:, 2:], "E": lambda x: x[:, :2]},
        "D2h": {"Au": lambda x: x.prod(1, keepdim=True), "B1u": lambda x: x[:, 2:]},
        "Td": {"T2": lambda x: x, "E": lambda x: x[:, :1] ** 2 - x[:, 1:2] ** 2, "A1": lambda x: x.prod(1)[:, None]},
    }
    for name, cases in functions.items():
        group = PointGroup(name)
        for label, model in cases.items():
            assert sectors(spectrum(model, x, group).output) == {label: pytest.approx(1, abs=1e-12)}
    group = PointGroup("C3v")
    layer = spectrum(lambda x: x, x, group).output
    assert layer.energy("A1") == pytest.approx(float(x[:, 2].square().mean()))
    assert layer.energy("E") == pytest.approx(float(x[:, :2].square().sum(1).mean()))


def test_the_full_orthogonal_group_as_a_product() -> None:
    """O(3) = {1, -1} x SO(3): sigma (-1)^l is the sign under inversion."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh()).double().eval()
    action, x = ComposedAction([BlockSigns(3, [(0, 1, 2)]), NaturalAction(SpecialOrthogonal(3))]), normal(2, 3)
    product = spectrum(net, x, action.group, 3, rho_in=action, degree=8, layers=()).output
    plain = spectrum(net, x, Orthogonal(3), 3, degree=8, layers=()).output
    even = SignFlips(1).irreps()[0].label
    for (degree, sigma), energies in zip(plain.labels, plain.energies, strict=True):
        mine = [
            e
            for (sign, k), e in zip(product.labels, product.energies, strict=True)
            if k == degree and (sign == even) == (sigma * (-1) ** degree > 0)
        ]
        torch.testing.assert_close(mine[0], energies, rtol=1e-11, atol=1e-15)


def _naive(u: Tensor, elements: Tensor, weights: Tensor, irrep: Irrep, group: Group) -> float:
    """The double sum d / e over g, h of u(g) chi(g h^-1) u(h)."""
    quotient = group.compose(elements[:, None], group.inverse(elements)[None])
    factor = irrep.dimension / {"real": 1, "complex": 2, "quaternionic": 4}[irrep.kind]
    return factor * float(weights * u @ irrep.character(quotient) @ (weights * u))


@pytest.mark.parametrize(
    ("group", "cutoff"), [(SpecialOrthogonal(3), 2), (Symmetric(4), None), (Cyclic(5), None)], ids=repr
)
def test_energies_are_the_double_sum_over_characters(group: Group, cutoff: int | None) -> None:
    rule = group.quadrature(2 * (cutoff or 0))
    x = normal(1, 3) if cutoff else normal(1, group.degree)
    action = NaturalAction(group) if cutoff else CoordinatePermutation(x.shape[1], permutations=group)

    def model(x: Tensor) -> Tensor:
        return (x[:, :1] * 2 + x[:, 1:2] * x[:, 2:3] + 0.3).tanh()

    layer = spectrum(model, x, group, cutoff, rho_in=action).output
    u = model(action.act(rule.elements, x))[:, 0]
    naive = [_naive(u, rule.elements, rule.weights, irrep, group) for irrep in group.irreps(cutoff)]
    found = layer.energies[:, 0, 0].tolist()
    assert found == pytest.approx(naive, rel=1e-10, abs=1e-15)
    assert layer.residual > 1e-3 if cutoff else abs(layer.residual) < 1e-13


def test_joined_spectra_are_those_of_all_samples() -> None:
    group, x = SpecialOrthogonal(3), normal(5, 3) * torch.tensor([1, 5, 1, 1, 0.1], dtype=torch.float64)[:, None]

    def model(x: Tensor) -> Tensor:
        return torch.cat([x, x**2], 1)

    for rule in (None, MonteCarlo(48)):
        whole = spectrum(model, x, group, 2, rule=rule)
        parts = [spectrum(model, part, group, 2, rule=rule) for part in (x[:2], x[2:])]
        found = Spectrum.joined(parts)
        torch.testing.assert_close(found.fractions, whole.fractions, rtol=1e-12, atol=1e-15)
        assert found.output.energies.shape == (3, 5, 6)
        mean = (parts[0].fractions + parts[1].fractions) / 2
        assert float((mean - whole.fractions).abs().max()) > 0.01  # no mean of ratios
        if rule is not None:
            torch.testing.assert_close(found.standard_errors, whole.standard_errors, rtol=1e-9, atol=1e-15)
    other = spectrum(model, x, group, 2, rule=MonteCarlo(48, seed=1))
    with pytest.raises(ValueError, match="same seed"):
        Spectrum.joined([whole, other])
    with pytest.raises(ValueError, match="same degree"):
        Spectrum.joined([spectrum(model, x, group, 2), spectrum(model, x, group, 2, degree=6)])
    with pytest.raises(ValueError, match="at least one"):
        Spectrum.joined([])


def test_a_band_that_vanishes_on_the_finer_rule_is_a_change() -> None:
    """cos 11 t is constant on the 11 angles of degree 10, and on the 9 of degree 8 it is cos 2 t."""
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    with pytest.warns(ConvergenceWarning):
        spectrum(lambda x: (11 * torch.atan2(x[:, 1:], x[:, :1]) + 0.3).cos(), x, SO2, 4, check=True)
