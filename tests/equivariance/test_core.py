"""Energies and errors of responses that are known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import equivariance_error, spectrum
from pyro_symvi.groups import NaturalAction, Orthogonal, SpecialOrthogonal
from tests.equivariance_samples import normal

SO3, O3 = SpecialOrthogonal(3), Orthogonal(3)


def test_a_matrix_is_a_vector_in_the_wrong_copy() -> None:
    matrix, x = normal(3, 3), normal(4, 3, seed=1)

    def model(x: Tensor) -> Tensor:
        return x @ matrix.T

    sectors = spectrum(model, x, O3, 2).output
    assert math.isclose(sectors.fraction((1, 1)), 1, abs_tol=1e-13)
    error = equivariance_error(model, x, SO3, None, NaturalAction(SO3), degree=4)
    exact = x.square().sum(-1) * (matrix.square().sum() / 3 - matrix.trace() ** 2 / 9)
    torch.testing.assert_close(error.squared, exact, rtol=1e-12, atol=0)
    torch.testing.assert_close(error.mean, matrix.trace() / 3 * x, rtol=1e-12, atol=1e-14)


def test_one_rectified_layer_has_the_same_spectrum_for_any_weights() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 6, bias=False), nn.ReLU()).double().eval()
    found = spectrum(net, normal(2, 3), SO3, 4, degree=32)
    exact = torch.tensor([3 / 8, 1 / 2, 15 / 128, 0, 3 / 512], dtype=torch.float64)[:, None]
    assert list(found) == ["0", "1", "output"]
    torch.testing.assert_close(found["1"].per_channel, exact.expand(5, 6), rtol=0, atol=1e-3)
    assert math.isclose(found["0"].fraction(1), 1, abs_tol=1e-13)


def test_a_large_constant_costs_no_digits() -> None:
    slope, x = torch.tensor([1.0, 2.0, 3.0]), normal(2, 5, 3).float()
    error = equivariance_error(lambda r: (r.double().sum(1) @ slope.double()) + 1e5, x, SO3, degree=2)
    exact = slope.square().sum() * x.double().sum(1).square().sum(-1) / 3
    torch.testing.assert_close(error.squared, exact.double(), rtol=1e-6, atol=0)


def test_one_degree_short_is_refused() -> None:
    with pytest.raises(ValueError, match="one degree short"):
        spectrum(nn.Linear(3, 2).double().eval(), normal(2, 3), SO3, 4, degree=7)
