"""What must not be proved a priori: every wrong claim and adversarial case of the theory review, by name.

Each setting states what is *true* of target, guide and objective; the numbers that show the failure are recomputed in
tests/divergences/test_golden_*.py and test_golden_counterexamples.py.
"""

import math
from dataclasses import replace

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.distributions.bases import StudentT, UniformBall
from pyro_symvi.divergences import Alpha, ChiSquare, FDivergence, ForwardKL, Hellinger, ReverseKL
from pyro_symvi.families import Diagonal, Fixed, Isotropic, LearnedDf, LocationScale, LowRank, VonMisesFisherFamily
from pyro_symvi.groups import (
    Antipodal,
    AxialRotation,
    AxisFlips,
    ConditionalReflection,
    CoordinatePermutation,
    EllipticalRotation,
    FiniteMatrixGroup,
    NaturalAction,
    PointReflection,
)
from pyro_symvi.recovery import Verdict, advise, analyze
from pyro_symvi.recovery.theorems import Decreasing, Growth, Objective, Setting, Symmetry, Target, guarantees
from pyro_symvi.recovery.theorems.facts_from_analysis import target_of
from tests.recovery.theorems.settings import (
    FLAT_TOP,
    NO,
    SEMICIRCLE,
    SHAPE,
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
LINE, PLANE = LocationScale(1, scale="diagonal"), LocationScale(2)
NORMAL = LocationScale(3)


def is_not_proved(setting: Setting, statistic: str = "mean") -> None:
    """Neither this statistic nor any other under the same name."""
    assert verdict(setting, statistic) < Verdict.VERIFIED, guarantees(setting)


def bimodal(dim: int = 1) -> Target:
    """Two separated modes: even, all moments, positive, not log-concave, not unimodal."""
    return target(
        EVEN, dim, positive=YES, second_moment=YES, bounded=YES, log_concave=NO, strictly_log_concave=NO,
        strongly_log_concave=NO, convex_levels=NO, decreasing=NO, growth=Growth("polynomial", 2.0),
    )  # fmt: skip


def gaps(dim: int = 1) -> Target:
    """Uniform on two separated sets: even, with gaps."""
    return target(EVEN, dim, second_moment=YES, bounded=YES, positive=NO, positive_almost_everywhere=NO, log_concave=NO)


def plateau(dim: int = 1) -> Target:
    """Uniform on an interval: even and log-concave, on a bounded support."""
    return target(EVEN, dim, log_concave=YES, convex_levels=YES, positive=NO, positive_almost_everywhere=NO)


# -- two modes ---------------------------------------------------------------------------------------------------------


def test_n1_two_modes_under_reverse_kl_at_a_fixed_scale() -> None:
    is_not_proved(Setting(bimodal(), LocationScale(1, scale=Fixed(1.0)), ReverseKL()))


def test_n2_two_modes_under_reverse_kl() -> None:
    is_not_proved(Setting(bimodal(), LINE, ReverseKL()))


def test_n2_a_definite_hessian_at_the_centre_is_no_certificate() -> None:
    is_not_proved(Setting(bimodal(), LINE, Objective(ReverseKL(), isolated=YES)))


@pytest.mark.parametrize("alpha", [0.05, 0.4])
def test_n3_two_modes_at_a_small_order(alpha: float) -> None:
    is_not_proved(Setting(bimodal(), LINE, Alpha(alpha)))


@pytest.mark.parametrize("k", [3.0, 5.0])
def test_n4_a_student_guide_of_fixed_scale(k: float) -> None:
    is_not_proved(Setting(bimodal(), LocationScale(1, StudentT(k), Fixed(1.0)), ForwardKL()))


@pytest.mark.parametrize("k", [0.2, 0.5, 1.0])
def test_n4_a_student_guide_of_few_degrees_of_freedom(k: float) -> None:
    is_not_proved(Setting(bimodal(), LocationScale(1, "student_t", "diagonal", df=k), ForwardKL()))


@pytest.mark.parametrize("k", [1.05, 1.5, 5.0])
def test_15_a_multivariate_student_guide_of_diagonal_scale(k: float) -> None:
    guide = LocationScale(2, StudentT(k, spherical=True), Diagonal())
    is_not_proved(Setting(bimodal(2), guide, ForwardKL()))


def test_16_learned_degrees_of_freedom_without_a_floor() -> None:
    guide = LocationScale(1, "student_t", "diagonal", df=LearnedDf(3.0, 0.2))
    is_not_proved(Setting(bimodal(), guide, ForwardKL()))


def test_n10_an_exchangeable_mixture_under_reverse_kl() -> None:
    is_not_proved(
        Setting(replace(bimodal(2), symmetries=symmetric(CoordinatePermutation(2))), PLANE, ReverseKL()), "contrasts"
    )


def test_7_swap_symmetry_with_a_unique_location_at_the_optimal_scale() -> None:
    swap = replace(bimodal(2), symmetries=symmetric(CoordinatePermutation(2)))
    is_not_proved(Setting(swap, LocationScale(2, scale="diagonal"), ReverseKL()), "contrasts")


# -- plateaus ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("divergence", [ReverseKL(), Hellinger(), ChiSquare(reverse=True)], ids=repr)
def test_a_uniform_target_under_a_uniform_guide(divergence) -> None:
    objective = Objective(divergence, finite=YES, exists=YES)
    is_not_proved(Setting(plateau(), LocationScale(1, UniformBall(), "diagonal"), objective))


def test_a_flat_topped_target_under_a_uniform_guide() -> None:
    """Log-concave and positive everywhere: the base has to be positive, too."""
    flat = log_concave(EVEN, 1, convex_levels=YES)
    objective = Objective(ReverseKL(), finite=YES, exists=YES)
    is_not_proved(Setting(flat, LocationScale(1, UniformBall(), "diagonal"), objective))


def test_2_a_disc_guide_with_a_free_scale() -> None:
    objective = Objective(ReverseKL(), finite=YES, exists=YES)
    is_not_proved(Setting(log_concave(EVEN, 2), LocationScale(2, UniformBall(), Isotropic()), objective))


def test_an_improper_target() -> None:
    is_not_proved(Setting(log_concave(EVEN, proper=NO), NORMAL, ReverseKL()))


@pytest.mark.parametrize("divergence", [ForwardKL(), ChiSquare(), Alpha(1.5)], ids=repr)
def test_1_two_discs_under_a_product_laplace_guide(divergence) -> None:
    objective = Objective(divergence, finite=YES)
    is_not_proved(Setting(gaps(2), LocationScale(2, "laplace", "diagonal"), objective))


@pytest.mark.parametrize("divergence", [ForwardKL(), ChiSquare()], ids=repr)
def test_a_flat_topped_guide_on_a_narrow_target(divergence) -> None:
    is_not_proved(Setting(plateau(), LocationScale(1, FLAT_TOP, "diagonal"), Objective(divergence, finite=YES)))


def test_31_a_laplace_guide_in_one_dimension_under_forward_kl() -> None:
    is_not_proved(Setting(gaps(), LocationScale(1, "laplace", "diagonal"), ForwardKL()))


def test_31_the_same_guide_at_alpha_two_is_fine() -> None:
    setting = Setting(gaps(), LocationScale(1, "laplace", "diagonal"), Objective(ChiSquare(), finite=YES))
    assert verdict(setting, "mean", (0,)) is Verdict.PROVED


def test_a_strictly_log_concave_pair_of_bounded_support_at_one_half() -> None:
    semicircle = plateau()
    setting = Setting(
        replace(semicircle, strictly_log_concave=YES), LocationScale(1, UniformBall(), "diagonal"), Hellinger()
    )
    is_not_proved(setting)
    is_not_proved(Setting(plateau(), LocationScale(1, SEMICIRCLE, "diagonal"), Hellinger()))


def test_4_parabolas_under_hellinger_far_apart() -> None:
    """Gradient zero wherever supports do not meet: 'every stationary point' fails."""
    parabola = replace(plateau(), symmetries=(Symmetry(EVEN, YES, profile=YES),), strictly_log_concave=YES)
    is_not_proved(Setting(parabola, LocationScale(1, SEMICIRCLE, "diagonal"), Hellinger()))


def test_total_variation_on_a_plateau() -> None:
    def tv(log_u: torch.Tensor) -> torch.Tensor:
        return (log_u.exp() - 1).abs() / 2

    is_not_proved(Setting(plateau(), LINE, Objective(FDivergence(tv, 0.0), finite=YES)))


# -- what log-concavity and moments do not give ------------------------------------------------------------------------


def test_u3_says_nothing_of_the_scale() -> None:
    c, s = -0.5, math.sqrt(0.75)
    turn = FiniteMatrixGroup.generated_by([torch.tensor([[c, -s], [s, c]], dtype=torch.float64)])
    is_not_proved(Setting(log_concave(NaturalAction(turn), 2), PLANE, Hellinger()), "correlation")
    is_not_proved(Setting(log_concave(AxisFlips()), NORMAL, Hellinger()), "correlation")
    is_not_proved(Setting(log_concave(CoordinatePermutation(3)), NORMAL, Hellinger()), "contrasts")
    is_not_proved(Setting(log_concave(PointReflection(coordinates=[1])), NORMAL, Hellinger()))


def test_13_a_mean_field_guide_has_no_covariances() -> None:
    setting = Setting(target(second_moment=YES), LocationScale(3, scale="diagonal"), ForwardKL())
    for statistic in ("covariance", "correlation"):
        is_not_proved(setting, statistic)
    correlated = replace(setting, target=replace(target(second_moment=YES), symmetries=ellipse()))
    assert verdict(correlated, "correlation") is Verdict.REFUTED


def test_low_rank_normal_guides_are_no_exponential_family() -> None:
    guide = LocationScale(3, scale=LowRank(1))
    is_not_proved(Setting(strongly(CoordinatePermutation(3)), guide, ChiSquare()), "contrasts")
    is_not_proved(Setting(target(CoordinatePermutation(3), second_moment=YES), guide, ForwardKL()), "contrasts")


def test_n6_laplace_guides_find_medians() -> None:
    is_not_proved(Setting(target(second_moment=YES), LocationScale(3, "laplace", "diagonal"), ForwardKL()))


def test_n7_a_ring_is_elliptical_and_not_unimodal() -> None:
    ring = target(None, 2, positive=YES, second_moment=YES, log_concave=NO, growth=Growth("polynomial", 2.0))
    round_ring = replace(ring, symmetries=symmetric(EllipticalRotation(shape=torch.eye(2).double()), profile=NO))
    for statistic in ("mean", "correlation"):
        is_not_proved(Setting(round_ring, PLANE, ReverseKL()), statistic)


def test_n8_heavy_tails_make_chi_square_infinite() -> None:
    advice = advise(LogDensity.from_callable(lambda z: -2 * torch.log1p(z[0] ** 2 / 3), 1))
    assert not any(r.divergence == ChiSquare() and r.options["base"] != "student_t" for r in advice.rows)
    is_not_proved(Setting(even(first_moment=YES), NORMAL, ChiSquare()))


def test_n11_a_law_without_a_mean() -> None:
    cauchy = even(log_moment=YES, first_moment=NO)
    told = guarantees(Setting(cauchy, LocationScale(3, "student_t", df=3.0), ForwardKL()))
    assert [g.statistic for g in told if g.verdict is Verdict.PROVED] == ["centre"]


def test_neyman_divergence_of_a_student_guide_is_infinite() -> None:
    is_not_proved(Setting(strongly(EVEN), LocationScale(3, "student_t", "diagonal", df=5.0), ChiSquare(reverse=True)))


def test_product_student_guides_have_no_convex_levels() -> None:
    decreasing = even(convex_levels=YES, decreasing=YES, second_moment=YES)
    is_not_proved(Setting(decreasing, LocationScale(3, "student_t", "diagonal", df=3.0), Hellinger()))


def test_a_funnel_at_alpha_two_is_not_finite() -> None:
    """x | v ~ N(0, e^v): coordinatewise unimodal, but the chi-square is infinite for a normal guide."""
    funnel = target(PointReflection(coordinates=[1]), 2, coordinates=(Decreasing(1, YES, YES),), second_moment=YES)
    guide = LocationScale(2, scale="diagonal")
    assert verdict(Setting(funnel, guide, Hellinger()), "mean", (1,)) is Verdict.PROVED
    is_not_proved(Setting(funnel, guide, ChiSquare()))
    is_not_proved(Setting(replace(funnel, second_moment=NO), guide, ForwardKL()))


def test_24_a_centred_hierarchy_is_not_log_concave() -> None:
    """Every factor is log-concave in its own argument; the model is not. Its even coordinates are still recovered."""

    def funnel(z: torch.Tensor) -> torch.Tensor:
        return -0.5 * z[0] ** 2 - 0.5 * (z[1] ** 2 + z[2] ** 2) * (-z[0]).exp() - z[0]

    facts = target_of(analyze(LogDensity.from_callable(funnel, 3)))
    assert not facts.log_concave.is_proved
    told = guarantees(Setting(facts, LocationScale(3, scale="diagonal"), ReverseKL()))
    proved = {i for g in told if g.statistic == "mean" and g.verdict is Verdict.PROVED for (i,) in g.items}
    assert proved <= {1, 2}
    is_not_proved(Setting(facts, NORMAL, ReverseKL()))


def test_a_centre_that_is_not_affine_in_the_rest_gives_no_slope() -> None:
    def bent(z: torch.Tensor) -> torch.Tensor:
        return -0.5 * (z[0] - z[1] ** 2) ** 2 - 0.5 * z[1] ** 2

    facts = target_of(analyze(LogDensity.from_callable(bent, 2)))
    assert not any(isinstance(s.action, ConditionalReflection) for s in facts.symmetries)
    assert not [g for g in guarantees(Setting(facts, PLANE, ForwardKL())) if g.statistic == "slope"]


# -- objectives --------------------------------------------------------------------------------------------------------


def test_8_an_antithetic_pair_inside_an_importance_tuple() -> None:
    coupled = Objective.renyi_elbo(0.0, 2, independent=False, tuple_law=YES)
    is_not_proved(Setting(strongly(EVEN), NORMAL, coupled))


@pytest.mark.parametrize("a", [-1.0, -0.5])
def test_9_renyi_elbo_of_negative_order(a: float) -> None:
    for statistic in ("mean", "correlation"):
        is_not_proved(Setting(strongly(EVEN), NORMAL, Objective.renyi_elbo(a, 8)), statistic)


def test_10_a_renyi_divergence_of_negative_order() -> None:
    is_not_proved(Setting(strongly(EVEN), NORMAL, Objective.renyi_divergence(-1.0)))
    assert verdict(Setting(strongly(EVEN), NORMAL, Alpha(-0.2)), "mean", (0,)) is Verdict.PROVED


def test_32_a_bounded_target_under_a_normal_guide_with_finite_tuples() -> None:
    is_not_proved(Setting(plateau(3), NORMAL, Objective.renyi_elbo(0.0, 5)))
    assert verdict(Setting(plateau(3), NORMAL, Alpha(0.5)), "mean", (0,)) is Verdict.PROVED  # the divergence itself


def test_33_a_lattice_tuple_that_is_not_closed_under_negation() -> None:
    skew = Objective(Alpha(-1.0), "tuples", 3, independent=False, finite=YES)
    is_not_proved(Setting(strongly(EVEN), NORMAL, skew))
    closed = replace(skew, tuple_law=YES)
    assert verdict(Setting(strongly(EVEN), NORMAL, closed), "mean", (0,)) is Verdict.PROVED


def test_finite_tuples_and_contrasts_below_alpha_one() -> None:
    isotropic = LocationScale(3, scale=Isotropic())
    tuples = Objective(Hellinger(), "tuples", 2, finite=YES)
    is_not_proved(Setting(log_concave(CoordinatePermutation(3)), isotropic, tuples), "contrasts")


# -- the sphere --------------------------------------------------------------------------------------------------------


VMF = VonMisesFisherFamily(3)
AXIS = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


def on_sphere(action, **facts) -> Target:
    return target(action, 3, on_sphere=True, **({"positive": YES, "bounded": YES} | facts))


def test_1c1_and_14_a_bipolar_target_has_no_direction() -> None:
    bipolar = replace(on_sphere(Antipodal(3)), symmetries=(*symmetric(Antipodal(3)), *symmetric(AxialRotation(AXIS))))
    for divergence in (ReverseKL(), ForwardKL(), ChiSquare()):
        assert verdict(Setting(bipolar, VMF, divergence), "direction") is Verdict.REFUTED
    is_not_proved(Setting(bipolar, VMF, ReverseKL()), "axis")


@pytest.mark.parametrize("divergence", [Alpha(1.5), ChiSquare(), ReverseKL(), Hellinger()], ids=repr)
def test_1c2_the_sign_is_not_that_of_the_mean(divergence) -> None:
    is_not_proved(Setting(on_sphere(AxialRotation(AXIS)), VMF, divergence), "direction")


def test_1c3_a_small_circle_under_reverse_kl() -> None:
    is_not_proved(Setting(on_sphere(AxialRotation(AXIS)), VMF, ReverseKL()), "axis")


def test_1c4_in_the_plane_rotations_about_an_axis_are_trivial() -> None:
    flat = target(AxialRotation(torch.tensor([1.0, 0.0])), 2, on_sphere=True, bounded=YES, positive=YES)
    for divergence in (ForwardKL(), ReverseKL()):
        is_not_proved(Setting(flat, VonMisesFisherFamily(2), Objective(divergence, isolated=YES)), "axis")


def test_25_a_cyclic_group_about_the_axis_is_not_connected() -> None:
    c, s = -0.5, math.sqrt(0.75)
    turn = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    cyclic = on_sphere(NaturalAction(FiniteMatrixGroup.generated_by([turn])))
    is_not_proved(Setting(cyclic, VMF, Objective(ReverseKL(), isolated=YES)), "axis")
    assert verdict(Setting(cyclic, VMF, ForwardKL()), "axis") is Verdict.PROVED


def test_reflections_are_not_connected() -> None:
    is_not_proved(Setting(bimodal(2), PLANE, Objective(ReverseKL(), isolated=YES, finite=YES)))


def test_an_ellipse_of_unknown_shape_pins_no_correlation_of_a_diagonal_guide() -> None:
    sheared = log_concave(EllipticalRotation(shape=SHAPE))
    assert verdict(Setting(sheared, LocationScale(3, scale="diagonal"), ReverseKL()), "correlation") is Verdict.REFUTED
