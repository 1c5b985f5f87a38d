"""Symmetry in some coordinates: coordinatewise unimodality, flips under a full scale, regressions."""

from __future__ import annotations

from ...groups import ConditionalReflection, PointReflection
from ..verdicts import Premise
from .facts import all_of, any_of, decided
from .finiteness import finite
from .general import COMMON
from .setting import Setting
from .target import Symmetry
from .theorem import BASE, FINITE, INVARIANCE, OBJECTIVE, PROPER, SCALE, UNIMODAL, UNIQUE, APriori
from .uniqueness import law_unique, symmetric_premises


def _coordinatewise(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    """One reflected coordinate at a time."""
    if symmetry is None or not isinstance(symmetry.action, PointReflection) or setting.g.law is None:
        return None
    moved = symmetry.action.resolve_coordinates(setting.p.dim).tolist()
    if len(moved) != 1:
        return None
    known = setting.p.unimodal_coordinate(moved[0])
    if known is None:
        return None
    q = setting.g
    return (
        all_of(symmetry.fact, known.fact).premise(INVARIANCE),
        setting.p.proper.premise(PROPER),
        q.uncoupled(moved[0]).premise(SCALE),
        any_of(q.decreasing, all_of(known.strict, q.non_increasing)).premise(UNIMODAL),
        setting.o.strictly_convex.premise(OBJECTIVE),
        finite(setting).premise(FINITE),
    )


COORDINATEWISE = APriori(
    "unimodal coordinate, any divergence",
    "mean",
    (INVARIANCE, PROPER, SCALE, UNIMODAL, OBJECTIVE, FINITE),
    "p even in z_i about c_i and never increasing in |z_i - c_i|, for every value of the others; a guide that leaves "
    "z_i "
    "uncoupled, its base even and decreasing in coordinate i; one of the two strictly and positive; f'' > 0, D_f "
    "finite: "
    "every stationary point has nu_i = c_i. Nothing is asked of the other coordinates (Neal's funnel qualifies).",
    "Pair z with its flip in coordinate i: the derivative in nu_i has the sign of nu_i - c_i for every value of the "
    "rest.",
    "Margossian, Rankin & Saul (2026), arXiv:2511.01064, for partial symmetries; proof as here",
    judge=_coordinatewise,
    stationary=True,
    keys=("margossian2026",),
)


def _regression(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or not isinstance(symmetry.action, ConditionalReflection):
        return None
    q = setting.g
    full = decided(
        q.spherical and q.full_rank, "a spherical base and a full scale", f"a {q.name} guide is not full and spherical"
    )
    return symmetric_premises(setting, symmetry, law_unique(setting).premise(UNIQUE), full.premise(BASE))


REGRESSION = APriori(
    "conditional affine reflection",
    "slope",
    (*COMMON, UNIQUE, BASE),
    "p(a + B y + u, y) = p(a + B y - u, y) for all u and y; a full scale, a spherical base, a unique optimum: "
    "nu_x = a + B nu_y and S_xy = B S_yy, as for P. Intercept and slope of the regression of x on y are right although "
    "nu_y, S_yy and S_xx are not. A centre that is not affine in y is no such symmetry.",
    "(x, y) -> (2a + 2By - x, y) is affine and keeps p; A S A^T = S gives S_xy = B S_yy.",
    "derived here",
    judge=_regression,
)

THEOREMS = (COORDINATEWISE, REGRESSION)
