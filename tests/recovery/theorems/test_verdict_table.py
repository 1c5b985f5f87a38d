"""The verdict table: every row proved where its premises are, and its twin, one premise short, not proved."""

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from pyro_symvi.distributions.bases import GeneralizedNormal, Laplace, Logistic, StudentT
from pyro_symvi.divergences import Alpha, ChiSquare, ForwardKL, Hellinger, Jeffreys, ReverseKL
from pyro_symvi.families import (
    Diagonal,
    Fixed,
    Isotropic,
    LearnedDf,
    LocationScale,
    LowRank,
    Tied,
    VonMisesFisherFamily,
)
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
from pyro_symvi.recovery import Verdict
from pyro_symvi.recovery.theorems import Decreasing, Guide, Objective, Setting, Target, assumed, guarantees, unknown
from tests.recovery.theorems.settings import (
    FLAT_TOP,
    SHAPE,
    YES,
    ellipse,
    even,
    found,
    log_concave,
    strongly,
    target,
    verdict,
)

NORMAL, DIAGONAL, ISOTROPIC = LocationScale(3), LocationScale(3, scale="diagonal"), LocationScale(3, scale=Isotropic())
LAPLACE = LocationScale(3, "laplace", "diagonal")
LOGISTIC = LocationScale(3, "logistic", "diagonal")
STUDENT = LocationScale(3, "student_t", "full", df=3.0)
PRODUCT_T = LocationScale(3, "student_t", "diagonal", df=3.0)
FLIP = PointReflection(coordinates=[1])
SWAPS = CoordinatePermutation(3)
SLOPE = ConditionalReflection([0], 0.5, [[0.7, -0.2]])
NOT = unknown("not shown")


def turn(order: int) -> NaturalAction:
    """The cyclic group of a plane."""
    c, s = math.cos(2 * math.pi / order), math.sin(2 * math.pi / order)
    return NaturalAction(FiniteMatrixGroup.generated_by([torch.tensor([[c, -s], [s, c]], dtype=torch.float64)]))


def zonal(**facts: Any) -> Target:
    axis = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    return target(AxialRotation(axis), on_sphere=True, **({"bounded": YES, "positive": YES} | facts))


@dataclass(frozen=True)
class Row:
    """A setting whose statistic is proved, and the same with one premise taken away."""

    name: str
    statistic: str
    item: Any
    setting: Setting
    twin: Setting
    expected: Verdict = Verdict.PROVED


def row(
    name: str, statistic: str, item: Any, setting: Setting, expected: Verdict = Verdict.PROVED, **changes: Any
) -> Row:
    """``changes`` are those of the target, or ``guide=``, ``objective=`` of the setting."""
    parts = {key: changes.pop(key) for key in ("guide", "objective") if key in changes}
    twin = replace(setting, target=replace(setting.target, **changes)) if changes else setting
    return Row(name, statistic, item, setting, replace(twin, **parts), expected)


GONE: dict[str, Any] = {"strongly_log_concave": NOT, "strictly_log_concave": NOT, "log_concave": NOT}
EVEN = PointReflection()
CURVED = log_concave(EVEN)
COUPLED = Objective(Hellinger(), "tuples", 2, independent=False, tuple_law=YES)
INDEPENDENT = Objective(Hellinger(), "tuples", 2)
UNIMODAL = even(convex_levels=YES, decreasing=YES, second_moment=YES)
BLOCK = replace(UNIMODAL, symmetries=ellipse(profile=YES, strict_profile=YES), decreasing=NOT)
FUNNEL = target(FLIP, coordinates=(Decreasing(1, YES),), first_moment=YES, second_moment=YES)

