"""Every base with every scale keeps the contract; densities against SciPy, quantiles against other computations."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats
from torch import Tensor

from pyro_symvi.distributions import Base, Laplace, Logistic, Normal, StudentT
from pyro_symvi.families import LocationScale
from pyro_symvi.families.marginals import distribution_function, marginal_quantile
from tests.contracts.family import FamilyContract, parameters_of, points_of

BASES = [
    ("normal", None),
    ("student_t", 0.8),
    ("student_t", 1.5),
    ("student_t", 5.0),
    ("laplace", None),
    ("logistic", None),
]
SCALES = ("isotropic", "diagonal", "full")
ALL = [(base, df, scale) for base, df in BASES for scale in SCALES]


@pytest.mark.parametrize(("base", "df", "scale"), ALL)
class TestEveryBaseAndScale(FamilyContract):
    @pytest.fixture
    def family(self, base: str, df: float | None, scale: str) -> LocationScale:
        return LocationScale(3, base, scale, df)


@pytest.mark.parametrize(("base", "df", "scale"), [(b, df, s) for b, df in BASES[3:] for s in SCALES])
class TestOneDimension(FamilyContract):
    @pytest.fixture
    def family(self, base: str, df: float | None, scale: str) -> LocationScale:
        return LocationScale(1, base, scale, df)


class _Transposed(LocationScale):
    """C in place of C' in ``apply``."""

    def apply(self, scale: Tensor, noise: Tensor) -> Tensor:
        return noise @ scale


