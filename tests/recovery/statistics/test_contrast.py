"""Contrasts of exchangeable coordinates, and of the user."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.recovery import Verdict, certify
from tests.recovery.targets import certify_at, log_gamma, skew_normal, vector

CONTRAST = ("contrast",)


def exchangeable(z: torch.Tensor) -> torch.Tensor:
    """Skewed, coupled, and the same in every order."""
    return (2 * z - z.exp()).sum(-1) - 0.3 * z.sum(-1) ** 2


def softened(z: torch.Tensor) -> torch.Tensor:
    """The same of softplus, which the analysis idealises: nothing is proved."""
    return (2 * z - 3 * torch.nn.functional.softplus(z)).sum(-1) - 0.3 * z.sum(-1) ** 2


def uneven(z: torch.Tensor) -> torch.Tensor:
    return exchangeable(z) + 1e-3 * z[..., 0]


def half_symmetric(z: torch.Tensor) -> torch.Tensor:
    """Two exchangeable skewed coordinates, and one that is normal about 1/3 (as stored)."""
    return exchangeable(z[..., :2]) - (z[..., 2] - 1 / 3) ** 2


def test_differences_of_exchangeable_coordinates_are_proved() -> None:
    report = certify_at(exchangeable, [0.1, 0.1, 0.1], statistics=CONTRAST)["contrast"]
    assert [e.label for e in report.entries] == ["contrast of z[1] - z[0]", "contrast of z[2] - z[0]"]
    assert report.verdicts == [Verdict.PROVED] * 2
    assert report.values.tolist() == report.exact.tolist() == [0.0, 0.0]
    assert report.theorem == "permutation contrast"


def test_by_quadrature_it_is_so_and_the_means_are_not_the_fitted_ones() -> None:
    x = np.linspace(-8.0, 4.0, 241)
    grid = torch.tensor(np.stack(np.meshgrid(x, x, indexing="ij"), -1))
    mass = exchangeable(grid).exp()
    means = [float((mass * grid[..., k]).sum() / mass.sum()) for k in (0, 1)]
    assert means[0] == pytest.approx(means[1], abs=1e-9)
    report = certify_at(exchangeable, [0.1, 0.1], statistics=("mean", "contrast"))
    assert report["contrast"].verdict is Verdict.PROVED
    assert not report["mean"].verdict.is_exact and abs(means[0] - 0.1) > 0.01


def test_residuals_verify_what_is_not_proved() -> None:
    report = certify_at(softened, [0.1, 0.1, 0.1], statistics=CONTRAST)["contrast"]
    assert report.verdicts == [Verdict.VERIFIED] * 2
    assert "not seen" in report.premises[0].statement


def test_a_fit_that_differs_is_bounded_and_then_refuted() -> None:
    (entry,) = certify_at(exchangeable, [0.1, 0.2], statistics=CONTRAST)["contrast"].entries
    assert entry.verdict is Verdict.BOUNDED and entry.exact == 0.0
    assert 0.05 < entry.bound < 0.2
    (entry,) = certify_at(exchangeable, [-1.0, 1.0], statistics=CONTRAST)["contrast"].entries
    assert entry.verdict is Verdict.REFUTED


def test_what_is_almost_exchangeable_is_not() -> None:
    report = certify_at(uneven, [0.1, 0.1, 0.1], statistics=CONTRAST)["contrast"]
    assert [e.label for e in report.entries] == ["contrast of z[2] - z[1]"]
    report = certify_at(lambda z: skew_normal(3.0)(z) + 1e-6 * z[..., 0], [0.1, 0.1], statistics=CONTRAST)["contrast"]
    assert report.verdict is Verdict.UNKNOWN


def test_contrasts_of_the_user() -> None:
    wanted = {"mixed": vector(1, -1, 3), "one": vector(1, 0, 0), "centre": vector(0, 0, 2)}
    certificate = certify_at(half_symmetric, [0.1, 0.1, 1 / 3], statistics="mean", contrasts=wanted)
    assert certificate.statistics == ("mean", "contrast")
    entries = {e.label: e for e in certificate["contrast"].entries}
    mixed = entries["contrast of mixed"]
    assert mixed.verdict is Verdict.PROVED and mixed.exact == float(3 * Fraction(1 / 3))
    assert entries["contrast of centre"].verdict is Verdict.PROVED
    assert entries["contrast of one"].verdict in (Verdict.BOUNDED, Verdict.UNKNOWN)
    assert math.isnan(entries["contrast of one"].exact)


def test_a_sum_that_is_only_nearly_zero_pins_nothing() -> None:
    wanted = {"nearly": torch.tensor([0.1, 0.2, -0.3], dtype=torch.float64)}  # 0.1 + 0.2 is not 0.3
    certificate = certify_at(exchangeable, [0.1, 0.1, 0.1], contrasts=wanted)
    entry = certificate["contrast"].entries[-1]
    assert entry.label == "contrast of nearly" and not entry.verdict.is_exact


def test_bounds_cover_the_truth() -> None:
    """Independent log Gammas of different shape: E(z_1 - z_0) is known, and no symmetry pins it."""
    digamma = [0.42278433509846713, 1.2561176684318003]  # digamma(2), digamma(4)

    def target(z: torch.Tensor) -> torch.Tensor:
        return log_gamma(2.0)(z[..., :1]) + log_gamma(4.0)(z[..., 1:])

    sd = math.sqrt(0.6449340668482266 + 0.28382295573711525)
    certificate = certify_at(target, [0.5, 1.3], 0.7, contrasts={"difference": vector(-1, 1)})
    entry = certificate["contrast"].entries[-1]
    assert entry.verdict is Verdict.BOUNDED
    assert abs(entry.value - (digamma[1] - digamma[0])) / sd <= entry.bound


def test_of_a_target_by_itself() -> None:
    density = LogDensity.from_callable(half_symmetric, 3)
    report = certify(density, contrasts=vector(1, -1, 3))["contrast"]
    assert report.verdict is Verdict.PROVED
    assert report.entries[-1].value == float(3 * Fraction(1 / 3))


@pytest.mark.parametrize(
    ("contrasts", "error", "words"),
    [
        ([1.0, -1.0], TypeError, "expected contrasts as"),
        ({"a": vector(1, -1, 0)}, ValueError, "2 finite numbers"),
        ({"a": vector(0, 0)}, ValueError, "not all zero"),
        ({"a": vector(math.nan, 1)}, ValueError, "finite"),
    ],
)
def test_refusals(contrasts, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        certify(LogDensity.from_callable(exchangeable, 2), contrasts=contrasts)
