"""Energies of rotations that are known in closed form, to the last digits."""

from __future__ import annotations

import math

import numpy
import pytest
import scipy.special
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import ConvergenceWarning, spectrum
from pyro_symvi.groups import AxialRotation, NaturalAction, Orthogonal, PolyhedralGroup, SpecialOrthogonal, wigner_d
from tests.equivariance_samples import normal

SO2, SO3, O3 = SpecialOrthogonal(2), SpecialOrthogonal(3), Orthogonal(3)


def harmonics(degree: int, x: Tensor) -> Tensor:
    """Real spherical harmonics of the directions of x ``[..., 3]`` by scipy, ``[..., 2l + 1]``, m = -l, ..., l."""
    unit = (x / x.norm(dim=-1, keepdim=True)).numpy()
    polar, azimuth = numpy.arccos(unit[..., 2].clip(-1, 1)), numpy.arctan2(unit[..., 1], unit[..., 0])
    columns = []
    for m in range(-degree, degree + 1):
        value = scipy.special.sph_harm_y(degree, abs(m), polar, azimuth) * (-1) ** m
        columns.append(value.real if m == 0 else math.sqrt(2) * (value.real if m > 0 else value.imag))
    return torch.from_numpy(numpy.stack(columns, -1))


@pytest.mark.parametrize("m", [0, 1, 4])
def test_two_harmonics_of_one_direction(m: int) -> None:
    a, b, x = 0.7, -1.3, normal(3, 3)
    found = spectrum(lambda x: (a * harmonics(0, x)[:, 0] + b * harmonics(2, x)[:, m])[:, None], x, SO3, 3).output
    whole = a * a + b * b
    expected = torch.tensor([a * a / whole, 0, b * b / whole, 0], dtype=torch.float64)
    torch.testing.assert_close(found.per_sample, expected[:, None].expand(4, 3), rtol=0, atol=1e-14)
    torch.testing.assert_close(found.total, torch.full((3, 1), whole / (4 * math.pi), dtype=torch.float64))


def test_harmonic_moments_of_a_cloud() -> None:
    a, b, m, x, charges = 1.5, 0.4, 2, normal(2, 6, 3), normal(6, seed=1)

    def moment(degree: int, x: Tensor) -> Tensor:
        return (charges[:, None] * harmonics(degree, x)).sum(-2)

    found = spectrum(lambda x: (a * moment(1, x)[:, 0] + b * moment(3, x)[:, m])[:, None], x, SO3, 4).output
    for degree, coefficient in ((1, a), (3, b)):
        exact = coefficient**2 * moment(degree, x).square().sum(-1) / (2 * degree + 1)
        torch.testing.assert_close(found.energies[degree, :, 0], exact, rtol=1e-12, atol=0)
    assert abs(found.residual) < 1e-13
    assert float(found.energies[[0, 2, 4]].max()) < 1e-25


@pytest.mark.parametrize(("degree", "row", "column"), [(0, 0, 0), (1, 2, 0), (3, 1, 6), (4, 4, 4)])
def test_one_entry_of_a_wigner_matrix(degree: int, row: int, column: int) -> None:
    start = torch.eye(3, dtype=torch.float64)[None]  # three vectors: the element is read off their images
    found = spectrum(lambda x: wigner_d(degree, x.mT)[:, row, column][:, None], start, SO3, 4).output
    expected = torch.zeros(5, dtype=torch.float64)
    expected[degree] = 1 / (2 * degree + 1)
    torch.testing.assert_close(found.energies[:, 0, 0], expected, rtol=0, atol=1e-15)


def test_one_quartic_layer_has_the_same_spectrum_for_any_weights() -> None:
    """T^4 = P_0 / 5 + 4 P_2 / 7 + 8 P_4 / 35, with E P_l^2 = 1 / (2l + 1) and E t^8 = 1 / 9."""
    torch.manual_seed(0)
    net = nn.Linear(3, 6, bias=False).double().eval()
    found = spectrum(lambda x: net(x) ** 4, normal(2, 3), SO3, 5).output
    exact = torch.tensor([9 / 25, 0, 144 / 245, 0, 64 / 1225, 0], dtype=torch.float64)
    torch.testing.assert_close(found.per_channel, exact[:, None].expand(6, 6), rtol=0, atol=1e-13)
    torch.testing.assert_close(found.per_sample, exact[:, None].expand(6, 2), rtol=0, atol=1e-13)