class _WrongJacobian(LocationScale):
    """The sign of log|C|."""

    def log_prob(self, z: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        return self.log_base(self.standardize(z, parameters)) + self.log_det(parameters["scale"])


class _NormalQuantiles(LocationScale):
    """Quantiles of a normal law whatever the base."""

    def quantiles(self, levels: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        spread = self.matrix(parameters["scale"]).square().sum(-1).sqrt()
        return parameters["loc"] + torch.special.ndtri(levels)[:, None] * spread


def test_the_contract_catches_broken_families() -> None:
    contract = FamilyContract()
    with pytest.raises(AssertionError):
        contract.test_apply_and_log_det_are_those_of_the_matrix(_Transposed(3))
    with pytest.raises(AssertionError):
        contract.test_standardize_undoes_apply(_Transposed(3))
    with pytest.raises(AssertionError):
        contract.test_log_prob_is_the_change_of_variables(_WrongJacobian(3))
    with pytest.raises(AssertionError):
        contract.test_quantiles_against_draws(_NormalQuantiles(3, "laplace", "full"))


# -- densities -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_normal_density_against_scipy(scale: str) -> None:
    family = LocationScale(3, "normal", scale)
    parameters, z = parameters_of(family), points_of(family, 6)
    matrix = family.matrix(parameters["scale"]).numpy()
    expected = stats.multivariate_normal(parameters["loc"].numpy(), matrix @ matrix.T).logpdf(z.numpy())
    assert np.allclose(family.log_prob(z, parameters).numpy(), expected)


@pytest.mark.parametrize("scale", ["isotropic", "full"])
@pytest.mark.parametrize("df", [0.8, 1.0, 5.0])
def test_multivariate_t_density_against_scipy(scale: str, df: float) -> None:
    family = LocationScale(3, "student_t", scale, df)
    assert family.spherical
    parameters, z = parameters_of(family), points_of(family, 6)
    matrix = family.matrix(parameters["scale"]).numpy()
    expected = stats.multivariate_t(parameters["loc"].numpy(), matrix @ matrix.T, df).logpdf(z.numpy())
    assert np.allclose(family.log_prob(z, parameters).numpy(), expected)
    wrong = stats.multivariate_t(parameters["loc"].numpy(), matrix.T @ matrix, df).logpdf(z.numpy())
    assert scale == "isotropic" or not np.allclose(family.log_prob(z, parameters).numpy(), wrong)


@pytest.mark.parametrize(
    ("base", "df", "reference"),
    [("student_t", 2.5, stats.t(2.5)), ("laplace", None, stats.laplace), ("logistic", None, stats.logistic)],
)
def test_product_densities_against_scipy(base: str, df: float | None, reference: Any) -> None:
    family = LocationScale(3, base, "diagonal", df)
    assert not family.spherical
    parameters, z = parameters_of(family), points_of(family, 6)
    loc, scale = parameters["loc"].numpy(), parameters["scale"].numpy()
    expected = (reference.logpdf((z.numpy() - loc) / scale) - np.log(scale)).sum(-1)
    assert np.allclose(family.log_prob(z, parameters).numpy(), expected)


@pytest.mark.parametrize("base", ["laplace", "logistic"])
def test_full_scale_product_densities_integrate_to_one(base: str) -> None:
    family = LocationScale(2, base, "full")
    parameters = parameters_of(family)
    axis = torch.linspace(-40, 40, 1201, dtype=torch.float64)
    mass = family.log_prob(torch.cartesian_prod(axis, axis), parameters).exp().sum() * (axis[1] - axis[0]) ** 2
    assert float(mass) == pytest.approx(1.0, abs=3e-3)  # kinks: O(h²) of the trapezium rule


# -- quantiles -----------------------------------------------------------------------------------------------------

LEVELS = np.array([1e-4, 0.05, 0.3, 0.5, 0.77, 0.975, 0.9999])


@pytest.mark.parametrize(
    ("law", "reference"),
    [
        (Normal(), stats.norm),
        (StudentT(1.5, spherical=True), stats.t(1.5)),
        (StudentT(5.0, spherical=True), stats.t(5)),
    ],
)
def test_spherical_marginals_are_scaled_base_laws(law: Base, reference: Any) -> None:
    row = np.array([1.5, -2.0, 0.0, 0.4])
    assert np.allclose(marginal_quantile(law, row, LEVELS), np.linalg.norm(row) * reference.ppf(LEVELS), rtol=1e-6)


@pytest.mark.parametrize(("law", "reference"), [(Laplace(), stats.laplace), (Logistic(), stats.logistic)])
def test_rows_with_one_entry_are_scaled_base_laws(law: Base, reference: Any) -> None:
    for row in ([0.0, -2.5, 0.0], [1e-15, 2.5, 0.0]):
        assert np.allclose(marginal_quantile(law, np.array(row), LEVELS), 2.5 * reference.ppf(LEVELS), rtol=1e-12)


@pytest.mark.parametrize("row", [(1.0, 0.4), (-0.3, 2.0), (1.0, 1.0), (1.0, 0.999, -0.5)])
@pytest.mark.parametrize(("law", "reference"), [(Laplace(), stats.laplace), (Logistic(), stats.logistic)])
def test_full_scale_quantiles_against_numerical_convolution(law: Base, reference: Any, row: tuple[float, ...]) -> None:
    """P(sum <= x) as an integral of distribution functions, where they are smooth: no characteristic function."""
    *others, last = np.abs(row)

    def below(x: float, rest: list[float]) -> float:
        if not rest:
            return float(reference.cdf(x / last))
        return integrate.quad(
            lambda y: below(x - rest[0] * y, rest[1:]) * reference.pdf(y), -40, 40, points=[0, x / rest[0]],
            epsabs=1e-10, limit=200,
        )[0]  # fmt: skip

    if len(others) == 2:  # the double integral is slow: the sum of two first, in closed form for Laplace
        levels = np.array([0.77])
    else:
        levels = LEVELS
    for level, x in zip(levels, marginal_quantile(law, np.asarray(row), levels), strict=True):
        if len(others) == 2:
            grid = np.linspace(-45, 45, 18001)
            density = _density_of_two(law, others, grid)
            value = float(np.trapezoid(density * reference.cdf((x - grid) / last), grid))
            assert value == pytest.approx(level, abs=1e-5)  # kinks: O(h²)
        else:
            assert below(float(x), list(others)) == pytest.approx(level, abs=1e-8)


def _density_of_two(law: Base, entries: list[float], grid: np.ndarray) -> np.ndarray:
    reference = stats.laplace if isinstance(law, Laplace) else stats.logistic
    a, b = entries
    step = grid[1] - grid[0]
    return np.convolve(reference.pdf(grid / a) / a, reference.pdf(grid / b) / b, mode="same") * step


@pytest.mark.parametrize("ratio", [0.9, 0.5, 0.1, 0.01, 1e-4, 1e-7])
def test_laplace_distribution_function_against_partial_fractions(ratio: float) -> None:
    """Sum of two Laplace laws of scales a > b: F = (a² F_a - b² F_b) / (a² - b²). Accuracy as documented."""
    below = distribution_function(Laplace(), np.array([1.0, -ratio]))
    for x in (1e-4, 1e-2, 0.3, 1.0, 5.0, 20.0):
        a, b = mpmath.mpf(1), mpmath.mpf(ratio)
        tail = (a**2 * mpmath.exp(-x / a) - b**2 * mpmath.exp(-x / b)) / (a**2 - b**2) / 2
        assert below(x) == pytest.approx(float(1 - tail), abs=1e-11 if ratio >= 0.1 else 1e-7)


def test_many_equal_entries_approach_the_normal_law() -> None:
    row = np.ones(400) / 20
    for law, kurtosis in ((Laplace(), 3.0), (Logistic(), 1.2)):
        quantile = float(marginal_quantile(law, row, np.array([0.975]))[0])
        z = 1.959963984540054  # Cornish-Fisher: z + (z³ - 3z) kurtosis / 24, the kurtosis divided by 400
        expected = math.sqrt(law.variance) * (z + (z**3 - 3 * z) * kurtosis / 400 / 24)
        assert quantile == pytest.approx(expected, abs=2e-5)


def test_extreme_levels_do_not_fail() -> None:
    row = np.array([1.0, 0.5])
    extreme = marginal_quantile(Laplace(), row, np.array([1e-9, 1e-15, 1 - 1e-15]))
    tail = optimize.brentq(lambda x: (np.exp(-x) - 0.25 * np.exp(-2 * x)) / 0.75 / 2 - 1e-9, 1, 60)
    assert extreme[0] == pytest.approx(-tail, rel=1e-3)
    assert extreme[1] <= extreme[0] and extreme[2] >= -extreme[0]


# -- arguments -----------------------------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"dim": 0}, ValueError, "expected dim >= 1, got 0"),
    ({"dim": 2.0}, TypeError, "expected dim as an int, got 2.0"),
    ({"dim": True}, TypeError, "expected dim as an int, got True"),
    ({"base": "cauchy"}, ValueError, r"expected base in \['laplace', .*got 'cauchy'"),
    ({"base": Normal}, ValueError, "expected base in"),
    ({"scale": "lowrank"}, ValueError, r"expected scale in \['isotropic', .* got 'lowrank'"),
    ({"base": "student_t"}, ValueError, 'expected df for base="student_t", got None'),
    ({"base": "student_t", "df": 0.0}, ValueError, "expected 0 < df < inf, got 0.0"),
    ({"base": "student_t", "df": math.nan}, ValueError, "expected 0 < df < inf, got nan"),
    ({"base": "student_t", "df": math.inf}, ValueError, "expected 0 < df < inf, got inf"),
    ({"base": "student_t", "df": "5"}, TypeError, "expected df as a number, got '5'"),
    ({"base": "laplace", "df": 3.0}, ValueError, 'expected df=None for base="laplace", got 3.0'),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message + ".*because .*; try"):
        LocationScale(**{"dim": 2, **arguments})


def test_means_and_sphericity_are_as_documented() -> None:
    assert not LocationScale(2, "student_t", df=1.0).has_mean
    assert LocationScale(2, "student_t", df=1.1).has_mean
    spherical = {
        (base, scale): LocationScale(2, base, scale, 3.0 if base == "student_t" else None).spherical
        for base in ("normal", "student_t", "laplace", "logistic") for scale in SCALES
    }  # fmt: skip
    assert {key for key, value in spherical.items() if value} == {
        *(("normal", scale) for scale in SCALES), ("student_t", "isotropic"), ("student_t", "full"),
    }  # fmt: skip
