"""Where nothing may be certified, with the counterexample that says so."""

from __future__ import annotations

import torch

from ...divergences import TailAdaptive
from ...groups import EllipticalRotation
from ..verdicts import Verdict
from .finiteness import finite
from .setting import Setting
from .theorem import CLOSED, EXISTS, FINITE, OBJECTIVE, UNIQUE, Refusal

_NOT_ZERO = 1e-9
"""A correlation of the (rounded) shape matrix beyond this is not zero."""


def _climbing(setting: Setting) -> str | None:
    return "the objective is moved away from its optimum" if setting.o.kind == "climbing" else None


CLIMBING = Refusal(
    "not a divergence that is minimised",
    "any",
    (OBJECTIVE,),
    "RenyiELBO with a < 0 maximises an upper bound, and R_alpha(P || Q) with alpha < 0 falls as D_alpha rises: neither "
    "optimises the divergence, so no theorem on divergences applies (chi-square is D_2, minimised).",
    "p = N(0, 1), a = -1, five or more draws: q = p has value 0 and every N(0, s^2) with s other than 1 a larger one.",
    "Li & Turner (2016) for the bounds",
    applies=_climbing,
    keys=("li2016",),
)


def _tuples_above_one(setting: Setting) -> str | None:
    alpha = setting.o.alpha
    if setting.o.kind == "tuples" and alpha is not None and alpha > 1:
        return f"with finitely many draws and alpha = {alpha:g} > 1 the objective is not a function of any f-divergence"
    return None


TUPLES_ABOVE_ONE = Refusal(
    "finite tuples at alpha > 1",
    "any",
    (OBJECTIVE,),
    "E log mean w^alpha with finitely many draws in a tuple and alpha > 1 is neither concave in the weights nor an "
    "f-divergence: nothing is known of its optimum.",
    "The derivative in one weight, E 1/(w + c w^a), is decreasing only for a = 1 - alpha >= 0.",
    "derived here",
    applies=_tuples_above_one,
)


def _coupled(setting: Setting) -> str | None:
    alpha = setting.o.alpha
    if setting.o.kind == "tuples" and not setting.o.independent and alpha is not None and alpha > 0:
        return "draws inside a tuple are coupled at a < 1"
    return None


COUPLED = Refusal(
    "coupled draws inside a tuple, a < 1",
    "any",
    (OBJECTIVE,),
    "Antithetic or quasi-random coupling inside an importance tuple changes the functional, and its optimum may be "
    "asymmetric although target and sampler are symmetric. Put the symmetry across tuples.",
    "Logistic target, K = 2, the pair (xi, -xi), a = 0: optima at +-1.204, not at 0.",
    "derived here",
    applies=_coupled,
)


def _adaptive(setting: Setting) -> str | None:
    return "f changes with the guide" if isinstance(setting.o.divergence, TailAdaptive) else None


ADAPTIVE = Refusal(
    "no fixed divergence",
    "any",
    (OBJECTIVE,),
    "The tail-adaptive divergence minimises no fixed number, so it has no minimiser to speak of.",
    "f is chosen anew from the ranks of the weights.",
    "Wang, Liu & Liu (2018)",
    applies=_adaptive,
    keys=("wang2018",),
)


def _infinite(setting: Setting) -> str | None:
    found = finite(setting)
    return found.words if found.is_refuted else None


INFINITE = Refusal(
    "infinite divergence",
    "any",
    (FINITE,),
    "Where the divergence is infinite for every guide of the family there is no optimum: alpha < 0 with a log-concave "
    "target and heavy-tailed guide, alpha >= 1 with a guide of bounded support, finite tuples that leave the support.",
    "The integrand does not vanish in the tail.",
    "elementary",
    applies=_infinite,
)


def _no_optimum(setting: Setting) -> str | None:
    found = setting.o.exists
    return f"there is no optimum: {found.words}" if found is not None and found.is_refuted else None


NO_OPTIMUM = Refusal(
    "no optimum",
    "any",
    (EXISTS,),
    "Where no minimiser exists there is none to speak of: what holds of every stationary point holds of nothing.",
    "Sample averages over fewer antithetic pairs than coordinates, with a full scale: C + c v v^T for v orthogonal to "
    "all of them keeps every draw and inflates log|C|.",
    "elementary",
    applies=_no_optimum,
)


def _not_closed(setting: Setting) -> str | None:
    if setting.g.family is None:
        return f"a {setting.g.name} is not closed under the symmetry, as far as is known"
    return None


NOT_CLOSED = Refusal(
    "guide outside every family",
    "any",
    (CLOSED,),
    "Flows, autoregressive guides, mixtures and point masses are not closed under the symmetries of a target: nothing "
    "follows for their optimum. Certify the fitted centre a posteriori instead.",
    "The image of the optimum is no member, so it is not compared with it.",
    "elementary",
    applies=_not_closed,
)


def _correlated_pairs(setting: Setting) -> tuple[tuple[int, ...], ...]:
    """Pairs with a correlation that is proved not to be zero, beside a guide without correlations."""
    p, q = setting.p, setting.g
    if q.pattern is None or q.pattern.name not in ("diagonal", "isotropic") or not p.second_moment.is_proved:
        return ()
    found: set[tuple[int, int]] = set()
    for symmetry in p.symmetries:
        action = symmetry.action
        if isinstance(action, EllipticalRotation) and action.shape is not None and symmetry.fact.is_proved:
            index = action.resolve_coordinates(p.dim).tolist()
            shape = torch.as_tensor(action.shape)
            scale = shape.diagonal().sqrt()
            correlated = (shape / (scale[:, None] * scale)).abs() > _NOT_ZERO
            for a, b in correlated.tril(-1).nonzero().tolist():
                found.add((min(index[a], index[b]), max(index[a], index[b])))
    return tuple(sorted(found))


def _diagonal(setting: Setting) -> str | None:
    if not _correlated_pairs(setting):
        return None
    return "the target's correlations are those of its shape, which is not diagonal; the guide's are zero"


DIAGONAL_CORRELATION = Refusal(
    "correlations of a diagonal guide",
    "correlation",
    (CLOSED,),
    "An elliptical target with a shape that is not diagonal has correlations; a diagonal guide has none, under every "
    "divergence.",
    "Cov_P is a multiple of M.",
    "elementary",
    applies=_diagonal,
    items=_correlated_pairs,
    verdict=Verdict.REFUTED,
)


def _antipodal(setting: Setting) -> str | None:
    if not setting.p.on_sphere:
        return None
    for symmetry in setting.p.symmetries:
        if symmetry.fact.is_proved and symmetry.pins(setting.p.dim).mean_space.shape[-1] == 0:
            return "the symmetry leaves no direction fixed: E x = 0"
    return None


ANTIPODAL = Refusal(
    "no direction",
    "direction",
    (UNIQUE,),
    "A law on the sphere with a symmetry that leaves no direction fixed (x -> -x for one) has E x = 0: its mean "
    "direction "
    "is undefined, and a direction that a von Mises-Fisher guide shows is spurious (two optima, or concentration "
    "zero).",
    "E x is fixed by the group, so it is 0. Reverse KL on exp(k (a . x)^2), n = 3: optima on both poles for k > 3.696.",
    "derived here",
    applies=_antipodal,
    verdict=Verdict.REFUTED,
)


THEOREMS: tuple[Refusal, ...] = (
    CLIMBING,
    TUPLES_ABOVE_ONE,
    COUPLED,
    ADAPTIVE,
    INFINITE,
    NO_OPTIMUM,
    NOT_CLOSED,
    DIAGONAL_CORRELATION,
    ANTIPODAL,
)
