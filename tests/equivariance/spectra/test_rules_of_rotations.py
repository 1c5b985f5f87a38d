"""Lebedev rules, Gram matrices, rules one degree short, and what negative weights do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pyro_symvi.equivariance import LayerSpectrum, MonteCarlo, gram_error, lebedev_rule, spectrum
from pyro_symvi.equivariance._moments import Moments
from pyro_symvi.equivariance._settle import settled
from pyro_symvi.equivariance.spectra._checks import require_bessel
from pyro_symvi.equivariance.spectra._lebedev import DEGREES, _sphere
from pyro_symvi.groups import (
    Cyclic,
    DirectProduct,
    Orthogonal,
    PolyhedralGroup,
    Quadrature,
    SpecialOrthogonal,
    Symmetric,
    Torus,
)

SO2, SO3, O3 = SpecialOrthogonal(2), SpecialOrthogonal(3), Orthogonal(3)


@pytest.mark.parametrize(("band", "nodes"), [(1, 18), (2, 70), (3, 182), (4, 342), (6, 962)])
def test_lebedev_rules_integrate_products_of_wigner_functions(band: int, nodes: int) -> None:
    rule = lebedev_rule(SO3, 2 * band)
    assert len(rule.weights) == nodes and rule.degree == 2 * band
    assert gram_error(SO3, rule, band) < 5e-14
    assert bool((rule.weights < 0).any()) == (band == 6)
    torch.testing.assert_close(torch.linalg.det(rule.elements), torch.ones(nodes, dtype=torch.float64))


def test_lebedev_rule_of_the_full_orthogonal_group() -> None:
    rule = lebedev_rule(O3, 4)
    assert len(rule.weights) == 140
    assert gram_error(O3, rule, 2) < 5e-14
    with pytest.raises(ValueError, match=r"expected SpecialOrthogonal\(3\) or Orthogonal\(3\)"):
        lebedev_rule(SO2, 4)
    with pytest.raises(ValueError, match="degree <= 131"):
        lebedev_rule(SO3, 132)


@pytest.mark.parametrize(("band", "error"), [(2, 0.30), (4, 0.12)])
def test_one_degree_short_is_wrong_by_tenths(band: int, error: float) -> None:
    assert gram_error(SO3, lebedev_rule(SO3, 2 * band - 1), band) == pytest.approx(error, abs=0.005)
    assert gram_error(SO3, SO3.quadrature(2 * band - 1), band) > 0.05


@pytest.mark.parametrize(
    ("group", "cutoff"),
    [
        (SO2, 3),
        (Orthogonal(2), 3),
        (Torus(2), 2),
        (DirectProduct([Cyclic(2), SO3]), 2),
        (DirectProduct([Symmetric(3), SO2]), 2),
        (Cyclic(5), None),
        (Symmetric(4), None),
        (PolyhedralGroup("tetrahedral"), None),
        (PolyhedralGroup("O"), None),
    ],
    ids=repr,
)
def test_gram_matrix_of_every_kind_of_group(group, cutoff: int | None) -> None:
    assert gram_error(group, group.quadrature(2 * (cutoff or 0)), cutoff) < 1e-12
    draws = MonteCarlo(200).draws(group)
    assert gram_error(group, draws, cutoff) > 0.01


def test_quaternionic_kind() -> None:
    """The quaternion group as 4 x 4 matrices: its faithful irrep commutes with a copy of the quaternions."""
    from pyro_symvi.groups import FiniteMatrixGroup

    i = torch.tensor([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0.0]], dtype=torch.float64)
    j = torch.tensor([[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0.0]], dtype=torch.float64)
    group = FiniteMatrixGroup.generated_by([i, j])
    assert group.order == 8 and "quaternionic" in {r.kind for r in group.irreps()}
    assert gram_error(group, group.quadrature()) < 1e-12


def test_a_wrong_rule_of_ones_own_is_refused() -> None:
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    right = SO3.quadrature(4)
    found = spectrum(lambda x: x, x, SO3, 2, rule=right).output
    assert found.fraction(1) == pytest.approx(1, abs=1e-13)
    short = SO3.quadrature(3)
    with pytest.raises(ValueError, match="exact to degree 4"):
        spectrum(lambda x: x, x, SO3, 2, rule=short)
    boast = Quadrature(short.elements, short.weights, 4)
    with pytest.raises(ValueError, match="error of .* in its Gram matrix"):
        spectrum(lambda x: x, x, SO3, 2, rule=boast)
    draws = MonteCarlo(100).draws(SO3)
    with pytest.raises(ValueError, match=r"MonteCarlo\(n\)"):
        spectrum(lambda x: x, x, SO3, 2, rule=Quadrature(draws.elements, draws.weights, 4))


def test_a_spread_below_zero_is_rounding_or_an_error() -> None:
    one = torch.ones(1, dtype=torch.float64)
    assert float(settled(-1e-15 * one, one, 100)) == 0
    with pytest.raises(ValueError, match="larger degree"):
        settled(-1e-11 * one, one, 100)
    moments = Moments()
    weights = torch.tensor([0.7, 0.7, -0.4], dtype=torch.float64)
    moments.add(weights, torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64))
    with pytest.raises(ValueError, match="negative weights"):
        _ = moments.variance


def test_negative_weights_and_a_band_beyond_the_rule() -> None:
    """A bump on a node of negative weight; under positive weights Bessel's inequality holds whatever is aliased."""
    rule = lebedev_rule(SO3, 13)
    node = rule.elements[rule.weights.argmin()][:, 2]
    x = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)

    def bump(x: Tensor) -> Tensor:
        return (60 * (x @ node - 1)).exp()[:, None]

    with pytest.raises(ValueError, match="negative weights"):
        spectrum(bump, x, SO3, 2, rule=rule)
    assert 0 < spectrum(bump, x, SO3, 2, degree=13).output.residual < 1


