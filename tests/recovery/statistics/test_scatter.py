"""Scatter up to scale: closed forms, blocks without moments, fits that are off, targets that are not elliptical."""

from __future__ import annotations

import math

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.recovery import Verdict, certify
from pyro_symvi.recovery.statistics.scatter import normalised
from tests.recovery.targets import certify_at, skew_normal, vector

M = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
PRECISION = torch.linalg.inv(M)
SHAPE = M / math.sqrt(float(torch.linalg.det(M)))
SCATTER = ("scatter",)


def quadratic(z: torch.Tensor) -> torch.Tensor:
    return ((z @ PRECISION) * z).sum(-1)


def gaussian(z: torch.Tensor) -> torch.Tensor:
    return -0.5 * quadratic(z)


def cauchy(z: torch.Tensor) -> torch.Tensor:
    """Bivariate Cauchy: no moments."""
    return -1.5 * torch.log1p(quadratic(z))


def sloped(z: torch.Tensor) -> torch.Tensor:
    """A regression: two coefficients with a common unknown scale."""
    s = z[..., 2]
    return -0.5 * torch.exp(-2 * s) * (4 + quadratic(z[..., :2])) - 6 * s


def test_the_shape_of_a_normal_law_is_proved_up_to_scale() -> None:
    report = certify_at(gaussian, [0.0, 0.0], 3.0 * torch.linalg.cholesky(M), statistics=SCATTER)["scatter"]
    assert [e.verdict for e in report.entries] == [Verdict.PROVED] * 4
    torch.testing.assert_close(report.exact, SHAPE, rtol=1e-12, atol=0)
    torch.testing.assert_close(report.values, SHAPE, rtol=1e-9, atol=0)
    assert report.entries[1].label.startswith("scatter of")


def test_without_moments_it_is_a_shape() -> None:
    report = certify_at(cauchy, [0.0, 0.0], torch.linalg.cholesky(M), statistics=SCATTER)["scatter"]
    entry = report.entries[1]
    assert entry.label.startswith("shape of")
    assert entry.verdict in (Verdict.PROVED, Verdict.VERIFIED, Verdict.CONDITIONAL)
    assert entry.exact == pytest.approx(float(SHAPE[0, 1]), rel=1e-9)


def test_blocks_are_normalised_one_by_one_and_uncorrelated_with_the_rest() -> None:
    root = torch.zeros(3, 3, dtype=torch.float64)
    root[:2, :2], root[2, 2] = torch.linalg.cholesky(M), 0.4
    report = certify_at(sloped, [0.0, 0.0, 0.0], root, statistics=SCATTER)["scatter"]
    assert report.verdict is Verdict.PROVED
    torch.testing.assert_close(report.exact[:2, :2], SHAPE, rtol=1e-12, atol=0)
    assert report.exact[2].tolist() == [0.0, 0.0, 1.0]


def test_a_numerical_ellipse_is_verified() -> None:
    report = certify_at(
        lambda z: -torch.nn.functional.softplus(quadratic(z) - 3),
        [0.0, 0.0],
        torch.linalg.cholesky(M),
        statistics=SCATTER,
    )["scatter"]
    entry = report.entries[1]
    assert entry.verdict is Verdict.VERIFIED
    assert entry.exact == pytest.approx(float(SHAPE[0, 1]), abs=1e-9)


def test_a_shape_a_little_off_is_bounded_by_its_distance() -> None:
    off = M + torch.tensor([[0.05, 0.0], [0.0, 0.0]], dtype=torch.float64)
    report = certify_at(gaussian, [0.0, 0.0], torch.linalg.cholesky(off), statistics=SCATTER)["scatter"]
    wrong = off / math.sqrt(float(torch.linalg.det(off)))
    entry = report.entries[1]
    assert entry.verdict is Verdict.BOUNDED
    scale = math.sqrt(float(SHAPE[0, 0] * SHAPE[1, 1]))
    assert entry.bound == pytest.approx(abs(float(wrong[0, 1] - SHAPE[0, 1])) / scale, rel=1e-3)


def test_a_diagonal_scatter_is_refuted() -> None:
    report = certify_at(gaussian, [0.0, 0.0], torch.diag(M.diagonal().sqrt()), statistics=SCATTER)["scatter"]
    assert report.entries[1].verdict is Verdict.REFUTED


def test_what_is_not_elliptical_is_unknown() -> None:
    for function in (skew_normal(3.0), lambda z: -(z**4).sum(-1) - 0.3 * z[..., 0] * z[..., 1]):
        report = certify_at(function, [0.0, 0.0], statistics=SCATTER)["scatter"]
        assert report.entries[1].verdict is Verdict.UNKNOWN


def test_an_even_law_that_is_no_ellipse_has_no_proved_diagonal() -> None:
    """Independent quartics: correlations zero, and no shape to compare within a block."""
    report = certify_at(lambda z: -(z**4).sum(-1), [0.0, 0.0], statistics=SCATTER)["scatter"]
    assert report.entries[1].verdict is Verdict.PROVED and report.entries[1].exact == 0.0
    assert report.entries[0].reason.startswith("one by normalisation")


def test_of_a_target_by_itself() -> None:
    report = certify(LogDensity.from_callable(gaussian, 2), statistics=SCATTER)["scatter"]
    torch.testing.assert_close(report.values, SHAPE, rtol=1e-12, atol=0)
    assert set(e.verdict for e in report.entries) == {Verdict.PROVED}


def test_normalisation_does_not_see_units_within_a_block() -> None:
    scatter = torch.tensor([[4.0, 1.0, 0.2], [1.0, 2.0, 0.1], [0.2, 0.1, 9.0]], dtype=torch.float64)
    plain = normalised(scatter, [(0, 1)])
    assert float(torch.linalg.det(plain[:2, :2])) == pytest.approx(1.0)
    assert float(plain[2, 2]) == pytest.approx(1.0)
    torch.testing.assert_close(normalised(1e40 * scatter, [(0, 1)]), plain)
    assert vector(float(plain[0, 2])) == pytest.approx(float(scatter[0, 2] / math.sqrt(math.sqrt(7.0) * 9.0)))
