"""Lie derivatives: against closed forms, against spectra, and where they must be refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import (
    CentralDifferences,
    DoubleBackward,
    ForwardMode,
    MonteCarlo,
    Shared,
    equivariance_error,
    lie_error,
    spectrum,
)
from pyro_symvi.groups import (
    Cyclic,
    IrrepAction,
    NaturalAction,
    Orthogonal,
    PointCloudAction,
    SpecialEuclidean,
    SpecialOrthogonal,
    Torus,
    TorusAction,
    Translation,
    TranslationAction,
)
from tests.equivariance_samples import normal

SO2, SO3, O3 = SpecialOrthogonal(2), SpecialOrthogonal(3), Orthogonal(3)


def cubic(x: Tensor) -> Tensor:
    """A polynomial of degree 3 on vectors or clouds: degrees 0 to 3 on the sphere, all of them there."""
    weights = normal(4, *x.shape[1:], seed=7)
    a, b, c, d = torch.einsum("kij,bij->kb", weights.reshape(4, -1, 3), x.reshape(len(x), -1, 3))
    return torch.stack([a * b * c + d.square() + a, b * c * d - b], -1)


def test_a_matrix_has_the_commutators_as_derivatives() -> None:
    matrix, x = normal(3, 3), normal(4, 3, seed=1)
    found = lie_error(lambda x: x @ matrix.T, x, SO3, rho_out=NaturalAction(SO3))
    for a, (i, j) in enumerate(((0, 1), (0, 2), (1, 2))):
        turn = torch.zeros(3, 3, dtype=torch.float64)
        turn[j, i], turn[i, j] = 1, -1
        exact = x @ (matrix @ turn - turn @ matrix).T
        torch.testing.assert_close(found.vector[a], exact, rtol=1e-12, atol=1e-13)
    assert found.method == ForwardMode() and found.reasons == ()
    assert math.isclose(found.relative**2, float(found.squared.sum() / (x @ matrix.T).square().sum()))


def test_the_average_weighs_the_spectrum_by_l_l_plus_1() -> None:
    x = normal(3, 2, 3)
    energies = spectrum(cubic, x, SO3, 4).output
    exact = sum(label * (label + 1) * energies.energy(label) for label in energies.labels) / 2
    found = lie_error(cubic, x, SO3, average=8)
    assert math.isclose(found.mean_square, exact, rel_tol=1e-11)
    assert max(energies.fraction(label) for label in (1, 2, 3)) > 0.05  # the test has something to weigh
    assert min(energies.fraction(label) for label in (1, 2, 3)) > 1e-3
    error = equivariance_error(cubic, x, SO3, degree=8)
    assert error.A**2 <= found.mean_square / 2 and error.A <= found.bound


def test_one_degree_reaches_the_bound() -> None:
    weight, x = normal(3, seed=2), normal(5, 3)
    found = lie_error(lambda x: x @ weight, x, SO3, average=4)
    error = equivariance_error(lambda x: x @ weight, x, SO3, degree=4)
    assert math.isclose(found.bound, error.A, rel_tol=1e-12)


def test_the_bound_holds_for_vectors_too() -> None:
    x, rho = normal(2, 2, 3), IrrepAction(SO3, 1)

    def model(x: Tensor) -> Tensor:
        cross = torch.linalg.cross(x[:, 0], x[:, 1])
        return cross[:, [1, 2, 0]] + 0.1 * x[:, 0, :1] * cross

    found = lie_error(model, x, SO3, None, rho, average=6)
    error = equivariance_error(model, x, SO3, None, rho, degree=6)
    assert 0.02 < error.A**2 < found.mean_square / 2


def test_circle_and_torus_weigh_by_squared_frequency() -> None:
    x = normal(3, 2)

    def waves(x: Tensor) -> Tensor:
        return x[:, 0] ** 3 + 2 * x[:, 1] ** 2 - x[:, 0] * x[:, 1] + x[:, 1]

    energies = spectrum(waves, x, SO2, 3).output
    exact = sum(k**2 * energies.energy(k) for k in energies.labels)
    found = lie_error(waves, x, SO2, average=6)
    assert math.isclose(found.mean_square, exact, rel_tol=1e-11)
    assert equivariance_error(waves, x, SO2, degree=6).A <= found.bound
    torus, y = Torus(2), normal(2, 4, seed=3)

    def product(y: Tensor) -> Tensor:
        return y[:, 0] ** 2 * y[:, 2] + y[:, 1] * y[:, 3] + y[:, 0]

    sectors = spectrum(product, y, torus, 2, rho_in=TorusAction(2)).output
    exact = sum((q[0] ** 2 + q[1] ** 2) * sectors.energy(q) for q in sectors.labels)
    found = lie_error(product, y, torus, TorusAction(2), average=4)
    assert math.isclose(found.mean_square, exact, rel_tol=1e-11)


def test_parity_costs_no_derivative() -> None:
    x = normal(3, 3, 3)
    found = lie_error(torch.linalg.det, x, O3, average=4)
    error = equivariance_error(torch.linalg.det, x, O3, degree=6)
    assert found.L < 1e-12 and found.bound is None
    assert math.isclose(
        error.relative, 1, rel_tol=1e-12
    )  # all of it breaks the symmetry: half the derivative is no bound
    assert "blind to parity" in str(found) and "blind" not in str(lie_error(torch.linalg.det, x, SO3))


def test_an_equivariant_model_has_none() -> None:
    def model(x: Tensor) -> Tensor:
        return x * torch.tanh(x.square().sum((1, 2), keepdim=True)) + x.mean(1, keepdim=True)

    found = lie_error(model, normal(2, 5, 3), SO3, rho_out=NaturalAction(SO3))
    assert found.relative < 1e-14 and not found.significant
    assert found.squared.shape == (2, 5)


def test_translations_and_rigid_motions() -> None:
    x, shifts = normal(3, 2), TranslationAction(2)
    found = lie_error(lambda x: (x**2).sum(-1), x, Translation(2), shifts)
    torch.testing.assert_close(found.squared, 4 * x.square().sum(-1))
    assert lie_error(lambda x: x.sin() * 0 + x, x, Translation(2), shifts, shifts).L == 0
    cloud, motions = normal(2, 4, 3), SpecialEuclidean(3)
    rho = PointCloudAction(motions)
    about_mean = lie_error(lambda r: (r - r.mean(1, keepdim=True)).square().sum((1, 2)), cloud, motions, rho)
    about_origin = lie_error(lambda r: r.square().sum((1, 2)), cloud, motions, rho)
    assert about_mean.L < 1e-12
    torch.testing.assert_close(about_origin.squared, 4 * cloud.sum(1).square().sum(-1))
    assert lie_error(lambda r: 2 * r - r.mean(1, keepdim=True), cloud, motions, rho, rho).L < 1e-12
    with pytest.raises(ValueError, match="no Haar mean"):
        lie_error(lambda r: r.sum((1, 2)), cloud, motions, rho, average=4)


class Square(torch.autograd.Function):
    """No forward derivative."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)  # type: ignore[attr-defined]
        return x * x

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        return 2 * grad * ctx.saved_tensors[0]  # type: ignore[attr-defined]


