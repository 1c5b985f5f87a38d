"""Errors known in closed form, and what must not be called broken."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import MonteCarlo, equivariance_error, spectrum
from pyro_symvi.groups import (
    CoordinatePermutation,
    IrrepAction,
    NaturalAction,
    Orthogonal,
    SpecialOrthogonal,
    Symmetric,
    wigner_d,
)
from tests.equivariance_samples import normal

SO3, O3 = SpecialOrthogonal(3), Orthogonal(3)
VECTOR = NaturalAction(O3)


class Radial(nn.Module):
    """V phi(|v|), summed over the points and mixed by channel: equivariant by construction."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        mix = nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)
        self.phi = nn.Sequential(*mix)
        for i, p in enumerate(self.parameters()):
            p.data = normal(*p.shape, seed=i)
        self.to(dtype)

    def forward(self, r: Tensor) -> Tensor:
        return (r * self.phi(r.square().sum(-1, keepdim=True))).sum(-2)


def broken(scale: float, dtype: torch.dtype) -> nn.Module:
    """The same with a constant added, A = scale exactly."""
    model = Radial(dtype).eval()
    shift = torch.tensor([scale, 0.0, 0.0], dtype=dtype)
    model.register_forward_hook(lambda module, arguments, output: output + shift.to(output))
    return model


def test_a_constant_added_to_the_identity() -> None:
    x, c = normal(5, 3), normal(3, seed=1)
    error = equivariance_error(lambda r: r + 0.01 * c, x, O3, VECTOR, VECTOR, degree=2)
    torch.testing.assert_close(error.squared, 1e-4 * c.square().sum().expand(5), rtol=1e-11, atol=0)
    torch.testing.assert_close(error.mean, x, rtol=0, atol=1e-14)
    assert error.v == pytest.approx(error.squared / 3)


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_an_offset_neither_hides_nor_flatters_the_error_of_a_scalar(offset: float) -> None:
    slope, r = torch.tensor([1.0, 2.0, -1.0]), normal(6, 4, 3).float()

    def energy(r: Tensor) -> Tensor:
        return r.square().sum((1, 2)) + r.sum(1) @ slope.to(r.dtype) + offset

    error = equivariance_error(energy, r, O3, VECTOR, None, degree=2)
    exact = slope.double().square().sum() * r.double().sum(1).square().sum(-1) / 3
    torch.testing.assert_close(error.squared, exact, rtol=0.02, atol=0)  # 1/128 is the unit of float32 at 1e5
    assert error.relative < 2e-4 if offset else error.relative > 0.2
    spread = r.double().square().sum((1, 2)).std()
    assert error.relative_to_spread == pytest.approx(error.A / float(spread), rel=1e-2)
    assert error.significant and error.relative_to_spread > 0.5
    assert error.noise_floor < (0.02 if offset else 1e-5)


@pytest.mark.parametrize(
    ("dtype", "bound"),
    [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.float16, 1e-2), (torch.bfloat16, 0.1)],
    ids=["float64", "float32", "float16", "bfloat16"],
)
def test_an_equivariant_model_is_at_rounding_in_any_precision(dtype: torch.dtype, bound: float) -> None:
    x = normal(6, 5, 3)
    error = equivariance_error(Radial(dtype).eval(), x.to(dtype), O3, VECTOR, VECTOR)
    assert error.relative < bound
    assert not error.significant
    assert error.rounding is not None and error.rounding.measured
    assert error.noise_floor / math.sqrt(float(error.norm.mean())) < 2 * bound


def test_a_small_breakage_is_seen_where_the_precision_allows_it() -> None:
    x = normal(6, 5, 3)
    fine = equivariance_error(broken(1e-6, torch.float64), x, O3, VECTOR, VECTOR)
    assert fine.significant and fine.A == pytest.approx(1e-6, rel=1e-6)
    coarse = equivariance_error(broken(1e-7, torch.float32), x.float(), O3, VECTOR, VECTOR)
    assert not coarse.significant
    assert equivariance_error(broken(1e-3, torch.float32), x.float(), O3, VECTOR, VECTOR).significant


