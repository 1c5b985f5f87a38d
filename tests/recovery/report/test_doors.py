"""What may be certified beside guides: a density by itself, posterior draws; and fits that did not converge."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import constraints

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.families import LocationScale
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.infer import FitStatus
from pyro_symvi.recovery import Verdict, certify
from tests.recovery.targets import log_gamma, log_gamma_moments, mixture, normal, skew_normal, student_t

BOTH = ("mean", "correlation")
EVERYTHING = tuple(symvi.recovery.STATISTICS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian_draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


# -- a density by itself ---------------------------------------------------------------------------------------------


def columns(*values: Any) -> torch.Tensor:
    return torch.tensor(np.stack([np.asarray(v, dtype=float) for v in np.broadcast_arrays(*values)], 1))


DATA: dict[str, Callable[[dict[str, Any]], tuple[torch.Tensor, Any]]] = {
    "nes1980-nes": lambda d: (
        columns(
            1,
            d["real_ideo"],
            d["race_adj"],
            *[np.array(d["age_discrete"]) == k for k in (2, 3, 4)],
            d["educ1"],
            d["gender"],
            d["income"],
        ),
        d["partyid7"],
    ),
    "kidiq-kidscore_momiq": lambda d: (columns(1, d["mom_iq"]), d["kid_score"]),
    "earnings-earn_height": lambda d: (columns(1, d["height"]), d["earn"]),
    "mesquite-logmesquite": lambda d: (
        columns(1, *[np.log(d[k]) for k in ("diam1", "diam2", "canopy_height", "total_height", "density")], d["group"]),
        np.log(d["weight"]),
    ),
}


def regression(x: torch.Tensor, y: torch.Tensor) -> None:
    beta = pyro.sample("beta", dist.ImproperUniform(constraints.real_vector, (), (x.shape[1],)))
    sigma = pyro.sample("sigma", dist.HalfCauchy(2.5))
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


@pytest.mark.parametrize("name", DATA)
def test_coefficients_of_published_regressions_are_proved_before_any_fit(name: str, shared_data: Path) -> None:
    x, y = DATA[name](json.loads((shared_data / "posteriordb" / name / "data.json").read_text()))
    y = torch.tensor(np.asarray(y, dtype=float))
    certificate = certify(LogDensity.from_model(regression, x, y), statistics=(*BOTH, "scatter"))
    report = certificate["mean"].at("beta")
    assert set(report.verdicts) == {Verdict.PROVED}
    least_squares = np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)[0]
    np.testing.assert_allclose(report.values.numpy(), least_squares, rtol=1e-7, atol=1e-9)
    gram = np.linalg.inv(x.numpy().T @ x.numpy())
    exact = gram / np.sqrt(np.outer(gram.diagonal(), gram.diagonal()))
    pairs = certificate["correlation"].at("beta")
    assert pairs.verdict is Verdict.PROVED and certificate["scatter"].at("beta").verdict is Verdict.PROVED
    np.testing.assert_allclose(pairs.exact.numpy(), exact, atol=1e-7)
    assert certificate["mean"].at("sigma").verdict is Verdict.UNKNOWN
    assert certificate.region.startswith("none: static analysis only") and certificate.tests == ()
    assert "Certificate for the target by itself" in str(certificate)


def test_what_is_not_proved_of_a_density_can_be_looked_at() -> None:
    density = LogDensity.from_callable(lambda z: -((z[..., 0] - 2) ** 2) + log_gamma(2.0)(z[..., 1:]), 2)
    static = certify(density)["mean"]
    assert static.verdicts == [Verdict.PROVED, Verdict.UNKNOWN]
    assert "numerics=True" in static.entries[1].reason
    seen = certify(density, numerics=True)
    assert seen["mean"].verdicts == [Verdict.PROVED, Verdict.UNKNOWN]
    assert "not symmetric" in seen["mean"].entries[1].reason and seen.tests


def test_a_density_that_cannot_be_read_is_explored() -> None:
    """Sorting has no rule: nothing is proved, and the centre is verified."""
    shifted = LogDensity.from_callable(lambda z: -0.5 * ((torch.sort(z, dim=-1).values - 0.25) ** 2).sum(-1), 2)
    report = certify(shifted)["mean"]
    assert report.verdicts == [Verdict.VERIFIED] * 2
    torch.testing.assert_close(report.values, torch.full((2,), 0.25, dtype=torch.float64), rtol=0, atol=1e-7)
    silent = certify(shifted, numerics=False)["mean"]
    assert silent.verdicts == [Verdict.UNKNOWN] * 2


@pytest.mark.parametrize(
    "function", [skew_normal(3.0), log_gamma(2.0), mixture([0.3, 0.7], [[-1.0], [1.0]], [0.5, 1.0])]
)
def test_no_centre_is_made_up(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    certificate = certify(LogDensity.from_callable(function, 1), statistics=EVERYTHING)
    for name in ("mean", "median", "covariance"):
        assert certificate[name].verdict is Verdict.UNKNOWN


def test_a_cauchy_has_a_median_and_no_mean() -> None:
    certificate = certify(LogDensity.from_callable(student_t(1.0), 1), statistics=("mean", "median"))
    assert not certificate["mean"].verdict.is_exact
    assert certificate["mean"].entries[0].label.startswith("centre of symmetry")
    assert certificate["median"].verdict is Verdict.PROVED


# -- draws -----------------------------------------------------------------------------------------------------------


def test_draws_of_a_normal_are_bounded_by_their_distance_from_the_centre() -> None:
    draws = gaussian_draws(4, 500, 2)
    certificate = certify(draws, LogDensity.from_callable(normal, 2), statistics=EVERYTHING)
    flat = draws.reshape(-1, 2)
    mean = certificate["mean"]
    assert mean.verdicts == [Verdict.BOUNDED] * 2
    assert mean.exact.tolist() == [0.0, 0.0]
    torch.testing.assert_close(mean.values, flat.mean(0))
    torch.testing.assert_close(mean.bounds, flat.mean(0).abs(), rtol=0.05, atol=2e-6)
    median = certificate["median"]
    torch.testing.assert_close(median.values, flat.quantile(0.5, dim=0))
    for name in EVERYTHING:
        assert not any(e.verdict.is_exact for e in certificate[name].entries if "definition" not in e.reason), name
    assert "Monte-Carlo error" in mean.entries[0].reason


def test_even_draws_on_the_centre_are_not_exact() -> None:
    half = gaussian_draws(1000, 1)
    certificate = certify(torch.cat([half, -half]), LogDensity.from_callable(normal, 1))
    (entry,) = certificate["mean"].entries
    assert abs(entry.value) < 1e-12 and entry.verdict is Verdict.BOUNDED


def test_draws_of_another_law_are_found_out() -> None:
    certificate = certify(gaussian_draws(2000, 1) + 0.5, LogDensity.from_callable(normal, 1))
    (entry,) = certificate["mean"].entries
    assert entry.verdict is Verdict.BOUNDED and entry.bound == pytest.approx(0.5, abs=0.1)
    far = certify(gaussian_draws(2000, 1) + 3.0, LogDensity.from_callable(normal, 1))
    assert far["mean"].verdict is Verdict.REFUTED


def test_draws_without_a_symmetry_are_bounded_or_unknown_and_bounds_hold() -> None:
    draws = torch.distributions.Gamma(torch.tensor(2.0, dtype=torch.float64), 1.0)
    torch.manual_seed(0)
    z = draws.sample((4000, 1)).log()
    (entry,) = certify(z, LogDensity.from_callable(log_gamma(2.0), 1))["mean"].entries
    mean, sd = log_gamma_moments(2.0)
    assert entry.verdict in (Verdict.BOUNDED, Verdict.UNKNOWN)
    if entry.verdict is Verdict.BOUNDED:
        assert abs(entry.value - mean) / sd <= entry.bound


def test_correlated_draws_are_worth_fewer() -> None:
    """An AR(1) chain of correlation 0.9: effective share (1 - 0.9) / (1 + 0.9)."""
    noise, chain = gaussian_draws(2, 4000, seed=1), torch.zeros(2, 4000, dtype=torch.float64)
    for t in range(1, 4000):
        chain[:, t] = 0.9 * chain[:, t - 1] + np.sqrt(1 - 0.81) * noise[:, t]
    certificate = certify(chain[..., None], LogDensity.from_callable(normal, 1))
    note = next(n for n in certificate.notes if "independent ones" in n)
    effective = float(note.split("worth ")[1].split()[0])
    assert effective == pytest.approx(8000 * 0.1 / 1.9, rel=0.35)
    assert "split R-hat" in note


def test_chains_that_have_not_mixed_are_told() -> None:
    chains = gaussian_draws(2, 500, 1) + torch.tensor([-1.0, 1.0], dtype=torch.float64)[:, None, None]
    certificate = certify(chains, LogDensity.from_callable(normal, 1))
    assert any("which says they have not" in note for note in certificate.notes)


def model(y: torch.Tensor) -> None:
    mu = pyro.sample("mu", dist.Normal(0.0, 10.0))
    sigma = pyro.sample("sigma", dist.LogNormal(0.0, 1.0))
    pyro.sample("y", dist.Normal(mu, sigma).expand([3]).to_event(1), obs=y)


def test_site_draws_are_unconstrained_first() -> None:
    y = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    sigma = (0.3 * gaussian_draws(600, seed=2)).exp()
    certificate = certify({"mu": 2 + gaussian_draws(600), "sigma": sigma}, model, y, statistics=("mean", "median"))
    assert certificate["mean"].at("sigma").values[0] == pytest.approx(float(sigma.log().mean()))
    assert certificate["median"].at("sigma").entries[0].label == "median of sigma"
    assert certificate["median"].at("sigma").values[0] == pytest.approx(float(sigma.median()), rel=0.01)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda d: certify(gaussian_draws(500, 2)), TypeError, "got draws alone"),
        (lambda d: certify(gaussian_draws(500, 2), d, 3), TypeError, "no further arguments"),
        (lambda d: certify(gaussian_draws(20, 2), d), ValueError, "at least 100 draws"),
        (lambda d: certify(gaussian_draws(500, 3), d), ValueError, "expected draws of shape"),
        (lambda d: certify(torch.zeros(500, 2).double(), d), ValueError, "vary in every direction"),
        (lambda d: certify(torch.full((500, 2), torch.nan), d), ValueError, "expected finite draws"),
        (lambda d: certify(d, 3), TypeError, "no further arguments beside a LogDensity"),
        (lambda d: certify(d, numerics=1), TypeError, "expected numerics as True, False or None"),
        (lambda d: certify(gaussian_draws(500, 2), d, numerics=False), ValueError, "expected numerics=True"),
    ],
)
def test_refusals(call: Callable[[LogDensity], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(LogDensity.from_callable(normal, 2))


# -- fits that did not converge --------------------------------------------------------------------------------------


def test_a_fit_that_did_not_converge_is_told() -> None:
    y = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    fit = symvi.fit(model, AutoLocationScale(model), y, max_steps=1)
    assert fit.status is not FitStatus.CONVERGED
    certificate = certify(fit)
    note = certificate.notes[0]
    assert f"the fit ended {fit.status.name}" in note and fit.status.remedy in note
    assert note in certificate.explain().replace("\n", " ")
    good = symvi.fit(LogDensity.from_callable(normal, 2), LocationScale(2))
    assert not any("the fit ended" in n for n in certify(good).notes)
