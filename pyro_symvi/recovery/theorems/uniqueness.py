"""Uniqueness of the optimum: of the location at a fixed scale, of the scale, of the law. Three different things.

A symmetry that acts trivially on the scale (evenness; sign flips with a diagonal scale) needs the first alone; whatever
moves the scale (permutations, flips with a full scale, conditional reflections) needs the last, or the scatter's.
"""

from __future__ import annotations

from ...groups import LinearAction
from ..verdicts import Premise
from .facts import Fact, all_of, any_of, decided, proved, unknown
from .finiteness import exists, finite
from .setting import Setting, once
from .strictness import location_strict, s_minus, s_plus
from .target import Symmetry
from .theorem import CLOSED, EXISTS, FINITE, INVARIANCE, OBJECTIVE, PROPER


@once
def exponential_route(setting: Setting) -> Fact:
    """U4: a minimal exponential family at alpha >= 1: strictly convex in the natural parameter, p arbitrary."""
    return all_of(_forward_population(setting), setting.g.exponential)


@once
def student_route(setting: Setting) -> Fact:
    """U5: forward KL, Student-t with more than one degree of freedom, location and scale free; P with a density.

    A full multivariate t (the population maximum-likelihood estimate exists, is unique and affinely equivariant), or
    a product of univariate ones with a scale each, where that holds coordinate by coordinate.
    """
    q = setting.g
    full = q.spherical and q.full_rank
    product = not q.spherical and q.pattern is not None and q.pattern.name == "diagonal"
    kind = decided(
        full or product,
        "a full multivariate t, or univariate ones with a scale each",
        f"a {q.name} guide is neither a full multivariate t nor a product with a scale for each coordinate",
    )
    return all_of(
        decided(setting.o.alpha == 1 and setting.o.is_population, "forward KL", "not forward KL of the population"),
        decided(q.least_df is not None, "a Student-t guide", "no Student-t guide"),
        decided(q.df_above_one, "more than one degree of freedom", "degrees of freedom may be one or less"),
        kind,
        Fact(setting.p.proper.evidence, f"P has a density: {setting.p.proper.words}"),
        Fact(setting.p.log_moment.evidence, f"E log(1 + |z|) is finite: {setting.p.log_moment.words}"),
    )


@once
def scatter_unique(setting: Setting) -> Fact:
    """Whether all minimisers have one scatter: fixed; or U4, U5; or -log|C| strictly convex on a convex set of scales.

    At alpha <= 0 with p log-concave in C, at alpha >= 1 with q0 log-concave in its inverse. No strictness pack.
    """
    return any_of(convex_scatter(setting), exponential_route(setting), student_route(setting))


@once
def convex_scatter(setting: Setting) -> Fact:
    """The part of it that rests on log-concavity, or on a fixed scale."""
    q, p = setting.g, setting.p
    if q.scale_is_fixed:
        return proved("the scale is fixed")
    if setting.regime == "reverse":
        return all_of(p.proper, p.log_concave, any_of(q.convex_scales, _triangular(setting)))
    if setting.regime == "forward":
        return all_of(q.log_concave, any_of(q.convex_scales, _triangular(setting)))
    if setting.regime is None:
        return unknown("no exponent alpha")
    return unknown("for 0 < alpha < 1 uniqueness of the scale is not settled")


def _triangular(setting: Setting) -> Fact:
    """A triangular scale with a base that is not spherical: -log|C| is strict in the diagonal only."""
    strict = setting.p.strictly_log_concave if setting.regime == "reverse" else setting.g.strictly_log_concave
    everywhere = setting.p.positive if setting.regime == "reverse" else setting.g.positive
    return all_of(decided(setting.g.is_triangular, "a triangular scale", "no triangular scale"), strict, everywhere)


@once
def law_unique(setting: Setting) -> Fact:
    """Whether the minimising law is unique: granted; U4; U5; or unique scatter and a unique location at it."""
    convex = all_of(scatter_unique(setting), _strict(setting))
    return any_of(exponential_route(setting), student_route(setting), convex, setting.o.unique)


@once
def location_unique(setting: Setting) -> Fact:
    """Whether the location is unique at every fixed scale (S-, S01, S+), or the law is."""
    return any_of(location_strict(setting), law_unique(setting))


def _strict(setting: Setting) -> Fact:
    if setting.regime == "reverse":
        return s_minus(setting)
    if setting.regime == "forward":
        return s_plus(setting)
    return location_strict(setting)


def _forward_population(setting: Setting) -> Fact:
    return decided(
        setting.regime == "forward" and setting.o.is_population,
        "alpha >= 1, the population objective",
        "not alpha >= 1 of the population",
    )


@once
def invariant_tuples(setting: Setting) -> Fact:
    """The population objective; or tuples whose law is invariant (independent draws, or as stated), at a >= 1."""
    if setting.o.kind == "climbing":
        return decided(False, "", "the objective is moved away from its optimum")
    if setting.o.is_population or setting.o.independent:
        return proved("the population objective" if setting.o.is_population else "independent draws in a tuple")
    words = f"draws inside a tuple are coupled; their joint law must be invariant: {setting.o.tuple_law.words}"
    return Fact(setting.o.tuple_law.evidence, words)


def symmetric_premises(
    setting: Setting, symmetry: Symmetry, *more: Premise, fixed_scale: bool = False
) -> tuple[Premise, ...]:
    """Premises of every theorem with a symmetry: invariance, propriety, closure, more, finiteness, existence."""
    closed, _ = setting.g.closure(symmetry.action)
    return (
        symmetry.fact.premise(INVARIANCE),
        setting.p.proper.premise(PROPER),
        closed.premise(CLOSED),
        invariant_tuples(setting).premise(OBJECTIVE),
        *more,
        finite(setting).premise(FINITE),
        exists(setting, fixed_scale).premise(EXISTS),
    )


def keeps_scale(setting: Setting, action: LinearAction) -> bool:
    """Whether an action, under which the family is closed, acts trivially on the scale."""
    closed, moves = setting.g.closure(action)
    return closed.is_proved and not moves
