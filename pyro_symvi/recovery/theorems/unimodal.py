"""Even targets and guides with convex superlevel sets: every divergence, every scale."""

from __future__ import annotations

from ..verdicts import Premise
from .facts import Fact, all_of, any_of, assumed
from .finiteness import finite
from .log_concave import is_even
from .setting import Setting
from .strictness import s_between, s_unimodal
from .target import Symmetry
from .theorem import FINITE, INVARIANCE, OBJECTIVE, PROPER, STRICT, UNIMODAL, UNIQUE, APriori


def _convex_levels(setting: Setting) -> Fact:
    p = setting.p
    return all_of(any_of(p.convex_levels, p.log_concave), setting.g.convex_levels)


def _even(setting: Setting, symmetry: Symmetry | None) -> bool:
    return symmetry is not None and is_even(symmetry.action, setting.p.dim) and setting.g.law is not None


def _common(setting: Setting, symmetry: Symmetry, *more: Premise) -> tuple[Premise, ...]:
    return (
        symmetry.fact.premise(INVARIANCE),
        setting.p.proper.premise(PROPER),
        _convex_levels(setting).premise(UNIMODAL),
        setting.o.strictly_convex.premise(OBJECTIVE),
        *more,
        finite(setting).premise(FINITE),
    )


def _strict(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or not _even(setting, symmetry):
        return None
    return _common(setting, symmetry, s_unimodal(setting).premise(STRICT))


def _not_strict(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or not _even(setting, symmetry) or s_unimodal(setting).is_proved:
        return None
    words = f"assumed: there is no other minimiser; it was not shown ({s_unimodal(setting).words})"
    return _common(setting, symmetry, assumed(words).premise(UNIQUE))


def _log_concave_pair(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or not _even(setting, symmetry):
        return None
    return _common(setting, symmetry, s_between(setting).premise(STRICT))


_PREMISES = (INVARIANCE, PROPER, UNIMODAL, OBJECTIVE, FINITE)
_PROOF = (
    "With F(a, b) = b f(a/b), F_ab <= 0: by layers, D_f is free of nu up to minus the integral of (s/t^2) f''(s/t) "
    "V_{s,t}(nu), V the volume of {p > s} meeting {q0 > t} + nu. V^(1/d) is concave (Brunn-Minkowski) and even, so V "
    "falls along rays from the centre. "
)
_REFERENCE = "Anderson (1955) for f(u) = u log u; Margossian, Rankin & Saul (2026), arXiv:2511.01064; proof as here"

UNIMODAL_MEAN = APriori(
    "even and unimodal, any divergence",
    "mean",
    (*_PREMISES, STRICT),
    "p and q0 even with convex superlevel sets: at every scale, fixed or learned, every f-divergence rises along rays "
    "from the centre; with SU (positive, continuous, strictly decreasing along rays, f'' > 0) strictly, so every "
    "stationary point has its location at the centre. Also for finitely many independent draws, a >= 0. Products of "
    "Student-t laws in two or more dimensions do not qualify.",
    _PROOF + "Under SU equality at two levels would make two convex bodies translates along the ray at all levels.",
    _REFERENCE,
    judge=_strict,
    stationary=True,
    keys=("anderson1955", "margossian2026"),
)

UNIMODAL_NOT_STRICT = APriori(
    "even and unimodal, not strictly",
    "mean",
    (*_PREMISES, UNIQUE),
    "As before without SU: the centre is a minimiser of the location at every scale, and there may be others.",
    _PROOF,
    _REFERENCE,
    judge=_not_strict,
    keys=("anderson1955", "margossian2026"),
)

LOG_CONCAVE_PAIR_MEAN = APriori(
    "even log-concave pair, any divergence",
    "mean",
    (*_PREMISES, STRICT),
    "p and q0 even and log-concave with S01: at every scale the location minimiser is unique, hence at the centre, for "
    "every f with f'' > 0 and a finite divergence, and for finitely many independent draws with a >= 0.",
    _PROOF + "S01 at alpha = 1/2 says that V is smaller at nu than at the centre for levels of positive measure; these "
    "levels do not depend on f.",
    "as here",
    judge=_log_concave_pair,
)

THEOREMS = (UNIMODAL_MEAN, LOG_CONCAVE_PAIR_MEAN, UNIMODAL_NOT_STRICT)
