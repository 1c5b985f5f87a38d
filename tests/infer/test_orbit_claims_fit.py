"""What orbit-closed base samples promise of a fit, and where they fail: each claim with its negative.

Even log-concave target in three dimensions about ``CENTER``, neither elliptical nor a product; all starts are off it.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import Tensor

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import Alpha, ReverseKL
from pyro_symvi.families import LocationScale, Tied
from pyro_symvi.groups import (
    AxisFlips,
    ConditionalReflection,
    CoordinatePermutation,
    Cyclic,
    FiniteMatrixGroup,
    NaturalAction,
    PointReflection,
)
from pyro_symvi.infer import FitStatus
from pyro_symvi.infer.fitting._steps import newton
from pyro_symvi.infer.fitting.chart import Chart, Outcome
from pyro_symvi.infer.fitting.pathwise import minimize_pathwise

DOUBLE = torch.float64
CENTER = torch.tensor([0.7, -1.3, 2.0], dtype=DOUBLE)
DIRECTIONS = torch.tensor([[1.0, 0.5, 0.0], [0.3, 2.0, -0.4], [0.0, 0.2, 0.7]], dtype=DOUBLE)
OFF = CENTER + torch.tensor([1.0, -1.0, 0.5], dtype=DOUBLE)


def even(z: Tensor) -> Tensor:
    return -2 * torch.log(torch.cosh((z - CENTER) @ DIRECTIONS.mT)).sum(-1)


def even_with_normal_tails(z: Tensor) -> Tensor:
    return even(z) - 0.3 * (z - CENTER).square().sum(-1)


TARGET = LogDensity.from_callable(even, 3)


def error(fit: symvi.Fit) -> float:
    return float((fit.loc - CENTER).abs().max())


def pathwise(family: LocationScale, noise: Tensor, target: LogDensity, start: Tensor) -> Outcome:
    """The optimum for base samples given."""
    chart = Chart(target, family, start, torch.eye(family.dim, dtype=DOUBLE))
    return minimize_pathwise(chart, ReverseKL(), noise, 2000, 1e-10, lambda step, value: None)


# -- reverse KL ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["normal", "laplace", "logistic"])
@pytest.mark.parametrize("pairs", [1, 2, 5])
@pytest.mark.parametrize("scale", ["diagonal", "isotropic"])
def test_from_one_pair_up_a_diagonal_scale_finds_the_centre(scale: str, pairs: int, base: str) -> None:
    fit = symvi.fit(TARGET, LocationScale(3, base, scale), num_particles=2 * pairs, starts=OFF[None])
    assert fit.num_particles == 2 * pairs or (pairs == 5 and fit.num_particles == 12)  # whole cross-polytopes
    assert fit.converged, fit.details
    assert error(fit) < 1e-10


@pytest.mark.parametrize("base", ["normal", "laplace", "logistic"])
@pytest.mark.parametrize("pairs", [3, 4, 8])
def test_from_d_pairs_up_a_full_scale_finds_the_centre(pairs: int, base: str) -> None:
    fit = symvi.fit(TARGET, LocationScale(3, base), num_particles=2 * pairs, starts=OFF[None])
    assert 2 * pairs <= fit.num_particles < 2 * pairs + 6
    assert fit.converged, fit.details
    assert error(fit) < 1e-10


def test_fewer_pairs_for_a_full_scale_are_raised_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="num_particles raised from 4 to at least 6.*full scale in 3 dimensions"):
        fit = symvi.fit(TARGET, LocationScale(3), num_particles=4, starts=OFF[None])
    assert fit.num_particles == 6 and error(fit) < 1e-10


def test_with_two_pairs_a_full_scale_is_unbounded() -> None:
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(2, 3, dtype=DOUBLE, generator=generator)
    outcome = pathwise(LocationScale(3), torch.cat([half, -half]), TARGET, OFF)
    assert outcome.status is not FitStatus.CONVERGED
    assert float(outcome.parameters["scale"].diagonal().max()) > 100


def test_without_pairs_there_is_an_error() -> None:
    generator = torch.Generator().manual_seed(0)
    outcome = pathwise(LocationScale(3), torch.randn(16, 3, dtype=DOUBLE, generator=generator), TARGET, OFF)
    assert outcome.status is FitStatus.CONVERGED
    assert float((outcome.parameters["loc"] - CENTER).abs().max()) > 0.05


# -- Renyi surrogates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [-0.3, -1.0, -2.0])
@pytest.mark.parametrize("scale", ["diagonal", "full"])
def test_negative_alpha_finds_the_centre(scale: str, alpha: float) -> None:
    target = LogDensity.from_callable(even_with_normal_tails, 3)
    fit = symvi.fit(target, LocationScale(3, scale=scale), divergence=Alpha(alpha), num_particles=24, starts=OFF[None])
    assert fit.converged, fit.details
    assert error(fit) < 1e-10


def from_tuples(noise: Tensor, surrogate: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """Error of the location and gradient norm, full scale; ``noise [K, T, d]``, ``surrogate`` of log-weights [K, T]."""
    rows, columns = torch.tril_indices(3, 3, -1)

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(x).clone().requires_grad_()
        matrix = torch.diag(leaf[3:6].exp()).index_put((rows, columns), leaf[6:])
        log_weights = even(leaf[:3] + noise @ matrix.mT) + 0.5 * noise.square().sum(-1) + leaf[3:6].sum()
        value = surrogate(log_weights).mean()
        (gradient,) = torch.autograd.grad(value, leaf)
        return float(value.detach()), gradient.numpy()

    start = np.concatenate([OFF.numpy(), np.zeros(6)])
    options = {"maxiter": 2000, "maxfun": 8000, "gtol": 1e-11, "ftol": 0.0, "maxcor": 40}
    found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    x, norm = newton(objective, np.asarray(found.x), 9)
    return float(np.abs(x[:3] - CENTER.numpy()).max()), norm


def importance_weighted(log_weights: Tensor) -> Tensor:
    """Minus the importance-weighted bound, Pyro's order 0."""
    return -(torch.logsumexp(log_weights, 0) - math.log(len(log_weights)))


