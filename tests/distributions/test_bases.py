"""The base laws against SciPy and mpmath: densities, quantiles, characteristic functions, variances, noise."""

import math
import pickle
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, stats

from pyro_symvi.distributions import BASES, Base, Laplace, Logistic, Normal, StudentT

# law, SciPy's law of one coordinate
PRODUCTS: dict[str, tuple[Base, Any]] = {
    "normal": (Normal(), stats.norm),
    "laplace": (Laplace(), stats.laplace),
    "logistic": (Logistic(), stats.logistic),
    **{f"t{df}": (StudentT(df), stats.t(df)) for df in (0.7, 1.0, 2.0, 2.5, 5.0, 40.0)},
}
LAWS = {name: law for name, (law, _) in PRODUCTS.items()} | {
    f"spherical t{df}": StudentT(df, spherical=True) for df in (1.0, 3.5, 12.0)
}
U = np.array([1e-12, 1e-6, 0.01, 0.2, 0.5, 0.6, 0.9, 0.999, 1 - 1e-9])


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_density_of_products_against_scipy(name: str, dtype: torch.dtype) -> None:
    law, reference = PRODUCTS[name]
    x = torch.linspace(-30, 30, 24, dtype=dtype).reshape(2, 4, 3)
    log_p = law.distribution(3, x).log_prob(x)
    assert log_p.dtype == dtype and log_p.shape == (2, 4)
    assert np.allclose(
        log_p.numpy(), reference.logpdf(x.double().numpy()).sum(-1), rtol=1e-5 if x.dtype != torch.float64 else 1e-11
    )


@pytest.mark.parametrize("df", [0.7, 1.0, 3.5, 12.0])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_density_of_the_spherical_t_against_scipy(df: float, dim: int) -> None:
    x = torch.linspace(-9, 9, 6 * dim, dtype=torch.float64).reshape(6, dim)
    reference = stats.multivariate_t(np.zeros(dim), np.eye(dim), df).logpdf(x.numpy())
    assert np.allclose(StudentT(df, spherical=True).distribution(dim, x).log_prob(x).numpy(), reference, rtol=1e-11)
    if dim > 1:
        assert not np.allclose(StudentT(df).distribution(dim, x).log_prob(x).numpy(), reference)


@pytest.mark.parametrize("name", PRODUCTS)
def test_quantiles_against_scipy(name: str) -> None:
    law, reference = PRODUCTS[name]
    assert np.allclose(law.quantile(U), reference.ppf(U), rtol=1e-6, atol=1e-12)
    if name in ("normal", "laplace", "logistic"):
        assert np.allclose(law.quantile(U), -law.quantile(1 - U), rtol=1e-4, atol=1e-12)  # 1 - 1e-12 is not exact


@pytest.mark.parametrize("name", ["normal", "laplace", "logistic", "t2.0", "t2.5", "t5.0", "t40.0"])
def test_characteristic_functions_by_quadrature(name: str) -> None:
    law, reference = PRODUCTS[name]
    for t in (0.3, 1.0, 2.7, 8.0):
        # E cos(t X) = 2 int_0^inf cos(t x) p(x) dx, by the routine for Fourier integrals
        value = 2 * integrate.quad(reference.pdf, 0, np.inf, weight="cos", wvar=t, epsabs=1e-11, limlst=200)[0]
        assert float(law.characteristic(np.asarray(t))) == pytest.approx(value, abs=1e-9)
        assert float(law.characteristic(np.asarray(-t))) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("df", [0.7, 1.0, 2.0, 5.0, 30.0, 301.0, 1000.0])
