"""Quadrature, draws, residuals and bounds on spheres against closed forms and independent sums."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate

from pyro_symvi.recovery import Evidence, SphereDensity
from pyro_symvi.recovery.sphere import axes
from pyro_symvi.recovery.sphere.bound import angle_bound
from pyro_symvi.recovery.sphere.density import random_directions, tangent
from pyro_symvi.recovery.sphere.moments import SphereMoments, sphere_moments
from pyro_symvi.recovery.sphere.peaks import Peaks, find_peaks
from pyro_symvi.recovery.sphere.residuals import sphere_test
from pyro_symvi.special import bessel_ratio
from tests.recovery.sphere.targets import E1, E3, Function, flipped, small_circle, unit


def seen(function: Function, dim: int, zonal: torch.Tensor | None = None) -> tuple[SphereDensity, Peaks, SphereMoments]:
    density, generator = SphereDensity.from_callable(function, dim), torch.Generator().manual_seed(3)
    peaks = find_peaks(density, generator)
    return density, peaks, sphere_moments(density, peaks, zonal_axis=zonal, generator=generator)


@pytest.mark.parametrize("kappa", [0.0, 2.0, 300.0, 1e5])
@pytest.mark.parametrize("dim", [2, 3])
def test_quadrature_has_the_mean_of_a_von_mises_fisher_law(dim: int, kappa: float) -> None:
    a = random_directions(1, dim, torch.Generator().manual_seed(dim))[0]
    _, _, moments = seen(lambda x: kappa * (x @ a), dim)
    wanted = float(bessel_ratio(dim, torch.tensor(kappa, dtype=torch.float64)))
    assert moments.numerical and moments.reliable
    assert torch.allclose(moments.mean, wanted * a, atol=1e-10)
    across = (1 - float(moments.mean_of((moments.x @ a).square())[0])) / (dim - 1)
    spread = moments.second - (moments.second @ a)[:, None] * a  # the part across a, a multiple of the projection
    assert torch.allclose(spread, across * (torch.eye(dim, dtype=torch.float64) - torch.outer(a, a)), atol=1e-10)


def test_two_narrow_maxima_are_both_seen() -> None:
    """Widths of 1e-3 rad, equal masses: no node of the first grid is near either."""
    a, b = unit(0.6, 0.0, 0.8), unit(0.0, -0.6, 0.8)
    _, _, moments = seen(lambda x: torch.logaddexp(1e6 * (x @ a - 1), 1e6 * (x @ b - 1)), 3)
    assert torch.allclose(moments.mean, (a + b) / 2 * (1 - 1e-6), atol=1e-9)


@pytest.mark.parametrize("dim", [3, 5, 12])
def test_zonal_rules_meet_jumps(dim: int) -> None:
    """A step at t = 0.3 in every dimension, against scipy's one-dimensional quadrature."""
    a = torch.zeros(dim, dtype=torch.float64)
    a[-1] = 1.0
    _, _, moments = seen(lambda x: torch.where(x[..., -1] > 0.3, 1.0, 0.0), dim, a)

    def weighted(t: float, power: int) -> float:
        return t**power * (1 - t * t) ** ((dim - 3) / 2) * (math.e if t > 0.3 else 1.0)

    total, mean = (sum(integrate.quad(weighted, *side, args=(m,))[0] for side in ((-1, 0.3), (0.3, 1))) for m in (0, 1))
    assert moments.reliable and float(moments.mean @ a) == pytest.approx(mean / total, abs=1e-9)


def test_the_flipped_target_has_the_published_mean() -> None:
    """1c.2: E t = .2019322."""
    _, _, moments = seen(flipped, 3, E3)
    assert float(moments.mean @ E3) == pytest.approx(0.2019322, abs=1e-7)
    escort = moments.mean_of(moments.x, 1.5)[0]
    assert float(escort @ E3) < -0.05 < 0.05 < float(moments.mean_of(moments.x, 1.2)[0] @ E3) + 0.05


def test_draws_above_three_dimensions_agree_within_their_error() -> None:
    """Three standard errors, seed fixed: the mean of a von Mises-Fisher law on S^5."""
    a = random_directions(1, 6, torch.Generator().manual_seed(5))[0]
    _, _, moments = seen(lambda x: 8.0 * (x @ a), 6)
    mean, error = moments.mean_of(moments.x)
    wanted = bessel_ratio(6, torch.tensor(8.0, dtype=torch.float64)) * a
    assert not moments.numerical and moments.reliable
    assert bool(((mean - wanted).abs() <= error).all()) and float(error.max()) < 0.03


