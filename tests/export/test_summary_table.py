"""Verdicts beside numbers: never one on the mean of log sigma beside the mean of sigma."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.export._marks import marks
from pyro_symvi.export._moments import moments
from pyro_symvi.families import LocationScale
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.recovery.subject import read_subject
from tests.export import models

pytest.importorskip("arviz_stats")
pytest.importorskip("xarray_einstats")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")
F64 = torch.float64


def log_symmetric():
    """log scale is normal: the posterior is symmetric in log scale, exactly; the mean of scale is e^(m + s^2/2)."""
    pyro.sample("scale", dist.LogNormal(0.3, 0.9))
    pyro.sample("shift", dist.Normal(1.0, 2.0))


@pytest.fixture(scope="module")
def fit():
    return symvi.fit(log_symmetric, AutoLocationScale(log_symmetric))


@pytest.fixture(scope="module")
def certificate(fit):
    return symvi.certify(fit, statistics=("mean", "median"))


def test_a_proof_about_log_scale_is_none_about_the_mean_of_scale(fit, certificate):
    table = symvi.summary(fit, certificate=certificate, round_to="none")
    assert certificate["mean"].verdict is symvi.Verdict.PROVED
    scale, log_scale, shift = table.loc["scale"], table.loc["log scale"], table.loc["shift"]
    assert (log_scale["statistic"], log_scale["verdict"]) == ("mean", "PROVED")
    assert log_scale["value"] == log_scale["mean"] == pytest.approx(0.3, abs=1e-9)
    assert (scale["statistic"], scale["verdict"]) == ("median", "PROVED")
    assert scale["value"] == pytest.approx(math.exp(0.3), rel=1e-9)
    assert scale["mean"] == pytest.approx(math.exp(0.3 + 0.9**2 / 2), rel=1e-6)  # by formula, of the guide
    assert scale["sd"] == pytest.approx(dist.LogNormal(0.3, 0.9).stddev.item(), rel=1e-6)
    assert (shift["statistic"], shift["mean"]) == ("mean", pytest.approx(1.0, abs=1e-9))
    assert list(table.columns[:2]) == ["mean", "sd"] and list(table.columns[4:]) == list(
        ("statistic", "value", "verdict", "error bound")
    )
    only_mean = symvi.summary(fit, certificate=symvi.certify(fit), statistics="mean")
    assert only_mean.loc["scale", "verdict"] == "-" and only_mean.loc["scale", "statistic"] == "-"
    assert math.isnan(only_mean.loc["scale", "value"])
    assert only_mean.loc["log scale", "verdict"] == only_mean.loc["shift", "verdict"] == "PROVED"


def test_attributes_keep_the_two_scales_apart(fit, certificate):
    quick = {"num_samples": 5, "posterior_predictive": False, "kind": "datatree"}
    both = symvi.to_arviz(fit, certificate=certificate, **quick)["posterior"]
    assert both["scale"].attrs["statistic"] == "median" and both["scale"].attrs["verdict"] == "PROVED"
    assert both["scale"].attrs["unconstrained_statistic"] == "mean of log scale"
    alone = symvi.to_arviz(fit, certificate=symvi.certify(fit), **quick)["posterior"]
    assert "verdict" not in alone["scale"].attrs and alone["scale"].attrs["unconstrained_verdict"] == "PROVED"
    assert alone["shift"].attrs["verdict"] == "PROVED" and alone["shift"].attrs["values"] == [pytest.approx(1.0)]


def test_infinite_means_are_shown_as_such(fit):
    density, at = fit.density, {"loc": torch.tensor([0.3, 1.0], dtype=F64), "scale": 0.5 * torch.eye(2, dtype=F64)}

    def law(base, **options):
        family = LocationScale(2, base=base, scale="full", **options)
        return read_subject(family, (density,), {}, at)

    assert moments(law("student_t", df=4.0), 0, own_scale=False) == (math.inf, math.inf)
    assert moments(law("student_t", df=4.0), 0, own_scale=True) == (0.3, pytest.approx(0.5 * math.sqrt(2)))
    assert moments(law("student_t", df=1.5), 1, own_scale=True) == (1.0, math.inf)
    assert moments(law("laplace"), 0, own_scale=False) is None  # finite: scale 1/2 < 1; no formula here
    at["scale"] = 2 * at["scale"]
    assert moments(law("laplace"), 0, own_scale=False) == (math.inf, math.inf)
    certificate = symvi.certify(LocationScale(2, base="cauchy"), density, parameters=at)
    table = symvi.summary(certificate, statistics="mean")
    assert np.isnan(table.loc["shift", "mean"]) and np.isnan(table.loc["shift", "sd"])
    assert (table.loc["shift", "statistic"], table.loc["shift", "value"]) == ("centre of symmetry", 1.0)


def test_each_entry_has_its_own_verdict_and_the_variable_the_weakest(fit):
    target = LogDensity.from_callable(lambda z: -0.5 * z[..., 0] ** 2 + z[..., 1] - z[..., 1].exp(), 2)
    at = {"loc": torch.tensor([0.0, -0.5], dtype=F64), "scale": torch.eye(2, dtype=F64)}
    certificate = symvi.certify(LocationScale(2), target, parameters=at)
    entries = list(certificate["mean"].entries)
    first, second = (entry.verdict for entry in entries)
    assert first is symvi.Verdict.PROVED and second < first
    (attributes,) = marks(certificate).values()
    assert attributes["verdict"] == second.name and attributes["verdicts"] == [first.name, second.name]
    assert attributes["values"] == [0.0, -0.5]
    np.testing.assert_array_equal(attributes["error_bounds"], [float(entry.bound) for entry in entries])
    table = symvi.summary(certificate, round_to="none")
    assert table["verdict"].tolist() == [first.name, second.name] and table["value"].tolist() == [0.0, -0.5]


def test_without_a_certificate_both_statistics_are_certified(fit):
    table = symvi.summary(fit, num_samples=5)
    assert (table.loc["scale", "statistic"], table.loc["scale", "verdict"]) == ("median", "PROVED")
    assert table.loc["log scale", "statistic"] == "mean"


def test_labels_intervals_and_digits(fit, certificate):
    table = symvi.summary(fit, certificate=certificate, hdi_prob=0.5, num_samples=4000)
    half = table.iloc[:, 3].astype(float) - table.iloc[:, 2].astype(float)
    assert float(half["shift"]) == pytest.approx(2 * 0.6745 * 2.0, rel=0.1)
    assert list(table.index) == ["scale", "log scale", "shift"] and table.loc["log scale", "sd"] == 0.9
    assert symvi.summary(fit, certificate=certificate, round_to=1).loc["scale", "mean"] == 2.0
    assert table.attrs["region"] and table.attrs["title"].startswith("Certificate for")


def test_draws_have_diagnostics_and_are_never_called_exact():
    m, v = models.exact(models.Y)
    mu = m + v.sqrt() * torch.randn(2, 200, generator=torch.Generator().manual_seed(0), dtype=F64)
    table = symvi.summary({"mu": mu}, models.known_variance, models.Y, round_to="none")
    assert {"ess_bulk", "r_hat"} <= set(table.columns) and table.loc["mu", "r_hat"] == pytest.approx(1, abs=0.05)
    assert table.loc["mu", "verdict"] == "BOUNDED" and table.loc["mu", "mean"] == pytest.approx(float(mu.mean()))
    rounded = symvi.summary({"mu": mu}, models.known_variance, models.Y)
    bound = table.loc["mu", "error bound"]
    assert rounded.loc["mu", "error bound"] == float(f"{bound:.2g}") != bound
    alone = symvi.summary({"mu": mu}, group_by_chain=True)
    assert alone.loc["mu", "verdict"] == "-" and "without their model" in alone.attrs["notes"][0]


def test_a_guide_without_one_location_says_why_nothing_is_certified():
    guide = pyro.infer.autoguide.AutoNormal(models.known_variance)
    normal = symvi.summary(guide, models.Y, var_names="mu")
    assert normal.loc["mu", "verdict"] in ("REFUTED", "UNKNOWN", "BOUNDED")  # never trained
    hand = symvi.summary(lambda y: pyro.sample("mu", dist.Normal(1.0, 0.3)), models.known_variance, models.Y)
    assert hand.loc["mu", "verdict"] == "-" and "expected a Fit, a guide or a family" in hand.attrs["notes"][0]


def test_a_certificate_of_something_else_is_refused(fit, certificate):
    other = symvi.fit(log_symmetric, AutoLocationScale(log_symmetric), max_steps=1)
    moved = symvi.certify(
        LocationScale(2), fit.density, parameters={"loc": other.loc + 0.5, "scale": other.parameters["scale"]}
    )
    for call in (symvi.to_arviz, symvi.summary):
        with pytest.raises(ValueError, match="differ from it"):
            call(fit, certificate=moved)
        with pytest.raises(ValueError, match="of a guide, got one of a target"):
            call(fit, certificate=symvi.certify(fit.density))
        with pytest.raises(ValueError, match="sites"):
            call({"mu": torch.zeros(200)}, models.known_variance, models.Y, certificate=certificate)
    with pytest.raises(ValueError, match="expected statistics among"):
        symvi.summary(fit, statistics=("correlation",))
    with pytest.raises(ValueError, match="expected var_names among"):
        symvi.summary(fit, certificate=certificate, var_names=["sigma"])
    with pytest.raises(ValueError, match="got both"):
        symvi.summary(fit, ci_prob=0.9, hdi_prob=0.9)


def test_a_certified_median_keeps_its_digits_where_the_row_is_wide():
    def wide():
        pyro.sample("w", dist.LogNormal(torch.tensor(2.0, dtype=torch.float64), 3.0))  # median e^2, sd some 60,000

    table = symvi.summary(symvi.fit(wide, AutoLocationScale(wide)))
    assert table.loc["w", "verdict"] == "PROVED" and table.loc["w", "value"] == pytest.approx(math.exp(2), rel=1e-3)


def test_a_certificate_of_another_posterior_is_refused_though_every_number_agrees():
    """Swapping data about their mean keeps the conjugate fit; other draws keep the model."""
    moved = models.Y + 0.1 * torch.tensor([1.0, -1.0]).repeat(5)
    fits = [symvi.fit(models.known_variance, AutoLocationScale(models.known_variance), y) for y in (models.Y, moved)]
    assert torch.allclose(fits[0].loc, fits[1].loc, rtol=1e-12)
    with pytest.raises(ValueError, match="of another model or of other data"):
        symvi.summary(fits[0], certificate=symvi.certify(fits[1]))
    draws = [{"mu": torch.randn(300, generator=torch.Generator().manual_seed(seed))} for seed in (0, 1)]
    median = symvi.certify(draws[0], models.known_variance, models.Y, statistics="median")
    again = symvi.to_arviz(draws[0], models.known_variance, models.Y, certificate=median)
    assert again["posterior"]["mu"].attrs["values"] == [pytest.approx(float(draws[0]["mu"].quantile(0.5)))]
    with pytest.raises(ValueError, match="differ from it"):
        symvi.to_arviz(draws[1], models.known_variance, models.Y, certificate=median)
    with pytest.raises(ValueError, match="of another model or of other data"):
        symvi.to_arviz(draws[0], models.known_variance, moved, certificate=median)


def test_a_guide_is_compared_with_its_certificate_too(fit, certificate):
    fit.guide.set_parameters(fit.parameters)
    read = symvi.Certificate.from_json(certificate.to_json())
    table = symvi.summary(fit.guide, certificate=read)
    assert table.loc["log scale", "verdict"] == "PROVED" and table.loc["log scale", "value"] == 0.3
    fit.guide.set_parameters({**fit.parameters, "loc": fit.loc + 0.01})
    with pytest.raises(ValueError, match="differ from it"):
        symvi.to_arviz(fit.guide, certificate=read)
    fit.guide.set_parameters(fit.parameters)
    medians = symvi.certify(LocationScale(2), fit.density, parameters=fit.parameters, statistics="median")
    assert symvi.summary(fit, certificate=medians).loc["scale", "verdict"] == "PROVED"
    with pytest.raises(ValueError, match="differ from it"):
        symvi.summary(
            fit,
            certificate=symvi.certify(
                LocationScale(2), fit.density, parameters={**fit.parameters, "loc": fit.loc + 0.01}, statistics="median"
            ),
        )
