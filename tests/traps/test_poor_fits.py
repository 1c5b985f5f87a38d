"""A right symmetry with a wrong fitted value: the gap is told, in posterior sds."""

import math

import pytest
import torch

from pyro_symvi.recovery import Verdict
from tests.recovery.targets import assert_honest, assert_nothing_exact, certify_at, normal


@pytest.mark.parametrize("offset", [3e-6, 1e-3, 0.3, 0.95])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_fit_that_stopped_early_is_bounded(offset: float, scale: float) -> None:
    certificate = certify_at(normal, [offset, -offset], scale)
    assert_nothing_exact(certificate)
    assert_honest(certificate, torch.zeros(2), 1.0)
    for entry in certificate["mean"].entries:
        assert entry.verdict in (Verdict.BOUNDED, Verdict.REFUTED)
        assert abs(entry.exact) < 1e-9
        if entry.verdict is Verdict.BOUNDED:
            assert entry.bound <= 1.2 * offset + 1e-6


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_fit_far_off_is_refuted(scale: float) -> None:
    certificate = certify_at(normal, [5.0, 5.0], scale)
    assert set(certificate["mean"].verdicts) == {Verdict.REFUTED}
    assert "5" in certificate["mean"].entries[0].reason


def test_the_gap_is_measured_in_posterior_not_guide_sds() -> None:
    """A guide a million times too wide makes a gap of 1e-3 posterior sd look like 1e-9 of its own."""
    certificate = certify_at(normal, [1e-3], 1e6)
    assert_nothing_exact(certificate)
    assert_honest(certificate, 0.0, 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_parameters_that_are_not_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="expected finite fitted parameters"):
        certify_at(normal, [bad, 0.0])


def test_kinks_are_no_obstacle_and_no_loophole() -> None:
    """The curvature of a Laplace law does not exist at its centre."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        return -z.abs().sum(-1)

    assert certify_at(log_p, [0.0, 0.0])["mean"].verdict is Verdict.PROVED
    off = certify_at(log_p, [1e-4, 0.2])
    assert_nothing_exact(off)
    assert_honest(off, torch.zeros(2), math.sqrt(2))


def test_a_plateau_has_no_unique_stationary_point() -> None:
    def log_p(z: torch.Tensor) -> torch.Tensor:
        return -(z.abs() - 1).clamp_min(0).sum(-1)

    variance = (2 * 1 / 3 + 2 * (1 + 2 + 2)) / 4
    for loc in (0.5, 1e-3):
        certificate = certify_at(log_p, [loc])
        assert_nothing_exact(certificate)
        assert_honest(certificate, 0.0, math.sqrt(variance))