def tuples(count: int, across: bool, seed: int = 0) -> Tensor:
    """Tuples of four: closed as a set of tuples, or each for itself."""
    generator = torch.Generator().manual_seed(seed)
    shape = (4, count // 2, 3) if across else (2, count, 3)
    half = torch.randn(*shape, dtype=DOUBLE, generator=generator)
    return torch.cat([half, -half], 1 if across else 0)


@pytest.mark.parametrize("count", [40, 200])
@pytest.mark.parametrize("surrogate", [importance_weighted, Alpha(0.5).objective, Alpha(-1.0).objective])
def test_symmetry_across_tuples_finds_the_centre(surrogate: Callable[[Tensor], Tensor], count: int) -> None:
    found, norm = from_tuples(tuples(count, across=True), surrogate)
    assert found < 1e-10 and norm < 1e-10


@pytest.mark.parametrize("count", [6, 40, 200])
def test_symmetry_inside_a_tuple_does_not(count: int) -> None:
    """A stationary point of rounding-size gradient, far from the centre: the target is log-concave."""
    found, norm = from_tuples(tuples(count, across=False), importance_weighted)
    assert found > 0.3 and norm < 1e-7


def test_six_tuples_are_too_few_for_the_importance_weighted_bound() -> None:
    found, norm = from_tuples(tuples(6, across=True), importance_weighted)
    assert found > 1 and norm < 1e-6


# -- kinks: flat is said -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.3, -0.8])
def test_a_laplace_target_is_flat_between_the_samples(offset: float) -> None:
    """J is constant for |nu| <= s min|xi|: the location is anywhere there, and the status says so."""
    laplace = LogDensity.from_callable(lambda z: -z.abs().sum(-1), 1)
    family = LocationScale(1)
    generator = torch.Generator().manual_seed(3)
    half = 0.5 + torch.rand(2, 1, dtype=DOUBLE, generator=generator)
    chart = Chart(laplace, family, torch.full((1,), offset, dtype=DOUBLE), torch.eye(1, dtype=DOUBLE))
    outcome = minimize_pathwise(chart, ReverseKL(), torch.cat([half, -half]), 500, 1e-8, lambda step, value: None)
    reach = float(outcome.parameters["scale"]) * float(half.min())
    assert outcome.status is FitStatus.FLAT and "along z[0]" in outcome.details
    assert abs(float(outcome.parameters["loc"])) <= reach + 1e-6 and abs(float(outcome.parameters["loc"])) > 0.05
    strict = LogDensity.from_callable(lambda z: -z.abs().sum(-1) - 0.01 * z.square().sum(-1), 1)
    chart = Chart(strict, family, torch.full((1,), offset, dtype=DOUBLE), torch.eye(1, dtype=DOUBLE))
    outcome = minimize_pathwise(chart, ReverseKL(), torch.cat([half, -half]), 500, 1e-8, lambda step, value: None)
    assert outcome.status is FitStatus.CONVERGED and abs(float(outcome.parameters["loc"])) < 1e-10


def test_a_fit_of_a_laplace_target_says_flat() -> None:
    laplace = LogDensity.from_callable(lambda z: -z.abs().sum(-1), 1)
    fit = symvi.fit(laplace, LocationScale(1), num_particles=4, starts=torch.full((1, 1), 0.05))
    assert fit.status is FitStatus.FLAT and "num_particles" in fit.status.remedy


# -- reflection about a regression -------------------------------------------------------------------------------------

INTERCEPT, SLOPE = 0.4, -1.7


def regression(z: Tensor, x: int, y: int) -> Tensor:
    """Log-concave; x given y even about INTERCEPT + SLOPE y, y skewed."""
    rest = z[..., x] - INTERCEPT - SLOPE * z[..., y]
    return -2 * torch.log(torch.cosh(rest)) + 2 * z[..., y] - z[..., y].exp() - 0.2 * (rest * rest)


@pytest.mark.parametrize("ordered", [True, False])
def test_slope_and_intercept_need_y_before_x(ordered: bool) -> None:
    y, x = (0, 1) if ordered else (1, 0)
    target, family = LogDensity.from_callable(lambda z: regression(z, x, y), 2), LocationScale(2)
    half = torch.randn(6, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    signs = torch.ones(2, dtype=DOUBLE)
    signs[x] = -1
    outcome = pathwise(family, torch.cat([half, half * signs]), target, torch.zeros(2, dtype=DOUBLE))
    loc, scale = outcome.parameters["loc"], outcome.parameters["scale"]
    scatter = scale @ scale.mT
    slope = float(scatter[x, y] / scatter[y, y])
    intercept = float(loc[x]) - SLOPE * float(loc[y])
    assert outcome.gradient_norm < 1e-10
    if ordered:
        assert abs(slope - SLOPE) < 1e-10 and abs(intercept - INTERCEPT) < 1e-10
    else:
        assert abs(slope - SLOPE) > 0.02


def test_fit_closes_under_a_conditional_reflection_or_refuses() -> None:
    def symmetry(x: int) -> ConditionalReflection:
        return ConditionalReflection([x], intercept=INTERCEPT, slope=torch.tensor([[SLOPE]], dtype=DOUBLE))

    fit = symvi.fit(LogDensity.from_callable(lambda z: regression(z, 1, 0), 2), LocationScale(2), symmetry=symmetry(1))
    scatter = fit.parameters["scale"] @ fit.parameters["scale"].mT
    assert fit.converged and fit.reflected == (1,)
    assert abs(float(scatter[1, 0] / scatter[0, 0]) - SLOPE) < 1e-10 and fit.fixed_point_residual < 1e-9
    with pytest.raises(ValueError, match=r"coordinates \[1\] come before \[0\]"):
        symvi.fit(LogDensity.from_callable(lambda z: regression(z, 0, 1), 2), LocationScale(2), symmetry=symmetry(0))


# -- finite groups -----------------------------------------------------------------------------------------------------

SWAPS = CoordinatePermutation(3)


def exchangeable(z: Tensor) -> Tensor:
    """Log-concave, invariant under permutations, not even."""
    return -z.square().sum(-1) / 2 - (z.sum(-1) / 2).exp() - torch.exp(0.7 * z).sum(-1)


EXCHANGEABLE = LogDensity.from_callable(exchangeable, 3)


def contrasts(loc: Tensor) -> float:
    return float(loc.max() - loc.min())


@pytest.mark.parametrize(
    "symmetry", [SWAPS, CoordinatePermutation(3, permutations=Cyclic(3))], ids=["all permutations", "shifts"]
)
@pytest.mark.parametrize(
    "family",
    [
        LocationScale(3, scale="diagonal"),
        LocationScale(3, "laplace", "isotropic"),
        LocationScale(3, scale=Tied(SWAPS)),
        LocationScale(3, "logistic", Tied(PointReflection())),
    ],
    ids=repr,
)
def test_permutations_pin_contrasts(family: LocationScale, symmetry: CoordinatePermutation) -> None:
    fit = symvi.fit(EXCHANGEABLE, family, symmetry=symmetry, num_particles=12, starts=OFF[None])
    matrix = family.matrix(fit.parameters["scale"])
    assert fit.converged and contrasts(fit.loc) < 1e-10 and contrasts(matrix.diagonal()) < 1e-10
    assert fit.fixed_point_residual < 1e-10 and fit.closed_under == (repr(symmetry),)
    free = symvi.fit(EXCHANGEABLE, family, num_particles=12, starts=OFF[None])
    assert contrasts(free.loc) > (1e-4 if family.scale == "diagonal" else 0.0)


def test_a_cholesky_factor_with_permutations_is_refused_and_would_fail() -> None:
    with pytest.raises(ValueError, match=r"expected a scale that commutes .*Tied\(PointReflection\(\)\)"):
        symvi.fit(EXCHANGEABLE, LocationScale(3), symmetry=SWAPS)
    draw = torch.randn(3, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    matrices = SWAPS.matrix(SWAPS.group.elements())
    orbit = torch.einsum("gij,nj->gni", matrices, draw).reshape(-1, 3)
    for scale, good in (("full", False), (Tied(PointReflection()), True)):
        outcome = pathwise(LocationScale(3, scale=scale), orbit, EXCHANGEABLE, torch.zeros(3, dtype=DOUBLE))
        assert outcome.gradient_norm < 1e-10
        assert (contrasts(outcome.parameters["loc"]) < 1e-10) is good
        assert good or contrasts(outcome.parameters["loc"]) > 1e-2


def test_axis_flips_pin_correlations() -> None:
    """Even in each coordinate, not a product: S_ij = 0 with whole orbits, not with the point reflection alone."""

    def log_prob(z: Tensor) -> Tensor:
        w = z - CENTER
        return -w.pow(4).sum(-1) - 2 * (1 + w.square().sum(-1)).sqrt()

    target, family = LogDensity.from_callable(log_prob, 3), LocationScale(3, base="logistic")
    flips = symvi.fit(target, family, symmetry=AxisFlips(), num_particles=24, starts=OFF[None])
    point = symvi.fit(target, family, symmetry=PointReflection(), num_particles=24, starts=OFF[None])
    for fit, good in ((flips, True), (point, False)):
        assert fit.converged and error(fit) < 1e-10
        assert fit.closed_under[0] == "reflection of all coordinates" and len(fit.closed_under) == (2 if good else 1)
        lower = float(family.matrix(fit.parameters["scale"]).tril(-1).abs().max())
        assert lower < 1e-10 if good else lower > 1e-3


def test_three_turns_pin_mean_and_scatter() -> None:
    """p = exp(-sum_j exp(1.3 u_j . z)), three directions at 120 degrees: S = .3048847965 I, mean 0; not even."""
    angles = torch.arange(3, dtype=DOUBLE) * 2 * math.pi / 3
    u = torch.stack([angles.cos(), angles.sin()], -1)
    turn = torch.tensor([[-0.5, -(0.75**0.5)], [0.75**0.5, -0.5]], dtype=DOUBLE)
    target = LogDensity.from_callable(lambda z: -torch.exp(1.3 * z @ u.mT).sum(-1), 2)
    turns = NaturalAction(FiniteMatrixGroup.generated_by([turn]))
    start = torch.tensor([[0.4, -0.3]], dtype=DOUBLE)
    family = LocationScale(2, scale=Tied(PointReflection()))
    few = symvi.fit(target, family, symmetry=turns, num_particles=6, starts=start)
    many = symvi.fit(target, family, symmetry=turns, num_particles=6000, starts=start)
    for fit in (few, many):
        matrix = family.matrix(fit.parameters["scale"])
        scatter = matrix @ matrix.mT
        assert fit.converged and float(fit.loc.abs().max()) < 1e-12
        assert abs(float(scatter[0, 1])) < 1e-10 and abs(float(scatter[0, 0] - scatter[1, 1])) < 1e-10
        assert fit.fixed_point_residual < 1e-10
    assert abs(float(scatter[0, 0]) - 0.3048847965) < 2e-3  # 6000 points of a scrambled Sobol set, about 5e-4