ASYMMETRIC: list[Function] = [
    lambda x: 3 * x[..., 2] + 0.4 * x[..., 0] ** 3 + x[..., 1] * x[..., 0] ** 2,
    lambda x: 20 * x[..., 2] + 2 * x[..., 0] - x[..., 0] * x[..., 1],
    lambda x: torch.logaddexp(4 * x[..., 2], 4 * (0.6 * x[..., 0] + 0.8 * x[..., 2]) + 0.5),
]


@pytest.mark.parametrize("index", range(len(ASYMMETRIC)))
def test_the_angle_bound_holds_and_is_withheld_where_it_must_be(index: int) -> None:
    """Against the angle by quadrature, about the pole and about wrong directions."""
    density, _, moments = seen(ASYMMETRIC[index], 3)
    mean = moments.mean
    for a in (E3, unit(0.1, 0.0, 1.0), unit(-0.2, 0.3, 1.0)):
        bound = angle_bound(density, moments, a)
        truth = math.atan2(float(tangent(a, mean).norm()), float(mean @ a))
        assert bound.refusal or bound.angle >= truth
        assert bound.estimate == pytest.approx(truth, abs=1e-9)
    assert "not separated from zero" in angle_bound(density, moments, -E3).refusal


def test_the_angle_bound_is_zero_under_exact_symmetry() -> None:
    density, _, moments = seen(small_circle(0.5, 10.0), 3)
    assert angle_bound(density, moments, E3).angle < 1e-6


def outcome(function: Function, symmetry: axes.SphereSymmetry) -> tuple[Evidence, float]:
    density, generator = SphereDensity.from_callable(function, 3), torch.Generator().manual_seed(3)
    test = sphere_test(density, symmetry, find_peaks(density, generator), generator)
    if test.witness is not None:
        image = symmetry.matrices @ test.witness
        image = image / image.norm(dim=-1, keepdim=True)
        again = (density(image) - density(test.witness)).clamp(-1e300, 1e300)
        assert float((again - test.witness_residual).abs().min()) < 1e-9  # the witness can be checked
    return test.evidence, test.largest


def bump(height: float, width: float) -> Function:
    where = unit(1.0, -0.5, 0.2)
    return lambda x: 2 * x[..., 2] + height * torch.exp((x @ where - 1) / width**2)


@pytest.mark.parametrize(
    ("function", "evidence"),
    [
        (lambda x: 2 * x[..., 2], Evidence.VERIFIED),
        (lambda x: 2 * x[..., 2] + 1e-7 * x[..., 0], Evidence.REFUTED),
        (lambda x: 4e3 * x[..., 2], Evidence.VERIFIED),
        (lambda x: 2 * x[..., 2] + x[..., 0] * x[..., 1], Evidence.VERIFIED),  # even under the half-turn
        (bump(1e-3, 0.3), Evidence.REFUTED),
        (bump(1e-3, 0.05), Evidence.REFUTED),
        (lambda x: torch.where(x[..., 0] > 0.2, -torch.inf, 2 * x[..., 2]), Evidence.REFUTED),
        (lambda x: torch.where(x[..., 2] < 0.2, -torch.inf, 2 * x[..., 2]), Evidence.VERIFIED),
    ],
)
def test_residuals_of_the_half_turn(function: Function, evidence: Evidence) -> None:
    assert outcome(function, axes.half_turn(E3))[0] is evidence


def test_rotations_ask_for_more_than_the_half_turn() -> None:
    def even(x: torch.Tensor) -> torch.Tensor:
        return 2 * x[..., 2] + x[..., 0] * x[..., 1]

    assert outcome(even, axes.half_turn(E3))[0] is Evidence.VERIFIED
    assert outcome(even, axes.rotations(E3, torch.Generator().manual_seed(0)))[0] is Evidence.REFUTED


def test_float32_inside_says_nothing() -> None:
    def low(x: torch.Tensor) -> torch.Tensor:
        return (300 * (x[..., 2] - 0.2) ** 2).to(torch.float32).double()

    density, generator = SphereDensity.from_callable(low, 3), torch.Generator().manual_seed(3)
    test = sphere_test(density, axes.half_turn(E3), find_peaks(density, generator), generator)
    assert test.evidence is not Evidence.VERIFIED or test.largest <= 2e-6


def test_an_axis_is_found_to_the_last_digits_from_a_rough_start() -> None:
    a = unit(0.48, -0.64, 0.6)
    density = SphereDensity.from_callable(lambda x: -8 * (x @ a - 0.4) ** 2, 3)
    peaks = find_peaks(density, torch.Generator().manual_seed(3))
    found = axes.refined_axis(density, unit(*(a + 0.05 * E1).tolist()), peaks)
    assert float(tangent(a, found).norm()) < 1e-13