class Short(nn.Module):
    """|r|^2, computed in float32 whatever it is given."""

    def forward(self, r: Tensor) -> Tensor:
        return r.float().square().sum((1, 2)).to(r.dtype)


class Distances(nn.Module):
    """All distances, by the formula with |a|^2 + |b|^2 - 2 a.b: those of points to themselves are roots of rounding."""

    def forward(self, r: Tensor) -> Tensor:
        return torch.cdist(r, r, compute_mode="use_mm_for_euclid_dist").sum((1, 2))


@pytest.mark.parametrize("model", [Short(), Distances(), lambda r: Distances()(r)], ids=["short", "roots", "function"])
def test_rounding_larger_than_the_dtype_says_is_not_called_broken(model: Any) -> None:
    x = normal(3, 12, 3)
    if isinstance(model, nn.Module):
        model.eval()
    error = equivariance_error(model, x, SO3, NaturalAction(SO3))
    assert 1e-12 * error.mean.mean() < error.A < 3 * error.floor < 1e-4 * error.mean.mean()

    def planted(r: Tensor) -> Tensor:
        return model(r) + 0.01 * r[:, 0, 0]

    assert equivariance_error(planted, x, SO3, NaturalAction(SO3)).significant


def test_the_model_comes_back_as_it_was_and_the_reason_is_told_where_no_copy_runs() -> None:
    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            if x.dtype != torch.float32:
                raise TypeError("float32 alone")
            return x * self.weight

    model = Stubborn().eval()
    error = equivariance_error(model, normal(2, 3).float(), O3, VECTOR, VECTOR)
    assert model.weight.dtype == torch.float32 and model.weight.grad is None
    assert error.rounding is not None and not error.rounding.measured
    assert "float32 alone" in error.rounding.how
    size = math.sqrt(float(error.norm.mean()))
    assert error.noise_floor == pytest.approx(8 * 2.0**-23 * size)
    frozen = equivariance_error(lambda x: x.float() * 1.0, normal(2, 3).float(), O3, VECTOR, VECTOR)
    assert frozen.rounding is not None and "stays in torch.float32" in frozen.rounding.how


def test_reasons_for_a_floor_that_is_estimated() -> None:
    x = normal(2, 5, 3)
    model = Radial(torch.float64)
    training = equivariance_error(model, x, O3, VECTOR, VECTOR, allow_training=True, degree=2)
    assert training.rounding is not None and "training mode" in training.rounding.how
    asked = equivariance_error(model.eval(), x, O3, VECTOR, VECTOR, measure_floor=False, degree=2)
    assert asked.rounding is not None and "as asked" in asked.rounding.how
    assert asked.noise_floor == pytest.approx(8 * 2.0**-52 * math.sqrt(float(asked.norm.mean())))
    large = equivariance_error(lambda r: 1e30 * r.sum(1), x * 1e10, O3, VECTOR, VECTOR, degree=2)
    assert large.rounding is not None and "nan or inf" in large.rounding.how  # beyond float32


def test_forces_that_a_model_differentiates_itself() -> None:
    class Forces(nn.Module):
        def forward(self, r: Tensor) -> Tensor:
            r = r if r.requires_grad else r.requires_grad_()
            apart = (r[:, None] - r[:, :, None]).square().sum(-1)
            energy = torch.tanh(apart).sum((1, 2)) + 0.05 * r[:, 0, 2]
            return torch.autograd.grad(energy.sum(), r)[0]

    x = normal(2, 4, 3).float()
    error = equivariance_error(Forces().eval(), x, O3, VECTOR, VECTOR, degree=2)
    # the field pulls on the first atom of four
    assert error.A == pytest.approx(0.05 / 2, rel=1e-5)
    assert error.rounding is not None and error.rounding.measured and not x.requires_grad


def test_for_a_scalar_the_error_is_the_energy_outside_the_trivial_irrep() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 8), nn.Tanh(), nn.Linear(8, 1)).double().eval()
    x = 0.3 * normal(3, 3, 3)
    error = equivariance_error(net, x, SO3, NaturalAction(SO3), None, degree=12)
    found = spectrum(net, x, SO3, 6, rho_in=NaturalAction(SO3), degree=12).output
    torch.testing.assert_close(found.energies[1:].sum(0), error.squared, rtol=1e-4, atol=0)
    assert float(error.squared.min()) > 1e-4