def test_rounding_on_a_node_of_negative_weight_is_no_spread() -> None:
    """An invariant response whose rounding shows on one node alone, the last digit of float32."""
    rule = lebedev_rule(SO3, 13)
    node = rule.elements[rule.weights.argmin()]
    x = torch.eye(3, dtype=torch.float64)[None]

    def model(x: Tensor, step: float = 1e-7) -> Tensor:
        there = (x.mT - node).abs().amax((1, 2)) < 1e-9
        return (100 * (1 + step * there))[:, None]

    assert spectrum(model, x, SO3, 2, rule=rule).output.variable_fractions.sum() == 0
    with pytest.raises(ValueError, match="negative weights"):
        spectrum(lambda x: model(x, 1e-3), x, SO3, 2, rule=rule)


def test_elements_outside_the_group_are_refused() -> None:
    """Improper matrices in place of rotations: their Gram matrix looks right, parity aside."""
    right = SO3.quadrature(2)
    x = torch.ones(1, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"elements of SpecialOrthogonal\(3\)"):
        spectrum(lambda x: x, x, SO3, 1, rule=Quadrature(-right.elements, right.weights, 2))


def test_energies_in_excess_of_the_square_are_refused() -> None:
    whole = torch.ones(1, 1, dtype=torch.float64)
    layer = LayerSpectrum("output", (0, 1), torch.stack([0.7 * whole, 0.3 * whole]), whole)
    require_bessel(layer, 100)
    layer = LayerSpectrum("output", (0, 1), torch.stack([0.7 * whole, 0.31 * whole]), whole)
    with pytest.raises(ValueError, match="an excess of 0.01 of it"):
        require_bessel(layer, 100)


def test_which_lebedev_rules_have_negative_weights() -> None:
    negative = [degree for degree in DEGREES if bool((_sphere(degree)[1] < 0).any())]
    assert negative == [13, 25, 27]