def test_other_ways_to_differentiate_agree_and_say_why() -> None:
    x = normal(3, 3)
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)

    def plain(x: Tensor) -> Tensor:
        return (x * x) @ weight

    def custom(x: Tensor) -> Tensor:
        return Square.apply(x) @ weight

    def foreign(x: Tensor) -> Tensor:
        return torch.as_tensor(x.numpy() ** 2) @ weight

    exact = lie_error(plain, x, SO3)
    backward, differences = lie_error(custom, x, SO3), lie_error(foreign, x, SO3)
    assert backward.method == DoubleBackward() and differences.method == CentralDifferences()
    assert [len(found.reasons) for found in (backward, differences)] == [1, 2]
    assert "ForwardMode" in str(backward)
    torch.testing.assert_close(backward.vector, exact.vector, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(differences.vector, exact.vector, rtol=1e-8, atol=1e-8)
    with pytest.raises(TypeError, match=r"custom torch.autograd.Function"):
        lie_error(custom, x, SO3, method=ForwardMode())


def test_values_out_of_sight_are_refused() -> None:
    x = normal(3, 3)
    with pytest.raises(ValueError, match="central differences"):
        lie_error(lambda x: x.detach()[:, 0] * x[:, 1], x, SO3)
    found = lie_error(lambda x: x.detach()[:, 0] * x[:, 1], x, SO3, method=CentralDifferences(1e-5))
    exact = lie_error(lambda x: x[:, 0] * x[:, 1], x, SO3)
    torch.testing.assert_close(found.vector, exact.vector, rtol=1e-8, atol=1e-8)


def test_kinks_within_the_step_are_no_jumps() -> None:
    """|x| in float32 at a distance of 0.002 from its kink, where the step is 0.005; rounding jumps there."""
    x = torch.tensor([[1.0, 0.002]])
    found = lie_error(lambda x: x[:, 1].abs(), x, SO2)
    torch.testing.assert_close(found.vector.abs(), torch.ones(1, 1), check_dtype=False)
    for hidden in (lambda x: (100 * x[:, 1]).round() + 0 * x[:, 0], lambda x: x[:, 1].detach().abs() + 0 * x[:, 0]):
        with pytest.raises(ValueError, match="central differences"):
            lie_error(hidden, torch.tensor([[1.0, 0.0051]]), SO2)


def test_attention_and_the_users_settings() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(3, 1, 8, batch_first=True).double().eval()
    before = torch.backends.cuda.flash_sdp_enabled(), torch.backends.mha.get_fastpath_enabled()
    x = normal(2, 4, 3)
    found = lie_error(layer, x, SO3, rho_out=NaturalAction(SO3))
    other = lie_error(layer, x, SO3, rho_out=NaturalAction(SO3), method=CentralDifferences())
    assert found.method == ForwardMode()
    torch.testing.assert_close(found.vector, other.vector, rtol=0, atol=1e-7)
    assert before == (torch.backends.cuda.flash_sdp_enabled(), torch.backends.mha.get_fastpath_enabled())
    assert all(p.grad is None for p in layer.parameters())


def test_the_bound_in_four_dimensions() -> None:
    group, weight = SpecialOrthogonal(4), normal(4, seed=2)
    x = normal(1, 4)
    found = lie_error(lambda x: x @ weight, x, group, average=MonteCarlo(300))
    exact = float(weight.square().sum() * x.square().sum() / 4)  # A^2 of a linear function
    assert abs(found.bound - exact**0.5) < 3 * found.standard_error / 3**0.5
    assert found.standard_error < 0.1 * found.L


def test_structures_of_inputs_and_outputs() -> None:
    positions, species = normal(2, 3, 3), torch.tensor([[0, 1, 2], [2, 1, 0]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]]).bool()
    charges = {"table": torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)}

    def model(positions: Tensor, species: Tensor, charges: dict[str, Tensor]) -> dict[str, Tensor]:
        q = charges["table"][species]
        return {"dipoles": q[..., None] * positions, "first": positions[..., 0] * q, "count": q.sum(1)}

    found = lie_error(
        model,
        {"positions": positions, "species": species, "charges": Shared(charges)},
        SO3,
        {"positions": NaturalAction(SO3), "species": None},
        {"dipoles": NaturalAction(SO3), "first": None, "count": None},
        mask=mask,
    )
    assert found["dipoles"].L < 1e-15 and found["count"].L == 0
    q, r = charges["table"][species], positions
    exact = (q * r[..., 1]).square() + (q * r[..., 2]).square()  # the turns about z and y
    torch.testing.assert_close(found["first"].squared, exact)
    assert math.isclose(found["first"].mean_square, float(exact[mask].mean()))