CENTRES = [
    row("reverse KL, log-concave", "mean", (0,), Setting(CURVED, LAPLACE, ReverseKL()), **GONE),
    row("reverse KL, low rank", "mean", (2,), Setting(CURVED, LocationScale(3, scale=LowRank(1)), ReverseKL()), **GONE),
    row("reverse KL, not even", "mean", (0,), Setting(CURVED, LAPLACE, ReverseKL()), symmetries=()),
    row("neyman", "mean", (0,), Setting(CURVED, NORMAL, ChiSquare(reverse=True)), log_concave=NOT),
    row(
        "tuples with a = 1.5, coupled, invariant",
        "mean",
        (0,),
        Setting(CURVED, NORMAL, Objective(Alpha(-0.5), "tuples", 3, independent=False, tuple_law=YES, finite=YES)),
        objective=Objective(Alpha(-0.5), "tuples", 3, independent=False, finite=YES),
    ),
    row(
        "forward KL, laplace",
        "mean",
        (0,),
        Setting(even(positive=YES, first_moment=YES), LAPLACE, ForwardKL()),
        positive=NOT,
    ),
    row(
        "forward KL, logistic, gaps",
        "mean",
        (0,),
        Setting(even(first_moment=YES), LOGISTIC, ForwardKL()),
        guide=LAPLACE,
    ),
    row(
        "chi-square, logistic",
        "mean",
        (0,),
        Setting(log_concave(EVEN, positive=NOT), LOGISTIC, ChiSquare()),
        log_concave=NOT,
    ),
    row("hellinger", "mean", (0,), Setting(CURVED, LAPLACE, Hellinger()), log_concave=NOT),
    row("hellinger, student guide", "mean", (0,), Setting(CURVED, LAPLACE, Hellinger()), guide=PRODUCT_T),
    row("hellinger, independent tuples", "mean", (0,), Setting(CURVED, LAPLACE, INDEPENDENT), objective=COUPLED),
    row("importance-weighted bound", "mean", (0,), Setting(CURVED, NORMAL, Objective.renyi_elbo(0.0, 8)), positive=NOT),
    row("normal, chi-square", "mean", (0,), Setting(strongly(EVEN), NORMAL, ChiSquare()), guide=STUDENT, **GONE),
    row(
        "normal, fixed scale, forward",
        "mean",
        (0,),
        Setting(even(second_moment=YES), LocationScale(3, scale=Fixed(0.3)), ForwardKL()),
        second_moment=NOT,
    ),
    row(
        "student",
        "centre",
        (0,),
        Setting(even(log_moment=YES), STUDENT, ForwardKL()),
        guide=LocationScale(3, "student_t", df=1.0),
    ),
    row("student, log moment", "centre", (0,), Setting(even(log_moment=YES), STUDENT, ForwardKL()), log_moment=NOT),
    row(
        "student, learned df",
        "mean",
        (0,),
        Setting(even(first_moment=YES), LocationScale(3, "student_t", df=LearnedDf()), ForwardKL()),
        guide=LocationScale(3, "student_t", df=LearnedDf(5.0, 0.5)),
    ),
    row(
        "product of t",
        "mean",
        (0,),
        Setting(even(first_moment=YES), PRODUCT_T, ForwardKL()),
        guide=LocationScale(3, StudentT(3.0, spherical=True), Diagonal()),
    ),
    row(
        "multivariate t, diagonal, unimodal",
        "mean",
        (0,),
        Setting(UNIMODAL, LocationScale(3, StudentT(3.0, spherical=True), Diagonal()), ForwardKL()),
        decreasing=NOT,
    ),
    row(
        "unimodal, jeffreys",
        "mean",
        (0,),
        Setting(UNIMODAL, NORMAL, Objective(Jeffreys(), finite=YES)),
        convex_levels=NOT,
    ),
    row("unimodal, hellinger, student", "mean", (0,), Setting(UNIMODAL, STUDENT, Hellinger()), guide=PRODUCT_T),
    row(
        "even pair, jeffreys",
        "mean",
        (0,),
        Setting(CURVED, LAPLACE, Objective(Jeffreys(), finite=YES)),
        log_concave=NOT,
    ),
    row(
        "elliptical, jeffreys",
        "mean",
        (0,),
        Setting(BLOCK, STUDENT, Objective(Jeffreys(), finite=YES)),
        symmetries=ellipse(),
    ),
    row(
        "product of t, reverse KL",
        "mean",
        (0,),
        Setting(log_concave(EVEN), PRODUCT_T, ReverseKL()),
        guide=LocationScale(3, "student_t", "diagonal", df=2.0),
    ),
    row(
        "chi-square, laplace, d = 1",
        "mean",
        (0,),
        Setting(
            target(EVEN, 1, first_moment=YES),
            LocationScale(1, "laplace", "diagonal"),
            Objective(ChiSquare(), finite=YES),
        ),
        objective=Objective(ForwardKL(), finite=YES),
    ),
    row("flip, diagonal, reverse KL", "mean", (1,), Setting(log_concave(FLIP), LAPLACE, ReverseKL()), **GONE),
    row("coordinatewise, hellinger", "mean", (1,), Setting(FUNNEL, PRODUCT_T, Hellinger()), guide=STUDENT),
    row("coordinatewise, not even", "mean", (1,), Setting(FUNNEL, PRODUCT_T, Hellinger()), coordinates=()),
    row("flip, full, reverse KL", "mean", (1,), Setting(log_concave(FLIP), NORMAL, ReverseKL()), log_concave=NOT),
    row(
        "flip, full, forward KL",
        "mean",
        (1,),
        Setting(target(FLIP, first_moment=YES), STUDENT, ForwardKL()),
        first_moment=NOT,
    ),
    row(
        "flip, triangular logistic",
        "mean",
        (1,),
        Setting(target(FLIP, first_moment=YES), LocationScale(3, Logistic(), "full"), ForwardKL()),
        guide=LocationScale(3, Laplace(), "full"),
    ),
    row(
        "flip, triangular, reverse KL",
        "mean",
        (1,),
        Setting(strongly(FLIP), LocationScale(3, Laplace(), "full"), ReverseKL()),
        strongly_log_concave=NOT,
        strictly_log_concave=NOT,
    ),
    row(
        "third of a turn, isotropic",
        "mean",
        (0,),
        Setting(log_concave(turn(3), 2), LocationScale(2, scale=Isotropic()), Hellinger()),
        guide=LocationScale(2),
    ),
]