def test_cross_and_triple_products_have_their_parity() -> None:
    x = normal(3, 3, 3)
    found = spectrum(lambda x: torch.linalg.det(x)[:, None], x, O3, 3, rho_in=NaturalAction(O3)).output
    assert found.fraction((0, -1)) == pytest.approx(1, abs=1e-13)
    found = spectrum(lambda x: torch.linalg.cross(x[:, 0], x[:, 1]), x, O3, 2, rho_in=NaturalAction(O3)).output
    assert found.fraction((1, -1)) == pytest.approx(1, abs=1e-13)
    # rotations alone see no difference between the product and a constant
    found = spectrum(lambda x: torch.linalg.det(x)[:, None], x, SO3, 2).output
    assert found.fraction(0) == pytest.approx(1, abs=1e-13)


def test_cubic_harmonics() -> None:
    x = normal(4, 3)
    functions = {
        "E": lambda x: x[:, 0] ** 2 - x[:, 1] ** 2,
        "T2": lambda x: x[:, 0] * x[:, 1],
        "A2": lambda x: x.prod(-1),
        "A1": lambda x: (x**4).sum(-1) - 0.6 * x.square().sum(-1) ** 2,
        "T1": lambda x: x[:, 0],
    }
    for inversion in (False, True):
        group = PolyhedralGroup("octahedral", inversion)
        for label, function in functions.items():
            found = spectrum(lambda x, f=function: f(x)[:, None], x, group).output
            parity = ("u" if label in ("A2", "T1") else "g") * inversion
            assert found.fraction(label + parity) == pytest.approx(1, abs=1e-12)
            assert found.residual == pytest.approx(0, abs=1e-12)


def test_restriction_to_the_cube_keeps_the_energy_of_each_degree() -> None:
    """Degree 2 splits in E and T2, degree 3 in A2, T1 and T2; averaged over orientations of the start."""
    x, group = normal(1, 3), PolyhedralGroup("octahedral")
    weights = {2: normal(5, seed=1), 3: normal(7, seed=2)}
    rule = SO3.quadrature(8)
    starts = (rule.elements @ x[0]).contiguous()
    for degree, parts in ((2, ("E", "T2")), (3, ("A2", "T1", "T2"))):

        def model(x: Tensor, degree: int = degree) -> Tensor:
            return (harmonics(degree, x) @ weights[degree])[:, None]

        energy = spectrum(model, x, SO3, 4).output.energy(degree)
        pieces = spectrum(model, starts, group, batch=20_000).output
        found = {label: float(rule.weights @ pieces.energies[pieces.index(label), :, 0]) for label in pieces.labels}
        assert sum(found[label] for label in parts) == pytest.approx(energy, rel=1e-12)
        assert all(found[label] > 1e-3 for label in parts)
        assert sum(found.values()) == pytest.approx(energy, rel=1e-12)


def test_restriction_to_an_axis_keeps_frequencies_up_to_the_degree() -> None:
    """About e_z the harmonic of order m has frequency |m|; averaged over orientations the energies are B_l."""
    x, axis = normal(1, 3), torch.tensor([0.0, 0.0, 1.0])
    coefficients = torch.tensor([0.5, -0.2, 1.0, 0.3, 0.8], dtype=torch.float64)

    def model(x: Tensor) -> Tensor:
        return (harmonics(2, x) @ coefficients)[:, None]

    rule = SO3.quadrature(4)
    starts = (rule.elements @ x[0]).contiguous()
    turned = spectrum(model, starts, SO2, 4, rho_in=AxialRotation(axis), batch=20_000).output
    found = (turned.energies[:, :, 0] * rule.weights).sum(1)
    squares = coefficients.square() / (4 * math.pi)
    exact = [squares[2], squares[1] + squares[3], squares[0] + squares[4], 0, 0]
    torch.testing.assert_close(found, torch.tensor(exact, dtype=torch.float64), rtol=0, atol=1e-14)
    assert spectrum(model, x, SO3, 3).output.energy(2) == pytest.approx(float(found.sum()), rel=1e-12)


