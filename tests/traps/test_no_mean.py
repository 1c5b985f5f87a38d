"""Posteriors without a mean, or improper ones: a centre of symmetry may be named, a mean may not."""

import pytest
import torch

from pyro_symvi.recovery import Verdict
from tests.recovery.targets import certify_at, student_t

BOTH = ("mean", "correlation")


@pytest.mark.parametrize("dim", [1, 2, 6])
@pytest.mark.parametrize("df", [0.5, 0.9, 1.0])
def test_heavy_tails_have_a_centre_but_no_mean(df: float, dim: int) -> None:
    for seed in range(1):
        generator = torch.Generator().manual_seed(seed)
        certificate = certify_at(student_t(df, dim), [0.0] * dim, statistics=BOTH, generator=generator)
        report = certificate["mean"]
        assert set(report.verdicts) <= {Verdict.CONDITIONAL, Verdict.UNKNOWN}
        assert all(entry.label.startswith("centre of symmetry") for entry in report.entries)
        if dim > 1:
            assert certificate["correlation"].verdict < Verdict.BOUNDED


def test_a_mean_without_a_variance_has_no_correlation() -> None:
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        certificate = certify_at(student_t(1.8, 2), [0.0, 0.0], statistics=BOTH, generator=generator)
        assert certificate["correlation"].verdict < Verdict.BOUNDED


def test_three_degrees_of_freedom_have_a_mean() -> None:
    assert certify_at(student_t(3.0), [0.0])["mean"].verdict is Verdict.PROVED


@pytest.mark.parametrize(
    "log_p",
    [
        pytest.param(lambda z: -z.sum(-1).square(), id="ridge along a diagonal"),
        pytest.param(lambda z: -z[..., 0].square(), id="flat coordinate"),
        pytest.param(lambda z: torch.logaddexp(-0.5 * z.square().sum(-1), z.new_tensor(-15.0)), id="floor"),
        pytest.param(lambda z: torch.logaddexp(-0.5 * z.square().sum(-1), z.new_tensor(-300.0)), id="low floor"),
        pytest.param(lambda z: 0.0 * z.sum(-1), id="constant"),
        pytest.param(lambda z: -0.5 * torch.log1p(z.square()).sum(-1), id="power one"),
        pytest.param(lambda z: -0.5 * z[..., 0].square() + 0.1 * z[..., 1].abs(), id="growing"),
    ],
)
def test_improper_targets(log_p) -> None:
    certificate = certify_at(log_p, [0.0, 0.0], statistics=BOTH)
    assert all(verdict < Verdict.BOUNDED for verdict in certificate["mean"].verdicts)
    assert certificate["correlation"].verdict < Verdict.BOUNDED


def test_one_datum_too_few_in_a_regression() -> None:
    """Two data, one coefficient, flat priors: the coefficient is Cauchy, although every ray falls exponentially."""
    x, y = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([1.0, 3.0], dtype=torch.float64)

    def log_p(z: torch.Tensor) -> torch.Tensor:
        beta, log_sigma = z[..., :1], z[..., 1:]
        return -2 * log_sigma[..., 0] - 0.5 * ((y - beta * x) * (-log_sigma).exp()).square().sum(-1)

    for seed in range(1):
        generator = torch.Generator().manual_seed(seed)
        assert certify_at(log_p, [1.4, -1.0], 0.3, generator=generator)["mean"].verdicts[0] < Verdict.BOUNDED
