"""Claims made before a fit (`recovery.theorems`): every wrong row of the review's claim table and of its verdict table.

Each test names what must not be proved, shows by quadrature or in closed form why not where that is short, and, where
there is one, the neighbouring statement that does hold. Objectives are in test_wrong_objectives, spheres in
test_wrong_directions.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import integrate

from pyro_symvi.density import LogDensity
from pyro_symvi.distributions.bases import StudentT, UniformBall
from pyro_symvi.divergences import Alpha, ChiSquare, FDivergence, ForwardKL, Hellinger, ReverseKL
from pyro_symvi.families import Fixed, Isotropic, LearnedDf, LocationScale, LowRank
from pyro_symvi.groups import AxisFlips, CoordinatePermutation, FiniteMatrixGroup, NaturalAction, PointReflection
from pyro_symvi.recovery import Verdict, advise, analyze, certify, find_symmetries
from pyro_symvi.recovery.theorems import Decreasing, Growth, Guide, Objective, Setting, Target, guarantees
from pyro_symvi.recovery.theorems.facts_from_analysis import target_of
from tests.recovery.targets import Function, mixture, student_t
from tests.recovery.theorems.settings import (
    FLAT_TOP,
    NO,
    SEMICIRCLE,
    YES,
    ellipse,
    even,
    log_concave,
    strongly,
    symmetric,
    target,
    verdict,
)

EVEN = PointReflection()
LINE, PLANE, SPACE = LocationScale(1, scale="diagonal"), LocationScale(2), LocationScale(3)


def is_not_proved(setting: Setting, *statistics: str) -> None:
    for statistic in statistics or ("mean",):
        assert verdict(setting, statistic) < Verdict.VERIFIED, guarantees(setting)


def bimodal(dim: int = 1) -> Target:
    return target(
        EVEN, dim, positive=YES, second_moment=YES, bounded=YES, log_concave=NO, growth=Growth("polynomial", 2.0)
    )


def plateau(dim: int = 1, **facts: object) -> Target:
    known = {"log_concave": YES, "convex_levels": YES, "positive": NO, "positive_almost_everywhere": NO}
    return target(EVEN, dim, **(known | facts))


def read(function: Function, dim: int) -> Target:
    """What static analysis proves of a density."""
    return target_of(analyze(LogDensity.from_callable(function, dim)))


def test_g_partial_7_7_a_swap_with_a_unique_location_at_the_optimal_scale() -> None:
    """The two ridges: KL .473470 at nu = (1.124, .014) and its mirror image, .673930 at the best symmetric law."""
    swap = replace(bimodal(2), symmetries=symmetric(CoordinatePermutation(2)))
    for guide in (LocationScale(2, scale="diagonal"), PLANE):
        is_not_proved(Setting(swap, guide, ReverseKL()), "contrasts")

    z, w = np.polynomial.hermite_e.hermegauss(200)
    mass = np.outer(w, w) / w.sum() ** 2

    def kl(x: float, y: float, s: float, t: float) -> float:
        a, b = x + s * z[:, None], y + t * z[None, :]
        wide = -0.5 * ((a - 1.5) ** 2 / 36 + b**2)
        tall = -0.5 * (a**2 + (b - 1.5) ** 2 / 36)
        log_p = np.logaddexp(wide, tall) - math.log(2 * 6 * 2 * math.pi)
        return -math.log(s * t) - 1 - math.log(2 * math.pi) - float((mass * log_p).sum())

    assert kl(1.12418, 0.01379, 5.24839, 1.14983) == pytest.approx(0.473470, abs=2e-4)
    assert min(kl(m, m, s, s) for m in np.linspace(0, 1.5, 16) for s in np.linspace(1, 3, 11)) > 0.67


def test_g_connected_holds_for_no_finite_group() -> None:
    """An isolated optimum need not be symmetric: +-2.98 on two modes at +-3."""
    is_not_proved(Setting(bimodal(), LINE, Objective(ReverseKL(), isolated=YES, finite=YES)))


def test_2a_i_a_uniform_target_under_a_uniform_guide() -> None:
    objective = Objective(ReverseKL(), finite=YES, exists=YES)
    for divergence in (ReverseKL(), ChiSquare(reverse=True), Hellinger()):
        is_not_proved(
            Setting(plateau(), LocationScale(1, UniformBall(), "diagonal"), replace(objective, divergence=divergence))
        )


def test_2a_ii_a_flat_top_and_a_narrow_uniform_guide() -> None:
    """log p = -max(|z| - 1, 0), U(nu - .3, nu + .3): the mean of log p is 0 for every |nu| <= .7."""
    flat = log_concave(EVEN, 1, convex_levels=YES)
    fixed = LocationScale(1, UniformBall(), Fixed(0.3))
    is_not_proved(Setting(flat, fixed, Objective(ReverseKL(), finite=YES, exists=YES)))
    for nu in (0.0, 0.4, 0.7):
        assert integrate.quad(lambda z: max(abs(z) - 1, 0), nu - 0.3, nu + 0.3)[0] == pytest.approx(0.0, abs=1e-12)


def test_2a_iii_7_2_a_disc_with_a_free_scale() -> None:
    """exp(-max(|z_1| - 5, 0) - |z_2|): the optimal radius is 3 pi / 2 < 5."""
    flat = log_concave(EVEN, 2, convex_levels=YES)
    is_not_proved(Setting(flat, LocationScale(2, UniformBall(), Isotropic()), Objective(ReverseKL(), exists=YES)))


def test_2a_iv_an_improper_target() -> None:
    is_not_proved(Setting(log_concave(EVEN, proper=NO), SPACE, ReverseKL()))
    ridge = read(lambda z: -((z[0] + z[1]) ** 2), 2)
    assert not ridge.proper.is_proved
    is_not_proved(Setting(ridge, PLANE, ReverseKL()), "mean", "correlation", "contrasts")


@pytest.mark.parametrize("divergence", [ForwardKL(), ChiSquare(), Alpha(1.5)], ids=repr)
def test_7_1_strictness_is_not_automatic_above_alpha_one(divergence) -> None:
    """Two discs at +-(10, 10) under a product Laplace law: |x - t| + |y + t| has the same mean for |t| <= 8."""
    gaps = target(EVEN, 2, second_moment=YES, bounded=YES, positive=NO, positive_almost_everywhere=NO, log_concave=NO)
    is_not_proved(Setting(gaps, LocationScale(2, "laplace", "diagonal"), Objective(divergence, finite=YES)))
    generator = torch.Generator().manual_seed(0)
    disc = torch.randn(1000, 2, dtype=torch.float64, generator=generator)
    z = torch.cat([10 + disc / disc.norm(dim=-1, keepdim=True), -10 - disc / disc.norm(dim=-1, keepdim=True)])
    values = [float(((z[:, 0] - t).abs() + (z[:, 1] + t).abs()).exp().mean()) for t in (0.0, 4.0, 8.0)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-12)


def test_2a_a_flat_topped_guide_needs_more_than_mass_near_the_centre() -> None:
    """q0 = exp(-max(|x| - 1, 0)) of unit scale, p = U(-.1, .1): E max(|z - nu| - 1, 0) = 0 for |nu| <= .9."""
    for divergence in (ForwardKL(), ChiSquare()):
        is_not_proved(Setting(plateau(), LocationScale(1, FLAT_TOP, "diagonal"), Objective(divergence, finite=YES)))
    assert integrate.quad(lambda z: max(abs(z - 0.9) - 1, 0), -0.1, 0.1)[0] == 0.0


def test_2a_one_strictly_concave_side_of_bounded_support() -> None:
    """The semicircle on [-1, 1] under U(nu - 5, nu + 5): the affinity is the same for |nu| < 4."""
    arc = plateau(strictly_log_concave=YES)
    is_not_proved(Setting(arc, LocationScale(1, UniformBall(), "diagonal"), Hellinger()))
    is_not_proved(Setting(plateau(), LocationScale(1, SEMICIRCLE, "diagonal"), Hellinger()))
    affinity = [
        integrate.quad(lambda z, nu=nu: (max(1 - z * z, 0)) ** 0.25 * (abs(z - nu) < 5), -1, 1)[0] for nu in (0, 3.9)
    ]
    assert affinity[0] == affinity[1]


def test_u3_gives_no_scale_and_what_moves_the_scale() -> None:
    c, s = -0.5, math.sqrt(0.75)
    turn = NaturalAction(FiniteMatrixGroup.generated_by([torch.tensor([[c, -s], [s, c]], dtype=torch.float64)]))
    is_not_proved(Setting(log_concave(turn, 2), PLANE, Hellinger()), "correlation")
    is_not_proved(Setting(log_concave(AxisFlips()), SPACE, Hellinger()), "correlation")
    is_not_proved(Setting(log_concave(CoordinatePermutation(3)), SPACE, Hellinger()), "contrasts")


def test_u4_is_for_exponential_families_only() -> None:
    guide = LocationScale(3, scale=LowRank(1))
    is_not_proved(Setting(strongly(CoordinatePermutation(3)), guide, ChiSquare()), "contrasts")
    is_not_proved(Setting(target(CoordinatePermutation(3), second_moment=YES), guide, ForwardKL()), "contrasts")


def test_7_13_a_mean_field_normal_guide_has_no_covariances() -> None:
    diagonal = LocationScale(3, scale="diagonal")
    is_not_proved(Setting(target(second_moment=YES), diagonal, ForwardKL()), "covariance", "correlation")
    for divergence in (ForwardKL(), ReverseKL(), Hellinger()):
        correlated = Setting(replace(strongly(second_moment=YES), symmetries=ellipse()), diagonal, divergence)
        assert verdict(correlated, "correlation") is Verdict.REFUTED


@pytest.mark.parametrize("k", [1.05, 1.5, 2.0, 5.0])
def test_7_15_a_multivariate_student_guide_of_diagonal_scale(k: float) -> None:
    is_not_proved(Setting(bimodal(2), LocationScale(2, StudentT(k, spherical=True), "diagonal"), ForwardKL()))


def test_7_16_u5_learned_degrees_of_freedom_that_may_fall_to_one() -> None:
    guide = LocationScale(1, "student_t", "diagonal", df=LearnedDf(3.0, 0.2))
    is_not_proved(Setting(bimodal(), guide, ForwardKL()))
    heavy = even(first_moment=NO, log_moment=NO)
    is_not_proved(Setting(heavy, LocationScale(3, "student_t", df=3.0), ForwardKL()))


def test_e_7_4_parabolas_under_hellinger() -> None:
    """(1 - z^2)_+ against its copy at 3: the supports do not meet, and every gradient is zero."""
    parabola = plateau(strictly_log_concave=YES)
    is_not_proved(Setting(parabola, LocationScale(1, SEMICIRCLE, "diagonal"), Hellinger()))


def test_u_total_variation_is_flat_on_a_plateau() -> None:
    def tv(log_u: torch.Tensor) -> torch.Tensor:
        return (log_u.exp() - 1).abs() / 2

    is_not_proved(Setting(plateau(), LINE, Objective(FDivergence(tv, 0.0), finite=YES)))
    densities = [
        integrate.quad(lambda z, nu=nu: min(0.1, math.exp(-50 * (z - nu) ** 2) / math.sqrt(2 * math.pi * 0.01)), -5, 5)[
            0
        ]
        for nu in (0.0, 2.0)
    ]
    assert densities[0] == pytest.approx(densities[1], abs=1e-6)


def test_c_a_funnel_at_alpha_two() -> None:
    """x | v ~ N(0, e^v) is even and unimodal in x, but chi-square is infinite under a normal guide."""
    funnel = target(PointReflection(coordinates=[1]), 2, coordinates=(Decreasing(1, YES, YES),), second_moment=YES)
    guide = LocationScale(2, scale="diagonal")
    assert verdict(Setting(funnel, guide, Hellinger()), "mean", (1,)) is Verdict.PROVED
    is_not_proved(Setting(funnel, guide, ChiSquare()))
    is_not_proved(Setting(replace(funnel, second_moment=NO), guide, ForwardKL()))


def test_7_24_a_centred_hierarchy_is_not_log_concave() -> None:
    facts = read(lambda z: -0.5 * z[0] ** 2 - 0.5 * (z[1] ** 2 + z[2] ** 2) * (-z[0]).exp() - z[0], 3)
    assert not facts.log_concave.is_proved
    is_not_proved(Setting(facts, SPACE, ReverseKL()))
    told = guarantees(Setting(facts, LocationScale(3, scale="diagonal"), ReverseKL()))
    assert not any((0,) in g.items for g in told if g.statistic == "mean" and g.verdict is Verdict.PROVED)


def test_7_27_n2_a_definite_hessian_at_the_centre() -> None:
    is_not_proved(Setting(bimodal(), LINE, Objective(ReverseKL(), isolated=YES, finite=YES, exists=YES)))


def test_7_31_n5_a_laplace_guide_at_alpha_one() -> None:
    """Uniform on 1 < |z| < 2: E|z - nu| = 3/2 for every |nu| <= 1; at alpha = 2 the optimum is unique."""
    gaps = target(EVEN, 1, second_moment=YES, bounded=YES, positive=NO, positive_almost_everywhere=NO)
    laplace = LocationScale(1, "laplace", "diagonal")
    is_not_proved(Setting(gaps, laplace, ForwardKL()))
    assert verdict(Setting(gaps, laplace, Objective(ChiSquare(), finite=YES)), "mean", (0,)) is Verdict.PROVED
    for nu in (0.0, 0.5, 1.0):
        halves = [integrate.quad(lambda z, nu=nu: abs(z - nu) / 2, *ends)[0] for ends in ((-2, -1), (1, 2))]
        assert sum(halves) == pytest.approx(1.5, abs=1e-12)


CATALOGUE = {
    "N1": (bimodal(), LocationScale(1, scale=Fixed(1.0)), ReverseKL()),
    "N2": (bimodal(), LINE, ReverseKL()),
    "N3 alpha .05": (bimodal(), LINE, Alpha(0.05)),
    "N3 alpha .4": (bimodal(), LINE, Alpha(0.4)),
    "N4 k 3": (bimodal(), LocationScale(1, StudentT(3.0), Fixed(1.0)), ForwardKL()),
    "N4 k 5": (bimodal(), LocationScale(1, StudentT(5.0), Fixed(1.0)), ForwardKL()),
    "N4' k .5": (bimodal(), LocationScale(1, "student_t", "diagonal", df=0.5), ForwardKL()),
    "N4' k 1": (bimodal(), LocationScale(1, "student_t", "diagonal", df=1.0), ForwardKL()),
    "N6": (target(None, 1, second_moment=YES), LocationScale(1, "laplace", "diagonal"), ForwardKL()),
    "N8 chi-square": (even(first_moment=YES), SPACE, ChiSquare()),
    "N8 Neyman": (strongly(EVEN), LocationScale(3, "student_t", "diagonal", df=5.0), ChiSquare(reverse=True)),
    "N9": (log_concave(None, 1), LocationScale(1, "laplace", "diagonal"), ReverseKL()),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_failure_catalogue(name: str) -> None:
    is_not_proved(Setting(*CATALOGUE[name]))


def test_n7_a_ring() -> None:
    def ring(z: torch.Tensor) -> torch.Tensor:
        return -2 * ((z[0] ** 2 + z[1] ** 2).sqrt() - 5) ** 2

    is_not_proved(Setting(read(ring, 2), PLANE, ReverseKL()), "mean", "correlation")


def test_n8_heavy_tails_make_chi_square_infinite() -> None:
    """A normal guide, chi-square, Student-t target: p^2 / q grows without bound; certify and advise refuse."""
    density = LogDensity.from_callable(student_t(3.0), 1)
    z = 30.0
    assert -4 * math.log1p(z**2 / 3) + z**2 / 2 > 100
    advice = advise(density)
    assert not any(row.divergence == ChiSquare() and row.options["base"] != "student_t" for row in advice.rows)


def test_n10_contrasts_of_an_exchangeable_mixture() -> None:
    """m = 2: nu = (1.98, -1.98) or its swap, KL .685; the centred law has log 2 less a little more."""
    law = mixture([0.5, 0.5], [[2.0, -2.0], [-2.0, 2.0]], [1.0, 1.0])
    facts = read(lambda z: law(z[None])[0], 2)
    is_not_proved(Setting(facts, PLANE, ReverseKL()), "contrasts", "mean")


def test_n11_a_law_without_a_mean() -> None:
    told = guarantees(
        Setting(even(log_moment=YES, first_moment=NO), LocationScale(3, "student_t", df=3.0), ForwardKL())
    )
    assert [g.statistic for g in told if g.verdict is Verdict.PROVED] == ["centre"]


def test_section_5_log_concavity_without_its_pack_is_conditional() -> None:
    objective = Objective(ReverseKL(), finite=YES, exists=YES)
    for guide in (LocationScale(1, UniformBall(), "diagonal"),):
        assert verdict(Setting(plateau(), guide, objective), "mean", (0,)) <= Verdict.CONDITIONAL


def test_section_5_products_of_student_laws_have_no_convex_levels() -> None:
    decreasing = even(convex_levels=YES, decreasing=YES, second_moment=YES)
    is_not_proved(Setting(decreasing, LocationScale(3, "student_t", "diagonal", df=3.0), Hellinger()))


@pytest.mark.parametrize("scale", [LowRank(1), "full"], ids=["low rank", "Cholesky, product base"])
def test_section_5_contrasts_of_guides_not_closed_under_permutations(scale) -> None:
    guide = LocationScale(3, "laplace" if scale == "full" else "normal", scale)
    is_not_proved(Setting(strongly(CoordinatePermutation(3)), guide, ReverseKL()), "contrasts")


@pytest.mark.parametrize("name", ["normalising flow", "autoregressive guide", "AutoDelta", "mixture guide"])
def test_section_5_guides_outside_every_family(name: str) -> None:
    for divergence in (ReverseKL(), ForwardKL()):
        is_not_proved(Setting(strongly(EVEN), Guide.other(name, 3), divergence), "mean", "correlation", "contrasts")


def test_4d_a_conditional_centre_that_is_not_affine() -> None:
    facts = read(lambda z: -0.5 * (z[0] - z[1] ** 2) ** 2 - 0.5 * z[1] ** 2, 2)
    is_not_proved(Setting(facts, PLANE, ForwardKL()), "slope")


def test_4b_star_shaped_levels_that_are_not_convex() -> None:
    """A cross of two ridges is unimodal along every ray and has no convex levels: nothing is proved of a full guide."""

    def cross(z: torch.Tensor) -> torch.Tensor:
        return torch.logaddexp(-0.5 * (z[0] ** 2 / 100 + z[1] ** 2), -0.5 * (z[0] ** 2 + z[1] ** 2 / 100))

    is_not_proved(Setting(read(cross, 2), PLANE, ReverseKL()))


def test_7_28_a_cyclic_shift_that_nearly_holds() -> None:
    """Weights exp(-j / 10) on a cycle of 200: total variation .0952, although (e^.1 - 1) / 2 + eta = .0526.

    So small residuals of a shift say less than those of a reflection: no contrast of a nearly cyclic target is given.
    """
    p = np.exp(-0.1 * np.arange(200))
    p /= p.sum()
    total_variation = 0.5 * np.abs(p - np.roll(p, -1)).sum()
    assert total_variation == pytest.approx(0.09516, abs=1e-5)
    assert total_variation > math.expm1(0.1) / 2 + p[-1]

    def log_p(z: torch.Tensor) -> torch.Tensor:
        x, y, w = z.unbind(-1)
        return -0.5 * z.square().sum(-1) + torch.tanh(x * y**2 + y * w**2 + w * x**2) + 0.01 * torch.tanh(x)

    density = LogDensity.from_callable(log_p, 3)
    assert find_symmetries(density).found == ()
    report = certify(density, statistics="contrast", numerics=True)["contrast"]
    assert all(entry.verdict < Verdict.VERIFIED for entry in report.entries)