OTHERS = [
    row(
        "moments: mean",
        "mean",
        (0,),
        Setting(target(second_moment=YES), LocationScale(3, scale=LowRank(1)), ForwardKL()),
        objective=ReverseKL(),
    ),
    row(
        "moments: covariance",
        "covariance",
        None,
        Setting(target(second_moment=YES), NORMAL, ForwardKL()),
        guide=DIAGONAL,
    ),
    row(
        "moments: variances",
        "variances",
        (2,),
        Setting(target(second_moment=YES), DIAGONAL, ForwardKL()),
        guide=ISOTROPIC,
    ),
    row("moments: not for t", "mean", (0,), Setting(target(second_moment=YES), NORMAL, ForwardKL()), guide=STUDENT),
    row(
        "scatter, reverse KL",
        "correlation",
        (0, 1),
        Setting(replace(CURVED, symmetries=ellipse()), NORMAL, ReverseKL()),
        log_concave=NOT,
    ),
    row(
        "scatter, forward KL",
        "correlation",
        (0, 1),
        Setting(
            replace(even(second_moment=YES), symmetries=ellipse()),
            LocationScale(3, Laplace(spherical=True)),
            ForwardKL(),
        ),
        guide=LocationScale(3, Laplace()),
    ),
    row(
        "scatter, chi-square",
        "correlation",
        (0, 1),
        Setting(replace(strongly(), symmetries=ellipse()), NORMAL, ChiSquare()),
        symmetries=(),
    ),
    row(
        "scatter, student",
        "correlation",
        (0, 1),
        Setting(replace(even(second_moment=YES), symmetries=ellipse()), STUDENT, ForwardKL()),
        guide=LocationScale(3, "student_t", df=0.9),
    ),
    row(
        "scatter, no covariance",
        "shape",
        (0, 1),
        Setting(replace(even(log_moment=YES), symmetries=ellipse()), STUDENT, ForwardKL()),
        log_moment=NOT,
    ),
    row(
        "scatter, irreducible",
        "correlation",
        (0, 1),
        Setting(log_concave(turn(3), 2), LocationScale(2), ReverseKL()),
        objective=Hellinger(),
    ),
    row(
        "scatter, elliptical, hellinger",
        "correlation",
        (0, 1),
        Setting(BLOCK, NORMAL, Hellinger()),
        symmetries=ellipse(),
    ),
    row(
        "scatter, elliptical, tuples",
        "correlation",
        (0, 1),
        Setting(replace(BLOCK, positive=YES), NORMAL, replace(INDEPENDENT, finite=YES)),
        objective=replace(COUPLED, finite=YES),
    ),
    row(
        "scatter, flips, full",
        "correlation",
        (0, 1),
        Setting(log_concave(AxisFlips()), NORMAL, ReverseKL()),
        objective=Hellinger(),
    ),
    row(
        "contrasts, reverse KL",
        "contrasts",
        (0, 1, 2),
        Setting(log_concave(SWAPS), NORMAL, ReverseKL()),
        log_concave=NOT,
    ),
    row("contrasts, diagonal", "contrasts", (0, 1, 2), Setting(log_concave(SWAPS), LAPLACE, ReverseKL()), positive=NOT),
    row(
        "contrasts, student",
        "contrasts",
        (0, 1, 2),
        Setting(target(SWAPS, log_moment=YES), STUDENT, ForwardKL()),
        objective=ReverseKL(),
    ),
    row(
        "contrasts, normal chi-square",
        "contrasts",
        (0, 1, 2),
        Setting(strongly(SWAPS), NORMAL, ChiSquare()),
        guide=LocationScale(3, scale=LowRank(1)),
    ),
    row(
        "contrasts, isotropic, hellinger",
        "contrasts",
        (0, 1, 2),
        Setting(log_concave(SWAPS), ISOTROPIC, Hellinger()),
        guide=NORMAL,
    ),
    row(
        "contrasts, tied, hellinger",
        "contrasts",
        (0, 1, 2),
        Setting(log_concave(SWAPS), LocationScale(3, scale=Tied(SWAPS)), Hellinger()),
        objective=INDEPENDENT,
    ),
    row(
        "contrasts, triangular product",
        "contrasts",
        (0, 1, 2),
        Setting(log_concave(SWAPS), NORMAL, ReverseKL()),
        guide=LocationScale(3, Logistic(), "full"),
    ),
    row("slope, reverse KL", "slope", ((0,), (1, 2)), Setting(log_concave(SLOPE), NORMAL, ReverseKL()), guide=DIAGONAL),
    row(
        "slope, student",
        "slope",
        ((0,), (1, 2)),
        Setting(target(SLOPE, log_moment=YES), STUDENT, ForwardKL()),
        log_moment=NOT,
    ),
    row(
        "slope, hellinger",
        "slope",
        ((0,), (1, 2)),
        Setting(log_concave(SLOPE), NORMAL, ReverseKL()),
        objective=Hellinger(),
    ),
    row(
        "axis, forward KL", "axis", None, Setting(zonal(), VonMisesFisherFamily(3), ForwardKL()), objective=ReverseKL()
    ),
    row("axis, chi-square", "axis", None, Setting(zonal(), VonMisesFisherFamily(3), ChiSquare()), bounded=NOT),
    row(
        "axis, isolated",
        "axis",
        None,
        Setting(zonal(), VonMisesFisherFamily(3), Objective(ReverseKL(), isolated=YES)),
        Verdict.VERIFIED,
        objective=ReverseKL(),
    ),
    row(
        "direction, monotone",
        "direction",
        None,
        Setting(zonal(increasing_profile=YES), VonMisesFisherFamily(3), ReverseKL()),
        increasing_profile=NOT,
    ),
    row(
        "direction, monotone, tuples",
        "direction",
        None,
        Setting(zonal(increasing_profile=YES), VonMisesFisherFamily(3), Objective(Hellinger(), "tuples", 4)),
        objective=COUPLED,
    ),
    row(
        "direction, moments",
        "direction",
        None,
        Setting(target(on_sphere=True, has_direction=YES), VonMisesFisherFamily(3), ForwardKL()),
        has_direction=NOT,
    ),
    row(
        "escort direction",
        "escort direction",
        None,
        Setting(zonal(), VonMisesFisherFamily(3), ChiSquare()),
        objective=ForwardKL(),
    ),
]


