"""Pictures of certificates: what is drawn is what was computed, and words stand beside colours."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pyro
import pytest
import torch
from matplotlib import pyplot
from matplotlib.colors import to_hex

import pyro_symvi as symvi
from pyro_symvi import examples, plots
from pyro_symvi.divergences import ReverseKL
from pyro_symvi.families import LocationScale, VonMisesFisherFamily
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.recovery import Certificate, Evidence, SphereDensity


@pytest.fixture(scope="module")
def fit():
    pyro.clear_param_store()
    darwin = examples.get("darwin")
    return symvi.fit(darwin.model, AutoLocationScale(darwin.model), *darwin.args, divergence=ReverseKL())


@pytest.fixture(scope="module")
def certificate(fit) -> Certificate:
    return symvi.certify(fit, statistics=("mean", "covariance"))


@pytest.fixture(scope="module")
def draws(fit) -> torch.Tensor:
    """Posterior draws without MCMC: log sigma by the inverse of its quadrature, mu given it a normal."""
    (y,) = (a for a in examples.get("darwin").args if a.ndim == 1)
    t = torch.linspace(1.5, 7.0, 4001, dtype=torch.float64)
    n = len(y)
    z = torch.stack([y.mean().expand(len(t)), t], -1)
    if fit.density.coordinates[0] != "mu":
        z = z.flip(-1)
    cdf = (fit.density(z).detach() + t).softmax(0).cumsum(0)  # mu integrated: times sigma / sqrt(n)
    u = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    log_sigma = t[torch.searchsorted(cdf, u).clamp_max(len(t) - 1)]
    noise = torch.randn(4000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mu = y.mean() + noise * log_sigma.exp() / n**0.5
    out = torch.stack([mu, log_sigma], -1)
    return out if fit.density.coordinates[0] == "mu" else out.flip(-1)


def lines(axes, marker):
    return [line for line in axes.lines if line.get_marker() == marker]


def labels(axes) -> str:
    return " | ".join(text.get_text() for text in axes.get_legend().get_texts())


def test_residuals_are_those_of_the_tests(certificate):
    figure = plots.plot_residuals(certificate)
    (axes,) = figure.axes
    held = next(t for t in certificate.tests if t.evidence is Evidence.VERIFIED)
    drawn = lines(axes, "o")[0]
    assert to_hex(drawn.get_color()) == plots.VERDICT_COLOURS["PROVED"]
    assert max(drawn.get_ydata()) == pytest.approx(held.largest)
    assert max(drawn.get_xdata()) == pytest.approx(held.reach)
    order = held.residuals.abs().argsort(descending=True)
    np.testing.assert_allclose(drawn.get_ydata(), held.residuals.abs()[order].clamp_min(1e-16))
    dashes = next(line for line in lines(axes, "_") if len(line.get_ydata()) == held.points)
    np.testing.assert_allclose(dashes.get_ydata(), held.bounds[order].clamp(1e-16, 1e5))
    np.testing.assert_allclose(drawn.get_xdata(), held.distances[order].clamp_min(1e-4))
    np.testing.assert_array_equal(dashes.get_xdata(), drawn.get_xdata())
    assert (np.array(dashes.get_ydata()) > np.array(drawn.get_ydata())).all()  # nothing that rounding does not explain
    assert ": holds" in labels(axes) and ": fails" in labels(axes)
    assert f"No residual beyond {held.reach:.0f} scales" in axes.get_title(loc="left")
    assert "PointReflection of mu: holds" in labels(axes) and "PointReflection of log sigma: fails" in labels(axes)
    assert "nats" in axes.get_ylabel() and "scales" in axes.get_xlabel()
    failed = next(t for t in certificate.tests if t.evidence is Evidence.REFUTED)
    above = failed.residuals.abs() > failed.bounds
    assert float(failed.residuals.abs()[above].max()) == pytest.approx(failed.largest)


def test_what_is_not_decided_is_not_said_to_hold(certificate):
    """The region without residuals begins where a symmetry that holds was last looked at, not one that fails."""
    held = next(t for t in certificate.tests if t.evidence is Evidence.VERIFIED)
    failed = next(t for t in certificate.tests if t.evidence is Evidence.REFUTED)
    tests = (replace(held, evidence=Evidence.UNKNOWN), replace(held, reach=7.0), replace(failed, reach=90.0))
    (axes,) = plots.plot_residuals(replace(certificate, tests=tests)).axes
    assert "mu: not decided" in labels(axes) and "mu: holds" in labels(axes) and "log sigma: fails" in labels(axes)
    assert "No residual beyond 7 scales" in axes.get_title(loc="left")
    (star,) = lines(axes, "*")
    assert to_hex(star.get_color()) == plots.VERDICT_COLOURS["UNKNOWN"]


def test_residuals_on_a_sphere_are_angles_and_of_the_whole_sphere():
    pole = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    density = SphereDensity.from_callable(lambda x: 3 * (x @ pole) + (x @ pole) ** 2, 3)
    law = {"direction": pole, "concentration": torch.tensor(3.0, dtype=torch.float64)}
    certificate = symvi.certify(VonMisesFisherFamily(3), density, parameters=law, statistics=("direction",))
    (axes,) = plots.plot_residuals(certificate).axes
    drawn = lines(axes, "o")[0]
    assert 0 <= min(drawn.get_xdata()) and np.pi >= max(drawn.get_xdata()) > 2.9
    assert max(drawn.get_ydata()) == pytest.approx(certificate.tests[0].largest)
    assert "whole sphere" in axes.get_title(loc="left") and "radians" in axes.get_xlabel()


def test_certificate_and_forest_are_drawn_in_the_one_style(certificate):
    forest = plots.plot_forest(certificate)
    words = " ".join(text.get_text() for text in forest.axes[0].texts)
    assert "PROVED" in words and "BOUNDED" in words
    figure = plots.plot_certificate(certificate, num_draws=1024)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0] == "mu: PROVED" and titles[1].startswith("log sigma: BOUNDED")
    for axes, name in zip(figure.axes[:2], ("PROVED", "BOUNDED"), strict=True):
        assert plots.VERDICT_COLOURS[name] in [to_hex(line.get_color()) for line in axes.lines]
        assert not axes.spines["top"].get_visible()


def test_a_guide_is_drawn_against_reference_draws(fit, certificate, draws):
    figure = plots.plot_against_reference(
        fit, draws, certificate=certificate, labels={"mu": "mean difference (eighths of an inch)"}
    )
    mu, pair, sigma = figure.axes
    assert sigma.get_xlabel() == "log sigma" and pair.get_xlabel() == "mean difference (eighths of an inch)"
    assert pair.get_ylabel() == "log sigma"
    assert mu.get_title(loc="center").startswith("PROVED\ngap") and "BOUNDED" in sigma.get_title(loc="center")
    titles = [re.fullmatch(r"\w+\ngap (\S+) ± (\S+) sd", axes.get_title(loc="center")) for axes in (mu, sigma)]
    gaps = (fit.loc - draws.mean(0)) / draws.std(0)
    assert [float(title[1]) for title in titles] == pytest.approx(gaps.tolist(), abs=6e-4) and float(gaps[1]) < -0.01
    assert float(titles[0][2]) == pytest.approx(2 / 4000**0.5, rel=0.15)
    line = max(mu.lines, key=lambda each: len(each.get_xdata()))
    loc, sd = float(fit.parameters["loc"][0]), float(fit.family.matrix(fit.parameters["scale"])[0].norm())
    truth = torch.distributions.Normal(loc, sd).log_prob(torch.tensor(line.get_xdata())).exp()
    np.testing.assert_allclose(line.get_ydata(), truth, atol=1e-6 / sd)
    counted = sum(p.get_height() * p.get_width() for p in mu.patches)
    assert counted == pytest.approx(1.0)
    (mark,) = lines(mu, "D")
    assert mark.get_xdata()[0] == loc and to_hex(mark.get_color()) == plots.VERDICT_COLOURS["PROVED"]
    bar = mu.collections[0].get_segments()[0][:, 0]
    assert bar.mean() == pytest.approx(float(draws[:, 0].mean()))
    assert np.ptp(bar) == pytest.approx(4 * float(draws[:, 0].std()) / 4000**0.5, rel=0.15)  # nearly independent
    outer = max(pair.lines, key=lambda each: np.ptp(each.get_xdata()) * (len(each.get_xdata()) == 181))
    assert np.ptp(outer.get_xdata()) / 2 == pytest.approx(sd * np.sqrt(-2 * np.log(0.05)), rel=1e-3)


def test_heavy_tails_have_wider_ellipses_and_sites_are_put_in_place(fit, draws):
    family = LocationScale(2, base="student_t", df=5.0)
    at = {"loc": fit.parameters["loc"], "scale": fit.family.matrix(fit.parameters["scale"])}
    by_site = {"mu": draws[:, 0], "sigma": draws[:, 1].exp()}
    figure = plots.plot_against_reference(family, by_site, fit.density, parameters=at)
    _, pair, _ = figure.axes
    outer = max(pair.lines, key=lambda each: np.ptp(each.get_xdata()) * (len(each.get_xdata()) == 181))
    width = np.ptp(outer.get_xdata()) / 2 / float(at["scale"][0].norm())
    assert width == pytest.approx(np.sqrt(2 * 5.786), rel=0.03)  # the 95 % point of F(2, 5) in tables


def test_small_tiles_hold_the_verdicts_initial(certificate, monkeypatch):
    from pyro_symvi.recovery.report import tiles

    monkeypatch.setattr(tiles, "_NUMBERS", 1)
    figure = certificate.plot("covariance")
    names = [text.get_text() for text in figure.legends[0].get_texts()[:-1]]
    letters = [text.get_text() for text in figure.axes[0].texts]
    assert len(letters) == 3 and set(letters) == {name[0] for name in names}
    assert "initial" in figure.legends[0].get_texts()[-1].get_text()


def test_what_cannot_be_drawn_is_said(fit, certificate, draws):
    with pytest.raises(TypeError, match="expected a Certificate, got Fit"):
        plots.plot_residuals(fit)
    read = Certificate.from_dict(certificate.to_dict())
    for draw in (plots.plot_residuals, plots.plot_certificate, plots.plot_forest):
        with pytest.raises(ValueError, match="expected a certificate .*read from a file"):
            draw(read)
    with pytest.raises(ValueError, match=r"expected coordinates among \['mu', 'log sigma'\], got 'sigma'"):
        plots.plot_against_reference(fit, draws, coordinates=["sigma"])
    with pytest.raises(ValueError, match="expected a list of coordinates"):
        plots.plot_against_reference(fit, draws, coordinates="mu")
    with pytest.raises(ValueError, match=r"expected draws of shape \[n, 2\]"):
        plots.plot_against_reference(fit, draws[:, :1])
    wrong = replace(certificate, reports={})
    with pytest.raises(ValueError, match="expected a certificate with the means of 2 coordinates"):
        plots.plot_against_reference(fit, draws, certificate=wrong)


def test_figures_are_made_without_pyplot():
    assert pyplot.get_fignums() == []
