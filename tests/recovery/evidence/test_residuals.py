"""Residual tests: rounding levels, verdicts, witnesses, reach."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.groups import EllipticalRotation, PointReflection
from pyro_symvi.recovery import Evidence
from pyro_symvi.recovery.evidence.residuals import RESOLUTION, Scale, noise_level, residual_test, rounding_level, whiten
from tests.recovery.targets import normal, skew_normal, student_t, truncated_normal, vector


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def unit(dim: int) -> Scale:
    return Scale(torch.zeros(dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64))


def reflection(dim: int, *center: float) -> PointReflection:
    return PointReflection().bind(dim, center=vector(*(center or (0.0,) * dim)))


def test_whitening_undoes_the_scale() -> None:
    root = torch.tensor([[2.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
    x = torch.randn(5, 2, dtype=torch.float64, generator=generator())
    torch.testing.assert_close(whiten(Scale(vector(0, 0), root), x @ root.mT), x)


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e7])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_the_rounding_level_covers_the_true_rounding_error(shift: float, offset: float) -> None:
    """Against the same sum in exact rational arithmetic; and it is no more than 200 times what is there."""
    from fractions import Fraction

    def log_p(z: torch.Tensor) -> torch.Tensor:
        return -0.5 * (z - shift / 3).square().sum(-1) + offset

    density = LogDensity.from_callable(log_p, 2)
    z = shift / 3 + torch.randn(64, 2, dtype=torch.float64, generator=generator())
    values, gradients = density.value_and_grad(z)
    level = rounding_level(density, z, values, gradients, generator())
    third = Fraction(shift / 3)
    for row, value, bound in zip(z.tolist(), values.tolist(), level.tolist(), strict=True):
        exact = -sum((Fraction(x) - third) ** 2 for x in row) / 2 + Fraction(offset)
        assert abs(Fraction(value) - exact) <= Fraction(bound)
    assert float(level.median()) < 400 * 2.0**-52 * (abs(offset) + 10 + 4 * shift)


def test_noise_is_measured_where_moving_by_units_in_the_last_place_shows_nothing() -> None:
    step = 2.0**-16

    def coarse(z: torch.Tensor) -> torch.Tensor:
        value = -0.5 * z.square().sum(-1)
        return value + ((value / step).round() * step - value).detach()

    density = LogDensity.from_callable(normal, 2)
    z = torch.randn(96, 2, dtype=torch.float64, generator=generator())
    g = torch.full((96, 1), -1.0, dtype=torch.float64)
    action = reflection(2, 0.1, 0.0)
    assert noise_level(density, action, unit(2), g, z, generator()) < 1e-13
    smooth = density.value_and_grad

    class Coarse:
        @staticmethod
        def value_and_grad(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return coarse(points), smooth(points)[1]

    level = noise_level(Coarse, action, unit(2), g, z, generator())  # type: ignore[arg-type]
    assert step / 4 < level < 16 * step


def test_an_even_density_is_verified_and_says_where() -> None:
    density = LogDensity.from_callable(normal, 3)
    test = residual_test(density, reflection(3), unit(3), generator=generator())
    assert test.evidence is Evidence.VERIFIED
    assert test.largest <= RESOLUTION
    assert test.points >= 500
    assert test.reach > 100
    assert len(test.distances) == len(test.residuals) == test.points
    premise = test.premise("invariance", "reflection of (z)")
    assert f"{test.points} points" in premise.statement
    assert "narrow or far mode" in premise.statement


@pytest.mark.parametrize("offset", [1e-7, 1e-3, 1.0])
def test_a_displaced_centre_is_refuted(offset: float) -> None:
    """r(z) = 2 offset z about the wrong centre."""
    density = LogDensity.from_callable(normal, 1)
    test = residual_test(density, reflection(1, offset), unit(1), generator=generator())
    assert test.evidence is Evidence.REFUTED
    witness = test.witness
    assert witness is not None
    image = 2 * offset - witness
    assert float(density(image) - density(witness)) == pytest.approx(test.witness_residual, rel=1e-6)


def test_skewness_is_refuted_at_a_point_anyone_can_check() -> None:
    density = LogDensity.from_callable(skew_normal(1.0), 1)
    test = residual_test(density, reflection(1, 0.5), unit(1), generator=generator())
    assert test.evidence is Evidence.REFUTED
    assert abs(test.witness_residual) > 1e-12
    assert "at the witness" in test.premise("invariance", "reflection of (z)").statement


def test_a_one_sided_support_is_a_witness() -> None:
    density = LogDensity.from_callable(truncated_normal(-3.0), 1)
    test = residual_test(density, reflection(1), unit(1), generator=generator())
    assert test.evidence is Evidence.REFUTED
    assert abs(test.witness_residual) == 1e300


def test_an_overflow_far_out_is_no_witness() -> None:
    """log(1 + e^-z) written naively is infinite on one side beyond 709."""
    density = LogDensity.from_callable(lambda z: (-z - 2 * torch.log(1 + torch.exp(-z))).sum(-1), 1)
    test = residual_test(density, reflection(1), unit(1), generator=generator())
    assert test.evidence is Evidence.VERIFIED


@pytest.mark.parametrize(
    ("log_p", "words"),
    [
        (lambda z: normal(z) + 1e12, "rounding hides residuals"),
        (lambda z: torch.where(z[..., 0] > -3, normal(z), torch.nan), "on one side only"),
    ],
)
def test_what_is_not_decided_says_why(log_p, words: str) -> None:
    density = LogDensity.from_callable(log_p, 1)
    test = residual_test(density, reflection(1), unit(1), generator=generator())
    assert test.evidence is Evidence.UNKNOWN
    assert words in test.doubt
    assert words in test.premise("invariance", "reflection of (z)").statement


def test_rotations_of_an_elliptical_law() -> None:
    shape = torch.tensor([[2.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
    precision = torch.linalg.inv(shape)
    tail = student_t(6.0, 2)
    root = torch.linalg.cholesky(precision)
    density = LogDensity.from_callable(lambda z: tail(z @ root), 2)
    scale = Scale(vector(0, 0), torch.linalg.cholesky(shape))
    right = EllipticalRotation().bind(2, center=vector(0, 0), shape=shape)
    wrong = EllipticalRotation().bind(2, center=vector(0, 0), shape=shape + 1e-4 * torch.eye(2))
    assert residual_test(density, right, scale, generator=generator()).evidence is Evidence.VERIFIED
    assert residual_test(density, wrong, scale, generator=generator()).evidence is Evidence.REFUTED


def test_screened_draws_find_what_random_points_miss() -> None:
    """A step on a narrow stretch: about five of 8192 draws fall there."""

    def log_p(z: torch.Tensor) -> torch.Tensor:
        return normal(z) + torch.where((z[..., 0] > 2.31) & (z[..., 0] < 2.33), 0.5, 0.0)

    density = LogDensity.from_callable(log_p, 1)
    draws = torch.randn(8192, 1, dtype=torch.float64, generator=generator())
    test = residual_test(density, reflection(1), unit(1), draws=draws, log_p=density(draws), generator=generator())
    assert test.evidence is Evidence.REFUTED
    assert abs(test.witness_residual) == pytest.approx(0.5)
    assert test.screened == 8192


def test_the_same_generator_gives_the_same_test() -> None:
    density = LogDensity.from_callable(student_t(3.0), 1)
    first, second = (residual_test(density, reflection(1), unit(1), generator=generator()) for _ in range(2))
    assert first.largest == second.largest
    assert torch.equal(first.distances, second.distances)
    assert not math.isnan(first.largest)


def correlated_effects(groups: int, size: int) -> None:
    zero, one = torch.zeros(size, dtype=torch.float64), torch.ones(size, dtype=torch.float64)
    factor = pyro.sample("factor", dist.LKJCholesky(size, 2 * one[0]))
    tau = pyro.sample("tau", dist.HalfCauchy(one).to_event(1))
    with pyro.plate("groups", groups):
        pyro.sample("effect", dist.MultivariateNormal(zero, scale_tril=tau[:, None] * factor))


def test_effects_under_an_lkj_prior_are_not_refuted() -> None:
    """36 coordinates, of which 30 are even given a Cholesky factor and scales: a long graph of transforms."""
    density = LogDensity.from_model(correlated_effects, 10, 3)
    moved = list(range(density.dim)[density.slices["effect"]])
    action = PointReflection(coordinates=moved).bind(density.dim, center=torch.zeros(30, dtype=torch.float64))
    for seed in range(4):
        seeded = torch.Generator().manual_seed(seed)
        center = torch.randn(density.dim, dtype=torch.float64, generator=seeded)
        center[moved] = 0.0
        scale = Scale(center, 0.5 * torch.eye(density.dim, dtype=torch.float64))
        found = residual_test(density, action, scale, generator=seeded)
        assert found.evidence is not Evidence.REFUTED
        assert found.largest <= RESOLUTION
    off = PointReflection(coordinates=moved).bind(density.dim, center=torch.full((30,), 1e-4, dtype=torch.float64))
    assert residual_test(density, off, scale, generator=seeded).evidence is Evidence.REFUTED