def ids(r: Row) -> str:
    return r.name.replace(" ", "-").replace(",", "")


@pytest.mark.parametrize("r", [*CENTRES, *OTHERS], ids=ids)
def test_a_row_and_its_twin(r: Row) -> None:
    assert verdict(r.setting, r.statistic, r.item) is r.expected, guarantees(r.setting)
    assert verdict(r.twin, r.statistic, r.item) < r.expected, guarantees(r.twin)
    assert verdict(r.twin, r.statistic, r.item) is not Verdict.PROVED


def test_escort_sign_is_not_the_direction() -> None:
    assert verdict(Setting(zonal(), VonMisesFisherFamily(3), ChiSquare()), "direction") is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        (Setting(log_concave(EVEN, positive=NOT), LAPLACE, ReverseKL()), "reverse"),
        (Setting(log_concave(EVEN, positive=NOT), LAPLACE, Hellinger()), "between"),
        (Setting(even(first_moment=YES), LAPLACE, ForwardKL()), "forward"),
        (Setting(replace(UNIMODAL, decreasing=NOT), PRODUCT_T, ForwardKL()), ""),
    ],
    ids=["reverse", "between", "forward", "product-t"],
)
def test_log_concavity_without_its_pack_is_conditional(setting: Setting, why: str) -> None:
    finite = replace(setting.objective, finite=YES) if isinstance(setting.objective, Objective) else setting.objective
    g = found(guarantees(replace(setting, objective=finite)), "mean", (0,)) or found(
        guarantees(setting), "centre", (0,)
    )
    assert g is not None
    if not why:
        assert g.verdict is Verdict.PROVED and g.theorem is not None and "Student" in g.theorem.name
        return
    assert g.verdict is Verdict.CONDITIONAL
    assert any("assumed: the optimum is unique" in premise.statement for premise in g.premises)


