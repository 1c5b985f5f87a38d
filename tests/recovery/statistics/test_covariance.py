"""Covariances: exact where a block has constant precision, bounded by weighted draws elsewhere."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import special

from pyro_symvi.density import LogDensity
from pyro_symvi.families import LocationScale
from pyro_symvi.recovery import Verdict, certify
from pyro_symvi.recovery.report.table import folded
from pyro_symvi.recovery.verdicts import Evidence
from tests.recovery.targets import certify_at, log_gamma, log_gamma_moments, mixture, mixture_moments, vector

S = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
PRECISION = torch.linalg.inv(S)
COVARIANCE = ("covariance",)


def gaussian(z: torch.Tensor) -> torch.Tensor:
    return -0.5 * ((z @ PRECISION) * z).sum(-1)


def scaled(z: torch.Tensor) -> torch.Tensor:
    """Two coefficients whose precision moves with a third coordinate."""
    s = z[..., 2]
    return -0.5 * torch.exp(-2 * s) * (4 + ((z[..., :2] @ PRECISION) * z[..., :2]).sum(-1)) - 6 * s


def apart(z: torch.Tensor) -> torch.Tensor:
    """A normal block beside a skewed coordinate that it does not know of."""
    return gaussian(z[..., :2]) + log_gamma(2.0)(z[..., 2:])


def test_of_a_normal_law_it_is_proved() -> None:
    report = certify_at(gaussian, [0.0, 0.0], torch.linalg.cholesky(S), statistics=COVARIANCE)["covariance"]
    assert report.verdict is Verdict.PROVED
    torch.testing.assert_close(report.exact, S, rtol=1e-12, atol=0)
    assert report.entries[0].label == "variance of z[0]"


def test_of_a_block_of_constant_precision_it_is_proved_whatever_the_rest() -> None:
    mean, sd = log_gamma_moments(2.0)
    root = torch.zeros(3, 3, dtype=torch.float64)
    root[:2, :2], root[2, 2] = torch.linalg.cholesky(S), sd
    report = certify_at(apart, [0.0, 0.0, mean], root, statistics=COVARIANCE)["covariance"]
    torch.testing.assert_close(report.exact[:2, :2], S, rtol=1e-12, atol=0)
    assert [report.verdicts[i][j] for i in (0, 1) for j in (0, 1)] == [Verdict.PROVED] * 4
    assert report.verdicts[0][2] is Verdict.PROVED and report.exact[0, 2] == 0
    assert report.verdicts[2][2] is Verdict.BOUNDED


def test_a_precision_that_moves_pins_no_variance() -> None:
    """The scale-free parts are proved zero; variances are bounded by draws or unknown, never exact."""
    report = certify_at(scaled, [0.0, 0.0, 0.0], statistics=COVARIANCE)["covariance"]
    assert report.verdicts[0][2] is Verdict.PROVED
    for i, j in ((0, 0), (0, 1), (1, 1), (2, 2)):
        assert not report.verdicts[i][j].is_exact
        assert math.isnan(float(report.exact[i, j]))
        (moments,) = (p for p in report.entries[3 * i + j].premises if p.name == "moments")
        assert moments.evidence is Evidence.PROVED  # as for the covariances of zero
    kinds = [{entry.label.split(" of ")[0] for entry in row} for row in folded(report)]
    assert all(len(kind) == 1 for kind in kinds) and set.union(*kinds) == {"variance", "covariance"}  # folded apart


def test_a_diagonal_guide_is_refuted_off_the_diagonal() -> None:
    report = certify_at(gaussian, [0.0, 0.0], torch.diag(S.diagonal().sqrt()), statistics=COVARIANCE)["covariance"]
    assert report.verdicts[0][0] is Verdict.PROVED
    assert report.verdicts[0][1] in (Verdict.REFUTED, Verdict.BOUNDED)
    entry = report.entries[1]
    error = 0.6 / math.sqrt(2.0 * 0.5)
    assert entry.verdict is Verdict.REFUTED if error > 0.5 else entry.bound >= error


@pytest.mark.parametrize("factor", [1.0, 0.9, 0.3])
def test_bounds_cover_the_truth(factor: float) -> None:
    """log Gamma(2): variance polygamma(1, 2)."""
    mean, sd = log_gamma_moments(2.0)
    (entry,) = certify_at(log_gamma(2.0), [mean], factor * sd, statistics=COVARIANCE)["covariance"].entries
    truth = float(special.polygamma(1, 2.0))
    if entry.verdict is Verdict.BOUNDED:
        assert abs(entry.value - truth) <= entry.bound * truth
        assert entry.bound < abs(1 - factor**2) + 0.2
    else:
        assert entry.verdict is Verdict.UNKNOWN and abs(entry.value - truth) > 0.4 * truth


def test_a_mixture_is_bounded_about_its_true_variance() -> None:
    parts = ([0.3, 0.7], [[-1.0], [1.0]], [0.5, 1.0])
    mean, sd = mixture_moments(*parts)
    (entry,) = certify_at(mixture(*parts), mean, float(sd), statistics=COVARIANCE)["covariance"].entries
    assert entry.verdict is Verdict.BOUNDED and entry.bound < 0.2
    assert abs(entry.value - float(sd) ** 2) <= entry.bound * float(sd) ** 2


def test_the_covariance_of_a_student_guide_is_that_of_its_law() -> None:
    density = LogDensity.from_callable(gaussian, 2)
    root = torch.linalg.cholesky(S) * math.sqrt(3 / 5)  # variance factor df / (df - 2) = 5 / 3
    parameters = {"loc": vector(0, 0), "scale": root}
    family = LocationScale(2, base="student_t", df=5.0)
    report = certify(family, density, parameters=parameters, statistics=COVARIANCE)["covariance"]
    assert report.verdict is Verdict.PROVED
    heavy = LocationScale(2, base="student_t", df=1.5)
    report = certify(heavy, density, parameters=parameters, statistics=COVARIANCE)["covariance"]
    assert set(e.verdict for e in report.entries) == {Verdict.UNKNOWN}
    assert report.entries[0].reason == "the fitted law has no covariance"


def test_of_a_target_by_itself() -> None:
    report = certify(LogDensity.from_callable(gaussian, 2), statistics=COVARIANCE)["covariance"]
    torch.testing.assert_close(report.values, S, rtol=1e-12, atol=0)