def test_characteristic_function_of_t_against_mpmath(df: float) -> None:
    mpmath.mp.dps = 30
    t = np.array([1e-8, 1e-3, 0.1, 1.0, 4.0, 20.0])

    def exact(s: float) -> float:
        v, x = mpmath.mpf(df) / 2, mpmath.sqrt(df) * s
        return float(mpmath.besselk(v, x) * x**v / (2 ** (v - 1) * mpmath.gamma(v)))

    assert np.allclose(StudentT(df).characteristic(t), [exact(s) for s in t], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", LAWS)
def test_characteristic_functions_at_zero_and_far_out(name: str) -> None:
    values = LAWS[name].characteristic(np.array([0.0, -0.0, 1e-12, 1e4]))
    assert np.all(values[:2] == 1.0)
    assert values[2] == pytest.approx(1.0, abs=1e-7)
    assert 0 <= values[3] < 1e-7


@pytest.mark.parametrize("name", PRODUCTS)
def test_variance_and_mean_are_scipys(name: str) -> None:
    law, reference = PRODUCTS[name]
    df = getattr(law, "df", math.inf)
    assert law.has_mean == (df > 1)
    if df > 2:
        assert law.variance == pytest.approx(float(reference.var()), rel=1e-12)
    else:
        assert (law.variance == math.inf) if df > 1 else math.isnan(law.variance)


@pytest.mark.parametrize("name", LAWS)
def test_noise_by_inversion_follows_the_law(name: str) -> None:
    """Kolmogorov-Smirnov at level 1e-4 per coordinate and for the radius, 4,000 draws from a fixed seed."""
    law, n, dim = LAWS[name], 4000, 3
    uniforms = np.random.default_rng(7).random((n, law.uniforms_needed(dim)))
    noise = law.noise(uniforms)
    assert noise.shape == (n, dim)
    reference = stats.t(law.df) if isinstance(law, StudentT) else PRODUCTS[name][1]
    for column in noise.T:
        assert stats.kstest(column, reference.cdf).pvalue > 1e-4
    squares = (noise**2).sum(-1)
    if law.spherical:
        radial = stats.f(dim, law.df).cdf if isinstance(law, StudentT) else stats.chi2(dim).cdf
        assert stats.kstest(squares / dim if isinstance(law, StudentT) else squares, radial).pvalue > 1e-4
    # dependence of |x1| and |x2|: Spearman's rho has standard error n^(-1/2); four of them
    rho = stats.spearmanr(np.abs(noise[:, 0]), np.abs(noise[:, 1]))[0]
    if isinstance(law, StudentT) and law.spherical:
        assert rho > 4 / math.sqrt(n)  # the common chi-square
    else:
        assert abs(rho) < 4 / math.sqrt(n)
    assert abs(stats.spearmanr(noise[:, 0], noise[:, 1])[0]) < 4 / math.sqrt(n)


def test_noise_of_another_law_would_be_seen() -> None:
    uniforms = np.random.default_rng(7).random((40_000, 1))
    assert stats.kstest(Logistic().noise(uniforms)[:, 0], stats.norm(scale=math.pi / math.sqrt(3)).cdf).pvalue < 1e-4
    assert stats.kstest(StudentT(5.0).noise(uniforms)[:, 0], stats.t(7).cdf).pvalue < 1e-4


def test_quasi_random_noise_has_the_moments() -> None:
    """Scrambled Sobol points integrate far better than the Monte-Carlo error n^(-1/2) = 0.011 (8192 points)."""
    points = stats.qmc.Sobol(3, seed=np.random.default_rng(0)).random(8192)
    for law in (Normal(), Laplace(), Logistic(), StudentT(12.0)):
        covariance = np.cov(law.noise(points[:, : law.uniforms_needed(3)]).T)
        assert np.allclose(covariance / law.variance, np.eye(3), atol=0.01)


@pytest.mark.parametrize("df", [0.0, -1.0, math.inf, math.nan])
def test_degrees_of_freedom_out_of_range_are_refused(df: float) -> None:
    with pytest.raises(ValueError, match="expected 0 < df < inf, got .* because .*; try"):
        StudentT(df)


@pytest.mark.parametrize("df", ["5", None, True])
def test_degrees_of_freedom_of_another_type_are_refused(df: Any) -> None:
    with pytest.raises(TypeError, match="expected df as a number, got .* because .*; try"):
        StudentT(df)


def test_a_product_law_cannot_be_called_spherical() -> None:
    for law in (Laplace, Logistic):
        assert not law().spherical
        with pytest.raises(TypeError):
            law(spherical=True)
    assert Normal().spherical and StudentT(3.0, spherical=True).spherical and not StudentT(3.0).spherical


def test_laws_are_frozen_values_known_by_name() -> None:
    assert {name: base.name for name, base in BASES.items()} == {
        n: n for n in ("normal", "student_t", "laplace", "logistic")
    }
    assert StudentT(3.0) == StudentT(3.0) != StudentT(4.0)
    assert pickle.loads(pickle.dumps(StudentT(3.0, spherical=True))) == StudentT(3.0, spherical=True)
    with pytest.raises(AttributeError):
        StudentT(3.0).df = 4.0  # type: ignore[misc]
