"""Every base with every scale keeps the contract; densities against SciPy, quantiles against other computations."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats
from torch import Tensor

from pyro_symvi.distributions import Base, GeneralizedNormal, Laplace, Logistic, Normal, StudentT
from pyro_symvi.families import BlockDiagonal, Fixed, LearnedDf, LocationScale, LowRank, Tied
from pyro_symvi.families.marginals import distribution_function, marginal_quantile
from pyro_symvi.groups import CoordinatePermutation
from tests.contracts.family import FamilyContract, parameters_of, points_of

NAMED = [("normal", None), ("student_t", 1.5), ("student_t", 5.0), ("cauchy", None), ("laplace", None),
         ("logistic", None), ("uniform_ball", None)]  # fmt: skip
VALUES = [Laplace(spherical=True), GeneralizedNormal(1.5), GeneralizedNormal(3.0, spherical=True)]
SCALES = ("isotropic", "diagonal", "full", "low_rank")
TIED = Tied(CoordinatePermutation(4, blocks=[[0], [2], [3]]))
BLOCKS = BlockDiagonal([[0, 2], [1, 3]])
FIXED = [Fixed(0.7), Fixed([0.5, 2.0, 1.0, 0.3]), Fixed(torch.tensor(
    [[1.0, 0, 0, 0], [0.5, 2.0, 0, 0], [0, -1.0, 0.7, 0], [0.2, 0, 0.3, 1.5]]))]  # fmt: skip

ALL = [
    *(LocationScale(4, base, scale, df) for base, df in NAMED for scale in SCALES),
    *(LocationScale(4, base, scale) for base in VALUES for scale in ("diagonal", "full", "low_rank")),
    *(LocationScale(4, base, pattern, 5.0 if base == "student_t" else None)
      for base in ("normal", "student_t", "laplace") for pattern in (TIED, BLOCKS, *FIXED)),
    LocationScale(4, StudentT(3.0, spherical=False), "isotropic"),
    LocationScale(4, StudentT(3.0, spherical=True), "diagonal"),
    LocationScale(4, "student_t", "full", LearnedDf()),
    LocationScale(4, "student_t", "diagonal", LearnedDf(4.0, minimum=0.5)),
    LocationScale(4, StudentT(3.0, spherical=True), "low_rank", LearnedDf()),
]  # fmt: skip


@pytest.mark.parametrize("family", ALL, ids=repr)
class TestEveryBaseAndScale(FamilyContract):
    @pytest.fixture
    def family(self, family: LocationScale) -> LocationScale:
        return family


ONE = [LocationScale(1, base, scale, df) for base, df in NAMED for scale in ("isotropic", "full", "low_rank")]


@pytest.mark.parametrize("family", ONE, ids=repr)
class TestOneDimension(FamilyContract):
    @pytest.fixture
    def family(self, family: LocationScale) -> LocationScale:
        return family


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


SUMS = [(Laplace(), stats.laplace), (Logistic(), stats.logistic), (GeneralizedNormal(1.5), stats.gennorm(1.5)),
        (GeneralizedNormal(5.0), stats.gennorm(5.0))]  # fmt: skip


@pytest.mark.parametrize("row", [(1.0, 0.4), (-0.3, 2.0), (1.0, 1.0), (1.0, 0.999, -0.5)])
@pytest.mark.parametrize(("law", "reference"), SUMS)
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
            density = _density_of_two(reference, others, grid)
            value = float(np.trapezoid(density * reference.cdf((x - grid) / last), grid))
            assert value == pytest.approx(level, abs=1e-5)  # kinks: O(h²)
        else:
            assert below(float(x), list(others)) == pytest.approx(level, abs=1e-8)


def _density_of_two(reference: Any, entries: list[float], grid: np.ndarray) -> np.ndarray:
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
        expected = math.sqrt(law.variance()) * (z + (z**3 - 3 * z) * kurtosis / 400 / 24)
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
    ({"base": "gumbel"}, ValueError, r"expected base in \['cauchy', .*got 'gumbel'"),
    ({"base": Normal}, ValueError, "expected base in"),
    ({"scale": "lowrank"}, ValueError, r"expected scale in \['isotropic', .* got 'lowrank'"),
    ({"base": "student_t"}, ValueError, 'expected df for base="student_t", got None'),
    ({"base": "student_t", "df": 0.0}, ValueError, "expected 0 < df < inf, got 0.0"),
    ({"base": "student_t", "df": math.nan}, ValueError, "expected 0 < df < inf, got nan"),
    ({"base": "student_t", "df": math.inf}, ValueError, "expected 0 < df < inf, got inf"),
    ({"base": "student_t", "df": "5"}, TypeError, "expected df as a number, got '5'"),
    ({"base": "student_t", "scale": LowRank(3), "df": 4.0}, ValueError, "expected rank <= 2, got 3"),
    ({"scale": BlockDiagonal([2, 1])}, ValueError, "expected blocks of 2 coordinates in all, got 3"),
    ({"scale": "block_diagonal"}, ValueError, "expected scale in .* got 'block_diagonal'"),
    ({"scale": Fixed([1.0, 2.0, 3.0])}, ValueError, "expected a fixed scale for 2 coordinates, got one for 3"),
    ({"scale": Tied(CoordinatePermutation(3))}, ValueError, r"expected an action on R\^2 by orthogonal matrices"),
    ({"base": StudentT(3.0)}, ValueError, "expected a spherical or light-tailed base with a full scale"),
    ({"base": GeneralizedNormal(0.5)}, ValueError, "expected a spherical or light-tailed base with a full scale"),
    ({"base": Laplace(), "df": 3.0}, ValueError, "expected df=None with base=Laplace"),
    ({"base": "laplace", "df": LearnedDf()}, ValueError, 'expected df=None for base="laplace"'),
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
        for base in ("normal", "student_t", "cauchy", "laplace", "logistic", "uniform_ball") for scale in SCALES
    }  # fmt: skip
    heavy = {(base, scale) for base in ("student_t", "cauchy") for scale in SCALES if scale != "diagonal"}
    light = {(base, scale) for base in ("normal", "uniform_ball") for scale in SCALES}
    assert {key for key, value in spherical.items() if value} == heavy | light
    assert LocationScale(2, "student_t", df=LearnedDf()).has_mean
    assert not LocationScale(2, "student_t", df=LearnedDf(minimum=0.9)).has_mean
