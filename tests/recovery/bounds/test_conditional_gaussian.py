"""Moments by one-dimensional quadrature against closed forms, published digits, 2-d quadrature; and refusals."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate, special

from pyro_symvi.density import LogDensity
from pyro_symvi.recovery import Evidence
from pyro_symvi.recovery.bounds import conditional_gaussian_bound, conditional_gaussian_moments
from tests.recovery.targets import mixture, vector
from tests.recovery.test_reference_posteriors import (
    eight_schools,
    kilpisjarvi,
    load,
    reference,
    sblrc,
    standard_error,
)


def density(function, dim: int) -> LogDensity:
    return LogDensity.from_callable(function, dim)


def data(n: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(n, k, dtype=torch.float64, generator=generator)
    return x, x.sum(-1) + torch.randn(n, dtype=torch.float64, generator=generator)


def test_flat_regression_in_closed_form() -> None:
    """beta about least squares, covariance E sigma^2 (X'X)^-1, RSS/sigma^2 ~ chi^2 with n - k degrees of freedom."""
    n, k = 12, 3
    x, y = data(n, k)

    def log_p(z):
        return -n * z[3] - 0.5 * (y - x @ z[:3]).square().sum() * torch.exp(-2 * z[3])

    found = conditional_gaussian_moments(density(log_p, 4))
    assert found.usable, found.refusal
    beta = torch.linalg.lstsq(x, y).solution
    rss, df = float((y - x @ beta).square().sum()), n - k
    covariance = rss / (df - 2) * torch.linalg.inv(x.mT @ x)
    torch.testing.assert_close(found.means[:3], beta, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(found.sds[:3], covariance.diagonal().sqrt(), rtol=1e-11, atol=0)
    unit = covariance.diagonal().sqrt()
    torch.testing.assert_close(found.correlations[:3, :3], covariance / unit / unit[:, None], rtol=1e-10, atol=1e-11)
    log_sigma = (math.log(rss / 2) - float(special.digamma(df / 2))) / 2
    assert float(found.means[3]) == pytest.approx(log_sigma, abs=1e-12)
    assert float(found.sds[3]) == pytest.approx(math.sqrt(float(special.polygamma(1, df / 2))) / 2, rel=1e-11)
    assert {p.name: p.evidence for p in found.premises} == {
        "Gaussian given one": Evidence.PROVED,
        "definite": Evidence.PROVED,
        "moments": Evidence.PROVED,
        "quadrature": Evidence.VERIFIED,
    }


@pytest.mark.parametrize("shape", [0.2, 2.0, 100.0])
def test_one_dimension(shape: float) -> None:
    """log X, X ~ Gamma(shape, 1): mean digamma, variance trigamma."""
    found = conditional_gaussian_moments(density(lambda z: shape * z[0] - torch.exp(z[0]), 1))
    assert found.usable, found.refusal
    assert float(found.means[0]) == pytest.approx(float(special.digamma(shape)), abs=1e-11)
    assert float(found.sds[0]) == pytest.approx(math.sqrt(float(special.polygamma(1, shape))), rel=1e-11)


def test_a_product_against_quadrature_in_two_dimensions() -> None:
    """y x with priors: the precision of x is not of one sign term by term; scipy.dblquad to 1e-9."""

    def log_p(x, y, exp=np.exp):
        return -0.5 * x * x - 0.5 * (y + 1) ** 2 - 0.5 * (1.5 - exp(y) * x) ** 2

    found = conditional_gaussian_moments(density(lambda z: log_p(z[0], z[1], torch.exp), 2))
    assert found.usable, found.refusal

    def expect(f):
        return integrate.dblquad(lambda x, y: f(x, y) * math.exp(log_p(x, y)), -9, 7, -8, 8, epsabs=1e-11)[0]

    mass = expect(lambda x, y: 1.0)
    mx, my = expect(lambda x, y: x) / mass, expect(lambda x, y: y) / mass
    assert found.means.tolist() == pytest.approx([mx, my], abs=1e-8)
    cov = expect(lambda x, y: (x - mx) * (y - my)) / mass
    assert float(found.correlations[0, 1] * found.sds.prod()) == pytest.approx(cov, abs=1e-8)


def test_golden_digits_of_sblrc(shared_data: Path) -> None:
    """Independent quadrature (theory notes): eight digits."""
    path = load(shared_data, "sblrc-blr")
    d = LogDensity.from_model(sblrc, json.loads((path / "data.json").read_text()))
    found = conditional_gaussian_moments(d)
    golden = [0.99965126, 0.99872170, 0.99818391, 0.99883730, 0.99859004]
    assert found.means[:5].tolist() == pytest.approx(golden, abs=6e-9)
    bound = conditional_gaussian_bound(found, found.means + 0.25 * found.sds)
    assert bound.values.tolist() == pytest.approx([0.25] * 6, abs=1e-9)
    assert bound.evidence is Evidence.VERIFIED


REFERENCE = {
    "kilpisjarvi_mod-kilpisjarvi": (kilpisjarvi, lambda r: [r["alpha"], r["beta"], np.log(r["sigma"])]),
    "eight_schools-eight_schools_noncentered": (
        eight_schools,
        lambda r: [*((r[f"theta.{j + 1}"] - r["mu"]) / r["tau"] for j in range(8)), r["mu"], np.log(r["tau"])],
    ),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_means_against_reference_draws(name: str, shared_data: Path) -> None:
    """Within 4 standard errors of 10^4 draws; sds within 4 %."""
    model, transform = REFERENCE[name]
    path = load(shared_data, name)
    found = conditional_gaussian_moments(LogDensity.from_model(model, json.loads((path / "data.json").read_text())))
    assert found.usable, found.refusal
    assert found.error < 1e-10
    for values, mean, sd in zip(transform(reference(path)), found.means, found.sds, strict=True):
        assert abs(values.mean() - float(mean)) < 4 * standard_error(values)
        assert values.std() == pytest.approx(float(sd), rel=0.04)


@pytest.mark.parametrize(("weight", "distance"), [(0.3, 4.0), (1e-3, 5.0), (0.5, 6.0)])
def test_modes_of_one_width_are_all_found(weight: float, distance: float) -> None:
    """A quadratic plus log(a + b e^(mz)), integrated over both modes or refused: never over one."""
    found = conditional_gaussian_moments(density(mixture([1 - weight, weight], [[0.0], [distance]], [1.0, 1.0]), 1))
    assert found.usable
    assert float(found.means[0]) == pytest.approx(weight * distance, rel=1e-9)
    assert float(found.sds[0]) == pytest.approx(math.sqrt(1 + weight * (1 - weight) * distance**2), rel=1e-9)
    far = conditional_gaussian_moments(density(mixture([1 - 1e-9, 1e-9], [[0.0], [1e5]], [1.0, 1.0]), 1))
    assert not far.usable


def far_mixture(z):
    return -0.5 * z[0].square() + mixture([1 - 1e-12, 1e-12], [[0.0], [1e6]], [1.0, 2.0])(z[1:])


REFUSED = {
    "a mixture in the one coordinate may hide a mode anywhere": (far_mixture, 2, "may have features anywhere"),
    "a mixture alone": (mixture([0.999, 0.001], [[0.0], [60.0]], [1.0, 0.9]), 1, "may have features anywhere"),
    "two coordinates that are not quadratic": (
        lambda z: -0.5 * z[0] ** 2 - torch.exp(z[1]) + z[1] - torch.exp(z[2]) + z[2],
        3,
        "quadratic",
    ),
    "a Cauchy marginal": (lambda z: -0.5 * z[0] ** 2 - torch.log1p(z[1] ** 2), 2, ""),
    "a precision that is negative somewhere": (
        lambda z: -0.5 * z[0] ** 2 * (1 - torch.exp(z[1] - 2)) - torch.exp(z[1]) + z[1],
        2,
        "",
    ),
    "an improper marginal": (lambda z: -0.5 * z[0] ** 2 - torch.exp(z[1]) + 0.5 * z[1] - 0.5 * z[1], 2, "fall off"),
    "a slow exponential": (lambda z: -0.5 * z[0] ** 2 - torch.exp(z[1]) + 1e-4 * z[1], 2, "fall off"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    function, dim, words = REFUSED[name]
    found = conditional_gaussian_moments(density(function, dim))
    assert not found.usable
    assert words in found.refusal
    assert bool(found.means.isnan().all())
    assert not conditional_gaussian_bound(found, torch.zeros(dim, dtype=torch.float64)).usable


def test_an_end_between_45_and_60_nats() -> None:
    """log p = -e^-z - z/4 falls by 50 nats where the scan first ends: integrated up to there, mean -digamma(1/4)."""
    for slope in (0.25, 0.22, 0.19):
        found = conditional_gaussian_moments(density(lambda z, s=slope: -torch.exp(-z[0]) - s * z[0], 1))
        assert not found.usable or float(found.means[0]) == pytest.approx(-float(special.digamma(slope)), abs=1e-9)


def test_a_fitted_value_far_off_gets_no_number() -> None:
    found = conditional_gaussian_moments(density(lambda z: 2 * z[0] - torch.exp(z[0]), 1))
    bound = conditional_gaussian_bound(found, vector(5.0))
    assert not bound.usable
    assert "wider than the posterior" in bound.refusal
