"""Slopes and intercepts of a block on the rest (Theorem R): closed forms, quadrature, fits that are off."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.recovery import Verdict, certify
from tests.recovery.targets import certify_at, log_gamma, vector

REGRESSION = ("slope", "intercept")


def conditional(z: torch.Tensor) -> torch.Tensor:
    """x | y ~ N(1/2 + 2 y, 1); y = log Gamma(2), skewed."""
    return -0.5 * (z[..., 0] - 0.5 - 2 * z[..., 1]) ** 2 + log_gamma(2.0)(z[..., 1:])


def heavy(z: torch.Tensor) -> torch.Tensor:
    """x | y is Student-t(5) about the same line."""
    return -3 * torch.log1p((z[..., 0] - 0.5 - 2 * z[..., 1]) ** 2 / 5) + log_gamma(2.0)(z[..., 1:])


def curved(z: torch.Tensor) -> torch.Tensor:
    """x | y ~ N(y^2, 1): no line."""
    return -0.5 * (z[..., 0] - z[..., 1] ** 2) ** 2 - 0.5 * z[..., 1] ** 2


def skewed(z: torch.Tensor) -> torch.Tensor:
    """x - 2 y skewed given y: its mean is a line, which no symmetry shows."""
    return log_gamma(3.0)(z[..., :1] - 2 * z[..., 1:]) - 0.5 * z[..., 1] ** 2


def root(slope: float, x: float = 1.0, y: float = 0.8) -> torch.Tensor:
    """Of the scatter of y and x = slope y + noise, x first."""
    scatter = torch.tensor([[slope**2 * y**2 + x**2, slope * y**2], [slope * y**2, y**2]], dtype=torch.float64)
    return torch.linalg.cholesky(scatter)


def at(function, slope: float = 2.0, intercept: float = 0.5, y: float = 0.42):
    return certify_at(function, [intercept + slope * y, y], root(slope), statistics=REGRESSION)


@pytest.mark.parametrize("function", [conditional, heavy], ids=["normal", "student"])
def test_a_line_is_proved(function) -> None:
    certificate = at(function)
    (slope,), (intercept,) = certificate["slope"].entries, certificate["intercept"].entries
    assert slope.label == "slope of z[0] on z[1]" and intercept.label == "intercept of z[0]"
    assert slope.exact == 2.0 and intercept.exact == 0.5
    assert slope.value == pytest.approx(2.0, abs=1e-12)
    invariance = slope.premises[0]
    assert invariance.name == "invariance" and invariance.evidence.value == "proved"
    assert slope.verdict >= (Verdict.PROVED if function is conditional else Verdict.VERIFIED)
    assert intercept.verdict is slope.verdict


def test_by_quadrature_the_conditional_mean_is_the_line_and_the_mean_is_not_the_fitted_one() -> None:
    x, y = np.linspace(-30, 25, 551), np.linspace(-6, 4, 101)
    grid = torch.tensor(np.stack(np.meshgrid(x, y, indexing="ij"), -1))
    mass = conditional(grid).exp()
    mean_given_y = (mass * grid[..., 0]).sum(0) / mass.sum(0)
    near = slice(20, 80)
    np.testing.assert_allclose(mean_given_y[near], 0.5 + 2 * y[near], atol=1e-9)


def test_a_slope_a_little_off_is_bounded_and_a_diagonal_guide_refuted() -> None:
    (entry,) = at(conditional, slope=2.05)["slope"].entries
    assert entry.verdict is Verdict.BOUNDED
    unit = np.sqrt(4 * 0.6449340668482266 + 1) / np.sqrt(0.6449340668482266)  # sd(x) / sd(y)
    assert entry.bound == pytest.approx(0.05 / unit, rel=0.2)
    certificate = certify_at(conditional, [1.34, 0.42], torch.diag(vector(1.0, 0.8)), statistics=REGRESSION)
    (entry,) = certificate["slope"].entries
    assert entry.verdict in (Verdict.BOUNDED, Verdict.REFUTED) and entry.value == 0.0
    assert entry.verdict is Verdict.REFUTED or entry.bound >= 2.0 / unit * 0.99
    (entry,) = at(conditional, intercept=0.9)["intercept"].entries
    assert entry.verdict is Verdict.BOUNDED


@pytest.mark.parametrize("function", [curved, skewed], ids=["curved", "skewed"])
def test_without_a_conditional_reflection_nothing_is_known(function) -> None:
    certificate = at(function)
    for name in REGRESSION:
        entries = [e for e in certificate[name].entries if " z[0]" in e.label]
        assert entries and all(e.verdict is Verdict.UNKNOWN for e in entries)


def test_of_a_target_by_itself() -> None:
    certificate = certify(LogDensity.from_callable(conditional, 2), statistics=REGRESSION)
    assert certificate["slope"].values.tolist() == [2.0]
    assert certificate["intercept"].values.tolist() == [0.5]
    assert certificate["slope"].verdict is Verdict.PROVED


def test_of_draws_it_is_bounded() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(2000, 1, dtype=torch.float64, generator=generator)
    x = 0.5 + 2 * y + torch.randn(2000, 1, dtype=torch.float64, generator=generator)
    target = LogDensity.from_callable(lambda z: conditional(z), 2)
    (entry,) = certify(torch.cat([x, y], 1), target, statistics=("slope",))["slope"].entries
    assert entry.verdict is Verdict.BOUNDED and entry.exact == 2.0
    assert 0 < entry.bound < 0.1  # standard error of the slope 1 / sqrt(2000) = 0.022, in units of about 2