def test_energies_do_not_depend_on_the_basis_of_features() -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 7), nn.Tanh()).double().eval()
    turn = torch.linalg.qr(normal(7, 7)).Q
    order, x = torch.tensor([3, 1, 6, 0, 2, 5, 4]), normal(2, 3)
    plain = spectrum(net, x, SO3, 3, layers=()).output
    permuted = spectrum(lambda x: net(x)[:, order], x, SO3, 3).output
    turned = spectrum(lambda x: net(x) @ turn, x, SO3, 3).output
    torch.testing.assert_close(permuted.energies, plain.energies[..., order], rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(turned.energies.sum(2), plain.energies.sum(2), rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(turned.total.sum(1), plain.total.sum(1), rtol=1e-13, atol=0)
    stretched = spectrum(lambda x: net(x) @ (turn * torch.arange(1, 8)), x, SO3, 3).output
    assert float((stretched.fractions - plain.fractions).abs().max()) > 1e-3


def test_a_band_beyond_the_rule_is_noticed_at_a_larger_degree() -> None:
    """A zonal polynomial of degree 7 has products of degree 14: a rule of degree 13 is aliased, one of 14 is not."""
    x, axis = normal(1, 3), torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    x = x / x.norm()

    def model(x: Tensor) -> Tensor:
        t = x @ axis
        return ((429 * t**7 - 693 * t**5 + 315 * t**3 - 35 * t) / 16)[:, None]

    with pytest.warns(ConvergenceWarning, match=r"degree 12 resolves, got a change by .* try degree=24"):
        short = spectrum(model, x, SO3, 4, degree=12, check=True)
    assert short.changes is not None and short.changes["output"] > 0.01
    right = spectrum(model, x, SO3, 4, degree=14, check=True)
    assert right.changes is not None and right.changes["output"] < 1e-12
    assert right.output.square == pytest.approx(1 / 15, rel=1e-12)
    assert right.output.residual == pytest.approx(1, abs=1e-12)


def test_an_invariant_output_has_nothing_to_converge() -> None:
    found = spectrum(lambda x: 1e5 + x.norm(dim=-1, keepdim=True), normal(2, 3).float(), SO3, 2, check=True)
    assert found.changes == {"output": 0.0}
    assert found.output.fraction(0) == pytest.approx(1, abs=1e-12)


def test_energies_are_sums_over_the_points_that_count() -> None:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh()).double().eval()
    x = normal(2, 5, 3)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    whole = spectrum(net, x, SO3, 3, rho_in=NaturalAction(SO3), mask=mask)["1"]
    single = spectrum(net, x.reshape(10, 3), SO3, 3)["1"]  # every point a sample of its own
    kept = single.energies.reshape(4, 2, 5, 4) * mask[..., None]
    torch.testing.assert_close(whole.energies, kept.sum(2), rtol=1e-12, atol=1e-16)
    totals = (single.total.reshape(2, 5, 4) * mask[..., None]).sum(1)
    torch.testing.assert_close(whole.total, totals, rtol=1e-13, atol=0)
    torch.testing.assert_close(whole.fractions, kept.sum((1, 2, 3)) / totals.sum(), rtol=1e-12, atol=1e-16)
    unmasked = spectrum(net, x, SO3, 3, rho_in=NaturalAction(SO3))["1"]
    assert float((unmasked.total[0] - whole.total[0]).min()) > 0.1


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(3, 5), "samples first"),
        (torch.full((2, 5), 0.5), "zeros and ones"),
        (torch.ones(2, 4), "first axes of an output"),
    ],
    ids=["samples", "values", "points"],
)
def test_masks_that_cannot_be_meant_are_refused(mask: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spectrum(lambda x: x, normal(2, 5, 3), SO3, 1, mask=mask)


def test_a_rule_that_calls_itself_exact_for_everything_is_checked_too() -> None:
    rule = SO3.quadrature(6)._replace(degree=math.inf)
    found = spectrum(lambda x: x, normal(2, 3), SO3, 3, rule=rule, check=True)
    assert found.changes is not None and found.changes["output"] < 1e-13


def test_labels_agree_with_the_parities_of_another_library() -> None:
    """e3nn's "le" and "lo" have parity p = sigma (-1)^l: products of two vectors are 0e, 1e and 2e."""
    from e3nn import o3

    x = normal(2, 2, 3)
    for degree, label in ((0, (0, 1)), (1, (1, -1)), (2, (2, 1))):
        coupling = o3.wigner_3j(1, 1, degree, dtype=torch.float64)

        def model(x: Tensor, coupling: Tensor = coupling) -> Tensor:
            return torch.einsum("bi,bj,ijk->bk", x[:, 0], x[:, 1], coupling)

        found = spectrum(model, x, O3, 2, rho_in=NaturalAction(O3)).output
        assert found.fraction(label) == pytest.approx(1, abs=1e-10)
