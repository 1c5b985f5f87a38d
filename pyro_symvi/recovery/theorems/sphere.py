"""Von Mises-Fisher guides on the sphere: axis, direction, and the sign that needs an argument of its own."""

from __future__ import annotations

from ..verdicts import Evidence, Premise
from .facts import decided
from .finiteness import finite
from .general import COMMON, capped, is_connected
from .setting import Setting
from .target import Symmetry
from .theorem import BASE, EXISTS, FINITE, INVARIANCE, MOMENTS, OBJECTIVE, PROFILE, PROPER, UNIQUE, APriori
from .uniqueness import exponential_route, symmetric_premises


def fixes_an_axis(setting: Setting, symmetry: Symmetry | None) -> bool:
    """Whether the target is on a sphere and the group leaves one line fixed, the axis."""
    if symmetry is None or not setting.p.on_sphere:
        return False
    return symmetry.pins(setting.p.dim).mean_space.shape[-1] == 1


def _vmf(setting: Setting) -> Premise:
    words = "a von Mises-Fisher guide"
    return decided(setting.g.is_von_mises_fisher, words, f"{setting.g.name} is no {words[2:]}").premise(BASE)


def _axis(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or not fixes_an_axis(setting, symmetry) or setting.regime != "forward":
        return None
    unique = exponential_route(setting).premise(UNIQUE)
    return symmetric_premises(setting, symmetry, _vmf(setting), unique)


AXIS = APriori(
    "von Mises-Fisher axis, alpha >= 1",
    "axis",
    (*COMMON, BASE, UNIQUE),
    "p on the sphere invariant under a group whose only fixed line is that of a (rotations about a; in the plane the "
    "mirror that keeps a; C_k about a in three dimensions), alpha >= 1, p^alpha integrable: the optimal direction is a "
    "or -a, or the concentration is zero. The sign is not pinned.",
    "The divergence is strictly convex in kappa mu, so the optimum is unique and fixed: kappa mu is a multiple of a.",
    "Marks, Paccagnan & van der Wilk (2026), arXiv:2604.18310; proof as here",
    judge=_axis,
    keys=("marks2026",),
)


def _isolated(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or not fixes_an_axis(setting, symmetry) or setting.o.isolated.evidence is Evidence.UNKNOWN:
        return None
    if not is_connected(symmetry.action, setting.p.dim):
        return None
    found = symmetric_premises(setting, symmetry, _vmf(setting), capped(setting.o.isolated).premise(UNIQUE))
    return tuple(premise for premise in found if premise.name != EXISTS)


AXIS_CONNECTED = APriori(
    "von Mises-Fisher axis, isolated point",
    "axis",
    (INVARIANCE, PROPER, "closed family", OBJECTIVE, BASE, UNIQUE, FINITE),
    "p invariant under all rotations about a, n >= 3, any f: a stationary point with a non-singular Hessian lies on "
    "the "
    "axis: direction a or -a, or concentration zero. It speaks of that point alone; C_k does not do.",
    "SO(n - 1) is connected: the orbit of an isolated point is the point.",
    "proof as here",
    judge=_isolated,
    stationary=True,
)


def _monotone(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if not setting.p.on_sphere or setting.p.increasing_profile.evidence is Evidence.UNKNOWN:
        return None
    return (
        setting.p.proper.premise(PROPER),
        _vmf(setting),
        setting.p.increasing_profile.premise(PROFILE),
        setting.o.strictly_convex.premise(OBJECTIVE),
        finite(setting).premise(FINITE),
    )


DIRECTION_MONOTONE = APriori(
    "von Mises-Fisher direction, monotone profile",
    "direction",
    (PROPER, BASE, PROFILE, OBJECTIVE, FINITE),
    "p(x) = w(a . x) with w never decreasing and not constant (steps allowed), any f with f'' > 0 and D_f finite, "
    "also finitely many independent draws with a >= 0: at every stationary point kappa > 0 and the direction is a.",
    "Off the axis, pair x with its mirror image across the complement of the tangent towards a: p is larger on that "
    "side, "
    "h = f - u f' decreasing, so the derivative is negative. On the axis at kappa mu = s a, s <= 0, the derivative is "
    "a "
    "covariance of a . x with a decreasing function of it (Chebyshev).",
    "derived here",
    judge=_monotone,
    symmetric=False,
    stationary=True,
)


def _moments(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if not setting.p.on_sphere or setting.o.alpha != 1 or not setting.o.is_population:
        return None
    return (setting.p.proper.premise(PROPER), _vmf(setting), setting.p.has_direction.premise(MOMENTS))


DIRECTION_MOMENTS = APriori(
    "von Mises-Fisher direction, forward KL",
    "direction",
    (PROPER, BASE, MOMENTS),
    "Forward KL, E_P x not zero, P no point mass: the unique optimum has direction E x / |E x| and kappa = A^{-1}(|E "
    "x|). "
    "No symmetry is needed.",
    "Maximum likelihood in an exponential family with statistic x.",
    "Mardia & Jupp (2000), section 10.3",
    judge=_moments,
    symmetric=False,
    keys=("mardia2000",),
)


def _escort(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    found = _axis(setting, symmetry)
    alpha = setting.o.alpha
    return found if found is not None and alpha is not None and alpha > 1 else None


ESCORT_DIRECTION = APriori(
    "von Mises-Fisher sign, alpha > 1",
    "escort direction",
    (*COMMON, BASE, UNIQUE),
    "alpha > 1, p invariant about a: the direction is a times the sign of the *escort* mean, that of the law "
    "proportional "
    "to p^alpha (where it is not zero). It may be opposite to the direction of E_P x.",
    "At kappa = 0 the derivative along a is (1 - alpha) times the escort mean of a . x, and the objective is convex.",
    "derived here",
    judge=_escort,
)

THEOREMS = (AXIS, AXIS_CONNECTED, DIRECTION_MONOTONE, DIRECTION_MOMENTS, ESCORT_DIRECTION)