def test_unimodality_without_su_is_conditional() -> None:
    setting = Setting(replace(UNIMODAL, decreasing=NOT), NORMAL, ReverseKL())
    objective = Objective(ReverseKL(), finite=YES)
    assert verdict(replace(setting, objective=objective), "mean", (0,)) is Verdict.CONDITIONAL


@pytest.mark.parametrize(
    ("setting", "statistic", "expected"),
    [
        (
            Setting(replace(even(second_moment=YES), symmetries=ellipse()), DIAGONAL, ReverseKL()),
            "correlation",
            "REFUTED",
        ),
        (Setting(target(Antipodal(3), on_sphere=True), VonMisesFisherFamily(3), ForwardKL()), "direction", "REFUTED"),
        (Setting(strongly(EVEN), NORMAL, Objective.renyi_elbo(-1.0, 8)), "mean", "UNKNOWN"),
        (Setting(strongly(EVEN), NORMAL, COUPLED), "mean", "UNKNOWN"),
        (Setting(strongly(EVEN), NORMAL, Objective(Alpha(2.0), "tuples", 8)), "mean", "UNKNOWN"),
        (Setting(strongly(EVEN), PRODUCT_T, ChiSquare(reverse=True)), "mean", "UNKNOWN"),
        (Setting(strongly(EVEN), Guide.other("flow", 3), ReverseKL()), "mean", "UNKNOWN"),
        (Setting(strongly(EVEN), Guide.other("mixture", 3), ForwardKL()), "mean", "UNKNOWN"),
        (Setting(even(second_moment=YES), NORMAL, ReverseKL()), "mean", "UNKNOWN"),
    ],
    ids=["diagonal", "antipodal", "renyi", "coupled", "cubo", "infinite", "flow", "mixture", "not-log-concave"],
)
def test_what_is_not_certifiable(setting: Setting, statistic: str, expected: str) -> None:
    assert verdict(setting, statistic) is Verdict[expected]
    g = found(guarantees(setting), statistic)
    assert g is not None and g.reason


