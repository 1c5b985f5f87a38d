"""Every a priori record by itself: a setting in which it proves what it says, and one it does not speak of or "
"refuse."""

from dataclasses import replace

import pytest
import torch

from pyro_symvi.distributions.bases import StudentT
from pyro_symvi.divergences import Alpha, ChiSquare, ForwardKL, Hellinger, ReverseKL, TailAdaptive
from pyro_symvi.families import Diagonal, LocationScale, VonMisesFisherFamily
from pyro_symvi.groups import Antipodal, AxialRotation, CoordinatePermutation, PointReflection
from pyro_symvi.recovery import Verdict
from pyro_symvi.recovery.theorems import (
    A_PRIORI,
    REFUSALS,
    THEOREMS,
    APriori,
    Guide,
    Objective,
    Setting,
    assumed,
    guarantees,
)
from pyro_symvi.recovery.theorems.subgroups import subgroups
from pyro_symvi.recovery.verdicts import weakest
from tests.recovery.theorems.settings import NO, YES, ellipse, even, log_concave, strongly, symmetric, target
from tests.recovery.theorems.test_verdict_table import CENTRES, OTHERS

NORMAL = LocationScale(3)
GRANTED = Objective(ReverseKL(), finite=YES, exists=YES, unique=assumed("granted"))
ISOLATED = Objective(ReverseKL(), finite=YES, isolated=YES)
SETTINGS = [
    *(setting for row in (*CENTRES, *OTHERS) for setting in (row.setting, row.twin)),
    Setting(even(first_moment=YES), NORMAL, GRANTED),
    Setting(replace(even(first_moment=YES), symmetries=ellipse()), NORMAL, GRANTED),
    Setting(replace(even(first_moment=YES), symmetries=ellipse()), NORMAL, ISOLATED),
    Setting(log_concave(PointReflection(), positive=assumed("granted")), NORMAL, Objective(Hellinger(), finite=YES)),
]
WEAKER = {
    "invariance of a unique optimum": Verdict.CONDITIONAL,
    "invariance of a unique optimum: scatter": Verdict.CONDITIONAL,
    "isolated points under a connected group": Verdict.VERIFIED,
    "von Mises-Fisher axis, isolated point": Verdict.VERIFIED,
    "log-concavity without strictness": Verdict.CONDITIONAL,
    "even and unimodal, not strictly": Verdict.CONDITIONAL,
}


def verdicts(theorem: APriori) -> set[Verdict | None]:
    """All verdicts of one record over the settings; None where it does not speak of one."""
    found: set[Verdict | None] = set()
    for setting in SETTINGS:
        for symmetry in subgroups(setting.target) if theorem.symmetric else (None,):
            premises = theorem.judge(setting, symmetry)
            assert {p.name for p in premises or ()} <= set(theorem.premises)
            found.add(None if premises is None else weakest(premises))
    return found


@pytest.mark.parametrize("theorem", A_PRIORI, ids=lambda t: t.name.replace(" ", "-"))
def test_a_record_proves_somewhere_and_not_everywhere(theorem: APriori) -> None:
    found = verdicts(theorem)
    assert max(v for v in found if v is not None) is WEAKER.get(theorem.name, Verdict.PROVED)
    assert len(found) > 1


def test_records_are_told_apart() -> None:
    assert len({t.name for t in THEOREMS}) == len(THEOREMS) and len(A_PRIORI) + len(REFUSALS) < len(THEOREMS)
    assert len({(t.name, t.statistic) for t in A_PRIORI}) == len(A_PRIORI)


FINE = Setting(strongly(PointReflection()), NORMAL, ReverseKL())
AXIS = torch.tensor([0.0, 0.0, 1.0])
APPLIES = {
    "not a divergence that is minimised": Setting(even(), NORMAL, Objective.renyi_elbo(-1.0, 8)),
    "finite tuples at alpha > 1": Setting(even(), NORMAL, Objective(Alpha(2.0), "tuples", 4)),
    "coupled draws inside a tuple, a < 1": Setting(even(), NORMAL, Objective.renyi_elbo(0.5, 2, independent=False)),
    "no fixed divergence": Setting(even(), NORMAL, TailAdaptive()),
    "infinite divergence": Setting(
        strongly(PointReflection()), LocationScale(3, "student_t", df=3.0), ChiSquare(reverse=True)
    ),
    "no optimum": Setting(strongly(PointReflection()), NORMAL, Objective(ForwardKL(), exists=NO)),
    "guide outside every family": Setting(even(), Guide.other("flow", 3), ReverseKL()),
    "correlations of a diagonal guide": Setting(
        replace(target(second_moment=YES), symmetries=ellipse()), LocationScale(3, scale="diagonal"), ForwardKL()
    ),
    "no direction": Setting(target(Antipodal(3), on_sphere=True), VonMisesFisherFamily(3), ForwardKL()),
    "target with gaps, guide not strictly log-concave": Setting(
        even(), LocationScale(3, "laplace", "diagonal"), ForwardKL()
    ),
    "Student-t guide with a restricted scale": Setting(
        even(), LocationScale(3, StudentT(3.0, spherical=True), Diagonal()), ForwardKL()
    ),
    "Student-t guide with few degrees of freedom": Setting(even(), LocationScale(3, "student_t", df=0.8), ForwardKL()),
    "scatter for 0 < alpha < 1": Setting(even(), NORMAL, Hellinger()),
    "alpha < 1 without log-concavity": Setting(even(), NORMAL, ReverseKL()),
}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda r: r.name.replace(" ", "-"))
def test_a_refusal_applies_where_it_should(refusal) -> None:
    setting = APPLIES[refusal.name]
    assert refusal.applies(setting)
    assert refusal.applies(FINE) is None
    told = guarantees(setting)
    assert not any(g.verdict is Verdict.PROVED and g.statistic == refusal.statistic for g in told)
    if refusal.blocking and refusal.statistic == "any":
        assert all(g.theorem is refusal and g.verdict is Verdict.UNKNOWN for g in told)
    elif refusal.blocking:
        assert any(g.theorem is refusal and g.verdict is Verdict.REFUTED for g in told)


def test_a_sphere_has_no_flat_theorems() -> None:
    zonal = replace(target(on_sphere=True, bounded=YES, positive=YES), symmetries=symmetric(AxialRotation(AXIS)))
    told = guarantees(Setting(zonal, VonMisesFisherFamily(3), ForwardKL()))
    assert {g.statistic for g in told} == {"axis", "direction"}


def test_permutations_of_a_sphere_pin_an_axis() -> None:
    """S_3 on the coordinates leaves the line of (1, 1, 1): its axis is recovered by a von Mises-Fisher guide."""
    exchangeable = replace(target(on_sphere=True, bounded=YES), symmetries=symmetric(CoordinatePermutation(3)))
    told = guarantees(Setting(exchangeable, VonMisesFisherFamily(3), ForwardKL()))
    assert [g.verdict for g in told if g.statistic == "axis"] == [Verdict.PROVED]