def test_float64_on_request() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).eval()
    x = normal(4, 3).float()
    single, double = lie_error(model, x, SO3), lie_error(model, x, SO3, double=True)
    assert double.floor < 1e-8 * single.floor * 10 and model[0].weight.dtype == torch.float32
    assert single.significant and double.significant
    with pytest.raises(ValueError, match="double=True"):
        lie_error(lambda x: model(x), x, SO3, double=True)
    torch.testing.assert_close(single.L, double.L, rtol=1e-5, atol=0)


def test_random_directions_and_draws_within_their_errors() -> None:
    x = normal(2, 2, 3)
    exact = lie_error(cubic, x, SO3, average=8)
    drawn = lie_error(cubic, x, SO3, average=MonteCarlo(200, seed=1))
    assert 0 < drawn.standard_error < 0.2 * exact.L
    assert abs(drawn.L - exact.L) < 3 * drawn.standard_error
    here, probed = lie_error(cubic, x, SO3), lie_error(cubic, x, SO3, probes=MonteCarlo(64))
    assert abs(probed.L - here.L) < 3 * probed.standard_error < 0.5 * here.L


def test_what_has_no_derivative_is_refused() -> None:
    with pytest.raises(ValueError, match="discrete"):
        lie_error(lambda x: x, normal(2, 4), Cyclic(4), None)
    with pytest.raises(ValueError, match="evaluation mode"):
        lie_error(nn.Dropout(), normal(2, 3), SO3)
    with pytest.raises(ValueError, match="in the structure of what the model returns"):
        lie_error(lambda x: (x, x), normal(2, 3), SO3)
    with pytest.raises(ValueError, match="infinite slope"):
        lie_error(lambda x: (0 * x).square().sum(-1).sqrt(), normal(2, 3), SO3)
    with pytest.raises(ValueError, match="expected an action of SpecialOrthogonal"):
        lie_error(lambda x: x, normal(2, 3), SO3, rho_out=NaturalAction(O3))


@pytest.mark.parametrize("method", [None, CentralDifferences()], ids=["exact", "differences"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_invariant_is_at_rounding_by_every_method_and_in_every_precision(dtype: torch.dtype, method: Any) -> None:
    x = normal(4, 3).to(dtype)
    for model in (lambda r: r.square().sum(-1), lambda r: r.float().square().sum(-1).to(dtype)):
        if method is None or dtype == torch.float32:
            assert not lie_error(model, x, SO3, method=method).significant
        assert not lie_error(lambda r: r.square().sum(-1), x, SO3, method=method).significant
    assert lie_error(lambda r: r.square().sum(-1) + 0.1 * r[:, 0], x, SO3, method=method).significant


def test_padding_does_not_raise_the_floor() -> None:
    """What a mask leaves out may be anything; L of the first coordinate is |r| without that coordinate."""
    x, mask = normal(4, 2, 3), torch.tensor([[True, False]] * 4)

    def padded(r: Tensor) -> Tensor:
        return torch.stack([r[:, 0, 0], torch.full_like(r[:, 0, 0], 1e20)], 1)

    found = lie_error(padded, x, SO3, mask=mask)
    assert math.isclose(found.mean_square, float(x[:, 0, 1:].square().sum(-1).mean())) and found.significant
    none = lie_error(padded, x, SO3, mask=torch.tensor([[False, False], [True, False], [True, False], [True, False]]))
    assert bool(torch.isfinite(none.quantiles()).all())
