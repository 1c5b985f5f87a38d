"""Supports and pieces that are not symmetric."""

import math

import pytest
import torch

from pyro_symvi.recovery import Verdict
from tests.recovery.targets import (
    assert_honest,
    assert_nothing_exact,
    certify_at,
    student_t,
    truncated_normal,
    truncated_normal_moments,
)


@pytest.mark.parametrize("low", [-1.0, -3.0, -4.5, -20.0])
def test_a_support_that_ends_on_one_side(low: float) -> None:
    certificate = certify_at(truncated_normal(low), [0.0])
    assert_nothing_exact(certificate)
    assert_honest(certificate, *truncated_normal_moments(low))


def test_a_heavy_tail_cut_far_out() -> None:
    tail = student_t(3.0)
    certificate = certify_at(lambda z: torch.where(z[..., 0] > -60, tail(z), -torch.inf), [0.0])
    assert_nothing_exact(certificate)


def test_undefined_on_one_side() -> None:
    """nan where the density is zero: nothing may be concluded from the other points."""
    certificate = certify_at(lambda z: torch.where(z[..., 0] > -3, -0.5 * z[..., 0].square(), torch.nan), [0.0])
    assert_nothing_exact(certificate)


def test_undefined_on_much_of_the_space() -> None:
    certificate = certify_at(lambda z: torch.where(z[..., 0].abs() < 1, -0.5 * z[..., 0].square(), torch.nan), [0.0])
    assert certificate["mean"].verdict < Verdict.BOUNDED


@pytest.mark.parametrize(
    ("low", "high", "height"),
    [(2.0, 2.1, 3.0), (2.0, 2.01, 5.0), (-0.5, -0.49, 4.0), (30.0, 40.0, 100.0), (-1.0, 0.0, 1e-3)],
)
def test_a_step_on_one_side(low: float, high: float, height: float) -> None:
    def log_p(z: torch.Tensor) -> torch.Tensor:
        return -0.5 * z[..., 0].square() + torch.where((z[..., 0] > low) & (z[..., 0] < high), height, 0.0)

    x = torch.linspace(-12, 60, 2_000_001, dtype=torch.float64)[:, None]
    weights = log_p(x).softmax(0)
    mean = float(weights @ x[:, 0])
    certificate = certify_at(log_p, [0.0])
    assert_nothing_exact(certificate)
    assert_honest(certificate, mean, math.sqrt(float(weights @ (x[:, 0] - mean).square())))


@pytest.mark.parametrize("width", [1e-2, 1e-3])
def test_a_narrow_mode_beside_a_broad_one(width: float) -> None:
    def log_p(z: torch.Tensor) -> torch.Tensor:
        x = z[..., 0]
        return torch.logaddexp(-0.5 * x.square(), math.log(0.1 / width) - 0.5 * ((x - 1) / width).square())

    certificate = certify_at(log_p, [0.0])
    assert_nothing_exact(certificate)
    assert_honest(certificate, 0.1 / 1.1, math.sqrt((1 + 0.1) / 1.1 - (0.1 / 1.1) ** 2))


def test_two_intervals_with_a_gap() -> None:
    """The forward-KL Laplace guide is free between -1 and 1 there: whatever point it returns, only 0 is the mean."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        size = z[..., 0].abs()
        return torch.where((size > 1) & (size < 2), 0.0 * size, -torch.inf)

    for loc in (0.5, 1.0, 1.5):
        certificate = certify_at(log_p, [loc])
        assert_nothing_exact(certificate)
        assert_honest(certificate, 0.0, math.sqrt(7 / 3))
