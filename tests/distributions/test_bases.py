"""The base laws against SciPy and mpmath: densities, quantiles, characteristic functions, variances, noise."""

import math
import pickle
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, stats

from pyro_symvi.distributions import (
    BASES,
    Base,
    Cauchy,
    GeneralizedNormal,
    Laplace,
    Logistic,
    Normal,
    StudentT,
    Tail,
    UniformBall,
)

# law, SciPy's law of one coordinate
PRODUCTS: dict[str, tuple[Base, Any]] = {
    "normal": (Normal(), stats.norm),
    "laplace": (Laplace(), stats.laplace),
    "logistic": (Logistic(), stats.logistic),
    "cauchy": (Cauchy(), stats.cauchy),
    **{f"power {beta}": (GeneralizedNormal(beta), stats.gennorm(beta)) for beta in (0.7, 1.5, 4.0)},
    **{f"t{df}": (StudentT(df), stats.t(df)) for df in (0.7, 1.0, 2.0, 2.5, 5.0, 40.0)},
}
LAWS = {name: law for name, (law, _) in PRODUCTS.items()} | {
    **{f"spherical t{df}": StudentT(df, spherical=True) for df in (1.0, 3.5, 12.0)},
    "spherical cauchy": Cauchy(spherical=True),
    "elliptical laplace": Laplace(spherical=True),
    **{f"spherical power {beta}": GeneralizedNormal(beta, spherical=True) for beta in (0.7, 1.5, 4.0)},
    "ball": UniformBall(),
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
    assert np.allclose(law.cdf(law.quantile(U)), U, rtol=1e-9)
    if name in ("normal", "laplace", "logistic"):
        assert np.allclose(law.quantile(U), -law.quantile(1 - U), rtol=1e-4, atol=1e-12)  # 1 - 1e-12 is not exact


@pytest.mark.parametrize(
    "name", ["normal", "laplace", "logistic", "power 1.5", "power 4.0", "t2.0", "t2.5", "t5.0", "t40.0"]
)
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


@pytest.mark.parametrize("beta", [0.6, 1.0, 1.3, 2.0, 5.0, 12.0])
def test_characteristic_function_of_the_generalized_normal_against_its_series_and_tail(beta: float) -> None:
    """Entire series sum (-1)^k t^2k Gamma((2k+1)/beta) / ((2k)! Gamma(1/beta)), for beta > 1, in 60 digits; and
    exact values 1/(1+t^2) and exp(-t^2/4); below 1, quadrature of the Bernstein form is left to beta = 1."""
    law = GeneralizedNormal(beta)
    t = np.array([0.0, 1e-3, 0.3, 1.0, 2.5, 5.0])
    if beta == 1.0:
        assert np.allclose(law.characteristic(t), 1 / (1 + t**2), rtol=0, atol=1e-13)
        assert np.allclose(Laplace().characteristic(t), 1 / (1 + t**2), rtol=0, atol=1e-15)
    elif beta < 1:  # a small frequency: 1 - t^2 E x^2 / 2 + t^4 E x^4 / 24
        x = 1e-3
        moments = [math.gamma((2 * k + 1) / beta) / math.gamma(1 / beta) for k in (1, 2)]
        expected = 1 - x**2 * moments[0] / 2 + x**4 * moments[1] / 24
        assert float(law.characteristic(np.array(x))) == pytest.approx(expected, abs=1e-10)
    else:
        with mpmath.workdps(80):
            b = mpmath.mpf(beta)

            def series(s: float) -> float:
                return float(
                    mpmath.nsum(
                        lambda k: (-1) ** int(k) * mpmath.mpf(s) ** (2 * k) * mpmath.gamma((2 * k + 1) / b)
                        / (mpmath.factorial(2 * k) * mpmath.gamma(1 / b)),
                        [0, 400], method="direct",
                    )
                )  # fmt: skip

            usable = t[t <= 1.0] if beta < 1.5 else t
            assert np.allclose(law.characteristic(usable), [series(s) for s in usable], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "name", [n for n, law in LAWS.items() if not law.spherical or isinstance(law, Normal | StudentT)]
)
def test_characteristic_functions_at_zero_and_far_out(name: str) -> None:
    values = LAWS[name].characteristic(np.array([0.0, -0.0, 1e-12, 1e4]))
    assert np.allclose(values[:2], 1.0, rtol=0, atol=1e-13)
    assert values[2] == pytest.approx(1.0, abs=1e-7)
    assert abs(values[3]) < 1e-6


def test_a_spherical_law_without_product_form_has_no_characteristic_of_a_coordinate() -> None:
    for law in (UniformBall(), Laplace(spherical=True)):
        if isinstance(law, UniformBall):
            with pytest.raises(ValueError, match="expected a product law, got .* because .*; try cdf"):
                law.characteristic(np.zeros(1))


@pytest.mark.parametrize("name", PRODUCTS)
def test_variance_and_mean_are_scipys(name: str) -> None:
    law, reference = PRODUCTS[name]
    df = getattr(law, "df", math.inf)
    assert law.has_mean == (df > 1)
    if df > 2:
        assert law.variance() == pytest.approx(float(reference.var()), rel=1e-12)
    else:
        assert (law.variance() == math.inf) if df > 1 else math.isnan(law.variance())


@pytest.mark.parametrize("name", LAWS)
def test_noise_by_inversion_follows_the_law(name: str) -> None:
    """Kolmogorov-Smirnov at level 1e-4 per coordinate and for the radius, 4,000 draws from a fixed seed."""
    law, n, dim = LAWS[name], 4000, 3
    uniforms = np.random.default_rng(7).random((n, law.uniforms_needed(dim)))
    noise = law.noise(uniforms)
    assert noise.shape == (n, dim)
    _follows(law, noise, dim)
    # dependence of |x1| and |x2|: Spearman's rho has standard error n^(-1/2); four of them
    rho = stats.spearmanr(np.abs(noise[:, 0]), np.abs(noise[:, 1]))[0]
    if law.spherical and not isinstance(law, Normal):
        sign = -1 if not law.full_support or getattr(law, "beta", 0) > 2 else 1  # lighter or heavier than normal
        assert sign * rho > 4 / math.sqrt(n)  # the common radius
    else:
        assert abs(rho) < 4 / math.sqrt(n)
    assert abs(stats.spearmanr(noise[:, 0], noise[:, 1])[0]) < 4 / math.sqrt(n)


def _follows(law: Base, draws: np.ndarray, dim: int) -> None:
    """Each coordinate against the law's own distribution function, and the radius against SciPy's."""
    slow = isinstance(law, GeneralizedNormal) and law.spherical  # its distribution function is a quadrature each time
    for column in draws[:600].T if slow else draws.T:
        assert stats.kstest(column, lambda x: law.cdf(x, dim)).pvalue > 1e-4
    radius = np.sqrt((draws**2).sum(-1))
    if isinstance(law, StudentT) and law.spherical:
        assert stats.kstest(radius**2 / dim, stats.f(dim, law.df).cdf).pvalue > 1e-4
    elif isinstance(law, GeneralizedNormal) and law.spherical:
        assert stats.kstest(radius**law.beta, stats.gamma(dim / law.beta).cdf).pvalue > 1e-4
    elif isinstance(law, UniformBall):
        assert stats.kstest(radius**dim, stats.uniform.cdf).pvalue > 1e-4
    elif isinstance(law, Normal):
        assert stats.kstest(radius**2, stats.chi2(dim).cdf).pvalue > 1e-4


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_follow_the_law(name: str, dtype: torch.dtype) -> None:
    """The same tests, at level 1e-4 each, for 4,000 draws of the Pyro distribution, and its shapes."""
    law = LAWS[name]
    torch.manual_seed(3)
    base = law.distribution(3, torch.zeros((), dtype=dtype))
    assert base.batch_shape == () and base.event_shape == (3,) and base.has_rsample
    draws = base.expand((4,)).rsample((1000,))
    assert draws.shape == (1000, 4, 3) and draws.dtype == dtype
    assert base.expand((4,)).log_prob(draws).shape == (1000, 4)
    _follows(law, draws.reshape(-1, 3).double().numpy(), 3)


# -- spherical laws: marginals, normalisation ----------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.7, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("dim", [2, 3, 10])
def test_marginals_of_spherical_power_laws_by_quadrature(beta: float, dim: int) -> None:
    """P(xi_1 > x) = E[tail of the cosine at x / r] over the radius, r^beta ~ Gamma(d / beta), by SciPy's quadrature."""
    law = GeneralizedNormal(beta, spherical=True)
    radius = stats.gengamma(dim / beta, beta)
    cosine = stats.beta((dim - 1) / 2, (dim - 1) / 2, loc=-1, scale=2)
    sd = math.sqrt(law.variance(dim))
    for x in (0.3 * sd, sd, 3 * sd):
        integrand = lambda r, x=x: radius.pdf(r) * cosine.sf(x / r)  # noqa: E731
        exact = integrate.quad(integrand, x, np.inf, epsabs=1e-13, limit=400)[0]
        assert float(law.cdf(np.array(-x), dim)) == pytest.approx(exact, rel=1e-6, abs=1e-10)
    levels = np.array([1e-9, 0.01, 0.3, 0.5, 0.8])
    assert np.allclose(law.cdf(law.quantile(levels, dim), dim), levels, rtol=1e-11)


def test_the_spherical_power_law_of_exponent_two_is_normal() -> None:
    law, x = GeneralizedNormal(2.0, spherical=True), np.array([-4.0, -1.0, 0.3, 2.0])
    for dim in (1, 2, 7, 1000):
        assert np.allclose(law.cdf(x, dim), stats.norm(scale=math.sqrt(0.5)).cdf(x), rtol=1e-11)
        z = torch.from_numpy(np.outer(x, np.ones(dim)) / math.sqrt(dim))
        reference = stats.norm(scale=math.sqrt(0.5)).logpdf(z.numpy()).sum(-1)
        assert np.allclose(law.distribution(dim, z).log_prob(z).numpy(), reference, rtol=1e-12)


def test_marginals_of_the_ball() -> None:
    """d = 1 uniform, d = 2 the semicircle law, d = 3 the parabola."""
    x = np.linspace(-1.2, 1.2, 9)
    inside = np.clip(x, -1, 1)
    assert np.allclose(UniformBall().cdf(x, 1), (1 + inside) / 2)
    assert np.allclose(UniformBall().cdf(x, 2), 0.5 + (inside * np.sqrt(1 - inside**2) + np.arcsin(inside)) / np.pi)
    assert np.allclose(UniformBall().cdf(x, 3), 0.5 + 0.75 * (inside - inside**3 / 3))
    assert np.allclose(UniformBall().cdf(UniformBall().quantile(U, 5), 5), U, rtol=1e-8)


@pytest.mark.parametrize("law", [Laplace(spherical=True), GeneralizedNormal(1.5, True), UniformBall()], ids=repr)
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_spherical_densities_integrate_to_one_in_the_radius(law: Base, dim: int) -> None:
    def shell(r: float) -> float:
        z = torch.zeros(dim, dtype=torch.float64)
        z[0] = r
        area = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
        return float(law.distribution(dim, z).log_prob(z).exp()) * area * r ** (dim - 1)

    end = 1.0 if isinstance(law, UniformBall) else 80.0
    assert integrate.quad(shell, 0, end, limit=200)[0] == pytest.approx(1.0, rel=1e-8)
    second = integrate.quad(lambda r: shell(r) * r * r, 0, end, limit=200)[0]
    assert law.variance(dim) == pytest.approx(second / dim, rel=1e-8)


# -- what each law declares ----------------------------------------------------------------------------------------


def _log_density(law: Base, z: torch.Tensor) -> torch.Tensor:
    return law.distribution(z.shape[-1], z).log_prob(z)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", [1, 3])
def test_declared_shape_holds_at_random_midpoints_and_fails_where_it_is_denied(name: str, dim: int) -> None:
    """Log-concavity and convex superlevel sets at 4,000 midpoints; a denial needs a witness among them."""
    law = LAWS[name]
    generator = torch.Generator().manual_seed(1)
    a, b = 4 * torch.randn(2, 4000, dim, dtype=torch.float64, generator=generator)
    a, b = a * torch.rand(4000, 1, generator=generator), b * torch.rand(4000, dim, generator=generator)
    reach = 1 / 16 if not law.full_support else getattr(law, "df", 1.0) ** 0.5
    a, b = reach * a, reach * b
    ends = torch.stack([_log_density(law, a), _log_density(law, b)])
    middle = _log_density(law, (a + b) / 2)
    excess = middle - ends.mean(0)
    concave = bool((excess[ends.isfinite().all(0)] >= -1e-9).all())
    assert concave == law.log_concave
    if law.strictly_log_concave:
        apart = (a - b).norm(dim=-1) > 0.5
        assert bool((excess > 1e-12)[apart].all())
    elif law.log_concave:  # flat somewhere: a chord along a ray, or inside the ball
        ray = torch.zeros(1, dim, dtype=torch.float64)
        ray[:, 0] = 0.1
        flat = _log_density(law, 2 * ray) - (_log_density(law, ray) + _log_density(law, 3 * ray)) / 2
        assert float(flat.abs().max()) < 1e-12
    convex = bool((middle >= ends.amin(0) - 1e-9).all())
    assert convex == law.has_convex_superlevel_sets(dim)


@pytest.mark.parametrize("name", LAWS)
def test_declared_invariances(name: str) -> None:
    """Flips and permutations for all; rotations for the spherical ones alone."""
    law = LAWS[name]
    z = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    z = z if law.full_support else z / (1 + z.norm(dim=-1, keepdim=True))
    value = _log_density(law, z)
    assert torch.allclose(_log_density(law, z * torch.tensor([1.0, -1.0, 1.0])), value)
    assert torch.allclose(_log_density(law, z[:, [2, 0, 1]]), value)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    assert torch.allclose(_log_density(law, z @ turn), value) == law.spherical


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("dim", [1, 2, 4])
def test_declared_tails(name: str, dim: int) -> None:
    """The slowest of an axis and a diagonal ray: slope of log q in log r (power), of log|log q| (exponential)."""
    law = LAWS[name]
    tail = law.tail(dim)
    rays = torch.stack([torch.eye(dim, dtype=torch.float64)[0], torch.ones(dim, dtype=torch.float64) / dim**0.5])
    if tail.kind == "compact":
        assert not law.full_support and bool(torch.isneginf(_log_density(law, 1.01 * rays)).all())
        assert tail.at_least_exponential
        return
    assert law.full_support
    radii = (1e6, 1e8) if tail.kind == "power" else (1e4, 1e7)
    near, far = (_log_density(law, r * rays) for r in radii)
    if tail.kind == "power":
        slope = (far - near) / math.log(radii[1] / radii[0])
        assert float(slope.max()) == pytest.approx(-tail.exponent, rel=1e-6)
    else:
        slope = (far / near).log() / math.log(radii[1] / radii[0])
        assert float(slope.min()) == pytest.approx(tail.exponent, rel=0.02)
    assert tail.at_least_exponential == (tail.kind == "exponential" and tail.exponent >= 1)
    assert law.has_mean == (tail.kind != "power" or tail.exponent - (dim if law.spherical else 1) > 1)


def test_tails_are_values() -> None:
    assert Normal().tail(3) == Tail("exponential", 2.0) != Laplace().tail(3)


def test_noise_of_another_law_would_be_seen() -> None:
    uniforms = np.random.default_rng(7).random((40_000, 1))
    assert stats.kstest(Logistic().noise(uniforms)[:, 0], stats.norm(scale=math.pi / math.sqrt(3)).cdf).pvalue < 1e-4
    assert stats.kstest(StudentT(5.0).noise(uniforms)[:, 0], stats.t(7).cdf).pvalue < 1e-4


def test_quasi_random_noise_has_the_moments() -> None:
    """Scrambled Sobol points integrate far better than the Monte-Carlo error n^(-1/2) = 0.011 (8192 points)."""
    points = stats.qmc.Sobol(3, seed=np.random.default_rng(0)).random(8192)
    for law in (Normal(), Laplace(), Logistic(), StudentT(12.0), GeneralizedNormal(3.0)):
        covariance = np.cov(law.noise(points[:, : law.uniforms_needed(3)]).T)
        assert np.allclose(covariance / law.variance(3), np.eye(3), atol=0.01)


@pytest.mark.parametrize("df", [0.0, -1.0, math.inf, math.nan])
def test_degrees_of_freedom_out_of_range_are_refused(df: float) -> None:
    with pytest.raises(ValueError, match="expected 0 < df < inf, got .* because .*; try"):
        StudentT(df)


@pytest.mark.parametrize("df", ["5", None, True])
def test_degrees_of_freedom_of_another_type_are_refused(df: Any) -> None:
    with pytest.raises(TypeError, match="expected df as a number, got .* because .*; try"):
        StudentT(df)


@pytest.mark.parametrize(("beta", "error"), [(0.0, ValueError), (math.inf, ValueError), ("2", TypeError)])
def test_exponents_out_of_range_are_refused(beta: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="expected .*beta.* got .* because .*; try"):
        GeneralizedNormal(beta)


def test_the_logistic_law_has_no_spherical_form() -> None:
    assert not Logistic().spherical
    with pytest.raises(TypeError):
        Logistic(spherical=True)  # type: ignore[call-arg]
    assert Normal().spherical and StudentT(3.0, spherical=True).spherical and not StudentT(3.0).spherical


def test_laws_are_frozen_values_known_by_name() -> None:
    assert {name: base.name for name, base in BASES.items()} == {
        n: n for n in ("normal", "student_t", "cauchy", "laplace", "logistic", "uniform_ball")
    }
    assert StudentT(3.0) == StudentT(3.0) != StudentT(4.0)
    assert pickle.loads(pickle.dumps(StudentT(3.0, spherical=True))) == StudentT(3.0, spherical=True)
    with pytest.raises(AttributeError):
        StudentT(3.0).df = 4.0  # type: ignore[misc]