def test_the_mean_is_named_only_where_it_exists() -> None:
    known = guarantees(Setting(even(first_moment=YES), STUDENT, ForwardKL()))
    unknown_mean = guarantees(Setting(even(log_moment=YES), STUDENT, ForwardKL()))
    assert found(known, "mean") is not None and found(known, "centre") is None
    assert found(unknown_mean, "centre") is not None
    g = found(unknown_mean, "mean")
    assert g is None or g.verdict is Verdict.UNKNOWN


def test_granting_uniqueness_makes_a_conditional() -> None:
    setting = Setting(even(first_moment=YES), NORMAL, Objective(ReverseKL(), finite=YES, exists=YES))
    assert verdict(setting, "mean", (0,)) is Verdict.UNKNOWN
    granted = Objective(ReverseKL(), finite=YES, exists=YES, unique=assumed("multistart found one optimum"))
    assert verdict(replace(setting, objective=granted), "mean", (0,)) is Verdict.CONDITIONAL


def test_an_isolated_point_of_an_ellipse_is_verified_only() -> None:
    setting = Setting(
        replace(even(first_moment=YES), symmetries=ellipse()), NORMAL, Objective(ReverseKL(), finite=YES, isolated=YES)
    )
    assert verdict(setting, "mean", (0,)) is Verdict.VERIFIED
    finite_group = replace(setting, target=even(first_moment=YES))
    assert verdict(finite_group, "mean", (0,)) is Verdict.UNKNOWN


def test_a_flat_base_needs_more_of_the_target() -> None:
    flat = LocationScale(3, FLAT_TOP, "diagonal")
    assert verdict(Setting(even(first_moment=YES, positive=YES), flat, ForwardKL()), "mean", (0,)) is Verdict.PROVED
    assert verdict(Setting(even(first_moment=YES), flat, ForwardKL()), "mean", (0,)) is Verdict.CONDITIONAL


def test_premises_are_those_the_record_names() -> None:
    for r in [*CENTRES, *OTHERS]:
        for setting in (r.setting, r.twin):
            for g in guarantees(setting):
                if g.theorem is not None and g.premises:
                    assert {p.name for p in g.premises} <= set(g.theorem.premises), g.theorem.name
                assert g.verdict is not Verdict.PROVED or not g.missing
                assert str(g)


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="expected a guide on 3 coordinates, got one on 2"):
        Setting(even(), LocationScale(2), ReverseKL())


def test_diagonal_shapes_suit_diagonal_guides() -> None:
    shape = torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64))
    round_target = log_concave(EllipticalRotation(shape=shape))
    assert verdict(Setting(round_target, DIAGONAL, ReverseKL()), "mean", (0,)) is Verdict.PROVED
    assert verdict(Setting(round_target, DIAGONAL, ReverseKL()), "correlation", (0, 1)) is Verdict.PROVED
    sheared = log_concave(EllipticalRotation(shape=SHAPE))
    assert verdict(Setting(sheared, DIAGONAL, ReverseKL()), "mean", (0,)) is Verdict.PROVED
    assert verdict(Setting(sheared, DIAGONAL, ReverseKL()), "correlation") is Verdict.REFUTED


def test_generalized_normal_guides() -> None:
    for beta, expected in ((1.5, Verdict.PROVED), (0.7, Verdict.UNKNOWN)):
        guide = LocationScale(3, GeneralizedNormal(beta), "diagonal")
        assert verdict(Setting(log_concave(EVEN, positive=NOT), guide, ForwardKL()), "mean", (0,)) is expected


def test_only_correlated_pairs_are_refuted() -> None:
    """An ellipse in two of three coordinates: its pair is refuted for a diagonal guide, the zeros are recovered."""
    shape = torch.tensor([[1.0, 0.5], [0.5, 2.0]], dtype=torch.float64)
    block = target(EllipticalRotation(shape=shape, coordinates=[0, 2]), second_moment=YES)
    told = guarantees(Setting(block, DIAGONAL, ForwardKL()))
    correlations = {item: g.verdict for g in told if g.statistic == "correlation" for item in g.items}
    assert correlations == {(0, 2): Verdict.REFUTED, (0, 1): Verdict.PROVED, (1, 2): Verdict.PROVED}
    assert verdict(Setting(block, NORMAL, ForwardKL()), "correlation", (0, 2)) is Verdict.PROVED
