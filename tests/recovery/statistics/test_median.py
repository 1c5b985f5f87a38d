"""Constrained medians: closed forms, the transforms they pass through, and those they do not."""

from __future__ import annotations

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import constraints
from scipy import stats

from pyro_symvi.density import LogDensity
from pyro_symvi.families import LocationScale
from pyro_symvi.recovery import Evidence, Verdict, certify
from tests.recovery.targets import certify_at, mixture, normal, skew_normal, vector

MEDIAN = ("median",)


def certified(model, loc, scale=1.0):
    """A normal guide at a location of the flat vector."""
    density = LogDensity.from_model(model)
    loc = vector(*loc)
    root = scale * torch.eye(len(loc), dtype=torch.float64)
    return certify(LocationScale(len(loc)), density, parameters={"loc": loc, "scale": root}, statistics=MEDIAN)


def scales() -> None:
    pyro.sample("sigma", dist.LogNormal(0.5, 0.7))
    pyro.sample("tau", dist.LogNormal(torch.tensor([-1.0, 2.0]), 0.3).to_event(1))


def test_lognormal_medians_are_proved_on_the_scale_of_the_user() -> None:
    report = certified(scales, [0.5, -1.0, 2.0])["median"]
    assert report.verdicts == [Verdict.PROVED] * 3
    assert [e.label for e in report.entries] == ["median of sigma", "median of tau[0]", "median of tau[1]"]
    truth = [stats.lognorm(s=s, scale=math.exp(m)).median() for m, s in ((0.5, 0.7), (-1.0, 0.3), (2.0, 0.3))]
    torch.testing.assert_close(report.values, vector(*truth), rtol=1e-6, atol=0)
    torch.testing.assert_close(report.exact, vector(*truth), rtol=1e-6, atol=0)
    assert "the centre is the median" in report.entries[0].reason
    assert [p.name for p in report.premises] == ["invariance", "properness", "fitted value"]


def test_no_moment_is_needed() -> None:
    """Cauchy: the mean is UNKNOWN or conditional, the median proved."""
    certificate = certify_at(lambda z: -torch.log1p((z - 0.25) ** 2).sum(-1), [0.25], statistics=("mean", "median"))
    assert not certificate["mean"].verdict.is_exact
    assert certificate["median"].verdict is Verdict.PROVED
    assert float(certificate["median"].exact[0]) == stats.cauchy(0.25).median()


def test_numerical_symmetry_is_verified() -> None:
    """Softplus is idealised by the analysis, so that nothing is proved: logistic density about zero."""
    certificate = certify_at(lambda z: (z - 2 * torch.nn.functional.softplus(z)).sum(-1), [0.0], statistics=MEDIAN)
    (entry,) = certificate["median"].entries
    assert entry.verdict is Verdict.VERIFIED
    assert "a median" in entry.reason and "exact" not in entry.reason
    assert entry.value == stats.logistic.median()


def test_a_fit_that_stopped_short_is_bounded_in_the_unconstrained_coordinate() -> None:
    (entry, *_) = certified(scales, [0.57, -1.0, 2.0])["median"].entries
    assert entry.verdict is Verdict.BOUNDED
    assert entry.bound == pytest.approx(0.1, rel=0.1)  # 0.07 / 0.7
    assert entry.value == pytest.approx(math.exp(0.57)) and entry.exact == pytest.approx(math.exp(0.5))
    assert f"{math.exp(0.5):.6g}" in entry.reason


def test_a_fit_far_off_is_refuted() -> None:
    (entry, *_) = certified(scales, [2.5, -1.0, 2.0])["median"].entries
    assert entry.verdict is Verdict.REFUTED


def test_skewed_targets_are_unknown() -> None:
    for function in (skew_normal(3.0), mixture([0.3, 0.7], [[-1.0], [1.0]], [0.5, 1.0])):
        (entry,) = certify_at(function, [0.5], statistics=MEDIAN)["median"].entries
        assert entry.verdict is Verdict.UNKNOWN


def test_a_median_in_a_gap_is_called_a_median() -> None:
    """Two boxes about -2 and 2: every point of [-1, 1] is a median. The support ends are no proof's business."""

    def boxes(z: torch.Tensor) -> torch.Tensor:
        return torch.where((z[..., 0].abs() - 2).abs() < 1, 0.0 * z[..., 0], -torch.inf)

    (entry,) = certify_at(boxes, [0.0], 2.0, statistics=MEDIAN)["median"].entries
    assert entry.verdict is not Verdict.PROVED
    assert "the median" not in entry.reason


def interval() -> None:
    pyro.sample("p", dist.Uniform(2.0, 6.0))


def below() -> None:
    x = pyro.sample("x", dist.ImproperUniform(constraints.less_than(0.0), (), ()))
    pyro.factor("prior", dist.LogNormal(1.0, 0.5).log_prob(-x))


def simplex() -> None:
    pyro.sample("w", dist.Dirichlet(torch.ones(3, dtype=torch.float64)))


def ordered() -> None:
    pyro.sample("c", dist.TransformedDistribution(dist.Normal(torch.zeros(2), 1.0).to_event(1), [Ordered()]))


def correlated() -> None:
    pyro.sample("L", dist.LKJCholesky(2, 1.0))


def dependent() -> None:
    a = pyro.sample("a", dist.Uniform(0.0, 1.0))
    pyro.sample("b", dist.Uniform(0.0, a))


class Ordered(dist.transforms.OrderedTransform):
    """Increasing vectors."""


def test_intervals_and_reversed_half_lines() -> None:
    """Uniform(2, 6): logistic in the unconstrained coordinate, median 4. -LogNormal(1, .5): a decreasing map."""
    (entry,) = certified(interval, [0.0])["median"].entries
    assert entry.verdict >= Verdict.VERIFIED
    assert entry.value == pytest.approx(4.0, abs=1e-12)
    (entry,) = certified(below, [1.0], 0.5)["median"].entries
    assert entry.verdict >= Verdict.VERIFIED
    assert entry.value == pytest.approx(-stats.lognorm(s=0.5, scale=math.e).median(), abs=1e-6)


@pytest.mark.parametrize("model", [simplex, ordered, correlated, dependent], ids=lambda m: m.__name__)
def test_maps_that_mix_coordinates_carry_no_median(model) -> None:
    density = LogDensity.from_model(model)
    report = certify(density, statistics=MEDIAN)["median"]
    assert set(report.verdicts) == {Verdict.UNKNOWN}
    assert all("median does not pass" in e.reason or "depends on other sites" in e.reason for e in report.entries)


def test_improper_targets_are_not_proved() -> None:
    """log p = -log(1 + z^2) / 4: even, not integrable."""
    certificate = certify_at(lambda z: -torch.log1p(z.square()).sum(-1) / 4, [0.0], statistics=MEDIAN)
    (entry,) = certificate["median"].entries
    assert not entry.verdict.is_exact
    assert [p.evidence for p in entry.premises if p.name == "properness"] != [Evidence.PROVED]


def test_the_median_of_a_target_by_itself() -> None:
    report = certify(LogDensity.from_model(scales), statistics=MEDIAN)["median"]
    assert report.verdicts == [Verdict.PROVED] * 3
    assert float(report.values[0]) == pytest.approx(math.exp(0.5), rel=1e-6)
    report = certify(LogDensity.from_callable(normal, 2), statistics=MEDIAN)["median"]
    assert report.values.tolist() == [0.0, 0.0]