def test_parts_of_the_error_in_rotations_and_parity() -> None:
    c = torch.tensor([0.3, 0.0, 0.4], dtype=torch.float64)

    def model(r: Tensor) -> Tensor:
        return r.sum(1) @ c + torch.linalg.det(r)

    r = normal(4, 3, 3)
    error = equivariance_error(model, r, O3, VECTOR, None, degree=6)
    split = error.by_parity
    assert split is not None
    torch.testing.assert_close(split.rotation_squared, 0.25 * r.sum(1).square().sum(-1) / 3, rtol=1e-11, atol=0)
    torch.testing.assert_close(split.parity_squared, torch.linalg.det(r).square(), rtol=1e-10, atol=0)
    torch.testing.assert_close(split.rotation_squared + split.parity_squared, error.squared, rtol=1e-12, atol=0)
    assert split.rotation**2 + split.parity**2 == pytest.approx(error.A**2, rel=1e-12)
    proper = equivariance_error(model, r, SO3, NaturalAction(SO3), None, degree=6)
    assert proper.by_parity is None
    torch.testing.assert_close(proper.squared, split.rotation_squared, rtol=1e-11, atol=0)


def test_draws_give_unbiased_values_with_their_errors() -> None:
    four = SpecialOrthogonal(4)
    c = normal(4, seed=3)
    x = normal(3, 4)
    exact = math.sqrt(float(c.square().sum() * x.square().sum(-1).mean() / 4))
    found = [
        equivariance_error(lambda r: r @ c, x, four, None, None, rule=MonteCarlo(48, seed), measure_floor=False)
        for seed in range(40)
    ]
    squares = torch.tensor([error.A**2 for error in found], dtype=torch.float64)
    scatter = float(squares.std())
    assert abs(float(squares.mean()) - exact**2) < 3 * scatter / 40**0.5  # 3 standard errors; seeds fixed
    claimed = torch.tensor([error.squared_standard_error for error in found]).mean()
    assert 0.7 * scatter < float(claimed) < 1.4 * scatter
    biased = squares * 47 / 48
    assert float((squares / biased).mean()) == pytest.approx(48 / 47)


def test_permutations_without_a_rule() -> None:
    ten = Symmetric(10)
    rank = torch.arange(10, dtype=torch.float64)
    x = normal(2, 10)

    def model(x: Tensor) -> Tensor:
        return x @ rank

    error = equivariance_error(model, x, ten, CoordinatePermutation(10), None, rule=MonteCarlo(2048))
    centred, levels = x - x.mean(1, keepdim=True), rank - rank.mean()
    exact = centred.square().sum(1) * levels.square().sum() / 9  # variance of a rank statistic under permutations
    assert error.A == pytest.approx(float(exact.mean().sqrt()), abs=3 * error.standard_error)
    assert error.standard_error / error.A < 0.03


def test_quadrupoles_are_turned_back_by_their_own_matrices() -> None:
    quadrupole = IrrepAction(SO3, 2)
    frame = normal(3, 3)

    def model(r: Tensor) -> Tensor:
        rotation = torch.linalg.qr(frame).Q
        rotation = rotation * torch.linalg.det(rotation)
        x, y, z = r.unbind(-1)
        s = math.sqrt(3)
        harmonics = torch.stack([s * x * y, s * y * z, z * z - (x * x + y * y) / 2, s * z * x, s / 2 * (x * x - y * y)])
        return harmonics.T @ (torch.eye(5, dtype=r.dtype) + 0.1 * wigner_d(2, rotation)).T

    x = normal(3, 3)
    error = equivariance_error(model, x, SO3, None, quadrupole)
    rotation = torch.linalg.qr(frame).Q
    planted = 0.1 * wigner_d(2, rotation * torch.linalg.det(rotation))
    exact = x.square().sum(-1).square() * (planted.square().sum() / 5 - (planted.trace() / 5) ** 2)
    torch.testing.assert_close(error.squared, exact, rtol=1e-11, atol=0)
