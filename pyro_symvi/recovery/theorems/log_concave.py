"""Log-concavity: where it has to sit depends on alpha (target, both, guide); packs make the optimum unique."""

from __future__ import annotations

from ...groups import LinearAction, PointReflection
from ..verdicts import Premise
from .facts import all_of, assumed
from .general import COMMON
from .setting import Setting
from .strictness import location_strict, s_between, s_minus, s_plus
from .target import Symmetry
from .theorem import CURVED, STRICT, UNIQUE, APriori, Judge
from .uniqueness import convex_scatter, keeps_scale, symmetric_premises


def _at_fixed_scale(regime: str) -> Judge:
    """The location at a fixed scale: for symmetries that act trivially on the scale."""

    def judge(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
        if symmetry is None or setting.regime != regime or setting.p.on_sphere:
            return None
        if not keeps_scale(setting, symmetry.action):
            return None
        if regime == "between" and not setting.o.is_population and not is_even(symmetry.action, setting.p.dim):
            return None
        if regime == "between" and not setting.o.is_population and not setting.o.independent:
            return None
        strict = {"reverse": s_minus, "between": s_between, "forward": s_plus}[regime](setting)
        return symmetric_premises(setting, symmetry, strict.premise(STRICT), fixed_scale=True)

    return judge


def is_even(action: LinearAction, dim: int) -> bool:
    """Whether it is the reflection of all coordinates about a point."""
    return isinstance(action, PointReflection) and len(action.resolve_coordinates(dim)) == dim


_TRICHOTOMY = "Margossian & Saul (2025), arXiv:2410.11067, for reverse KL; Zellinger & Vergari (2026), arXiv:2604.21407"

REVERSE = APriori(
    "log-concave target, alpha <= 0",
    "mean",
    (*COMMON, STRICT),
    "alpha <= 0 (reverse KL among them), p log-concave with S-: the objective is strictly convex in the location at "
    "every "
    "fixed scale. So under a symmetry that acts trivially on the scale, evenness with any base and pattern for one, "
    "the "
    "location lies in the fixed subspace about the centre. Holds for tuples of K draws with a >= 1, whose joint law is "
    "invariant.",
    "Substitute z = nu + C xi: -log p(nu + C xi) is jointly convex in (nu, C), and so is |C|^a times a mean of its "
    "exponentials; S- makes it strict in nu.",
    _TRICHOTOMY + "; strictness as here",
    judge=_at_fixed_scale("reverse"),
    keys=("margossian2025", "zellinger2026"),
)

BETWEEN = APriori(
    "log-concave target and guide, 0 < alpha < 1",
    "mean",
    (*COMMON, STRICT),
    "0 < alpha < 1, p and q0 log-concave with S01: the affinity is strictly log-concave in the location at every fixed "
    "scale (nothing is known of the scale). Under a symmetry that acts trivially on the scale the location lies in the "
    "fixed subspace. For evenness also with finitely many independent draws, a >= 0.",
    "(z, nu) -> p(z)^alpha q0(C^{-1}(z - nu))^(1 - alpha) is log-concave, and so is its integral over z (Prekopa); the "
    "equality case (Dubuc) makes log p affine along v and log q0 along v - nu, impossible under S01.",
    "Prekopa (1973); Dubuc (1977); Zellinger & Vergari (2026), arXiv:2604.21407",
    judge=_at_fixed_scale("between"),
    keys=("dubuc1977", "prekopa1973", "zellinger2026"),
)

FORWARD = APriori(
    "log-concave guide, alpha >= 1",
    "mean",
    (*COMMON, STRICT),
    "alpha >= 1 (forward KL among them), q0 log-concave with S+, p arbitrary: the objective is strictly convex in the "
    "location at every fixed scale. Under a symmetry that acts trivially on the scale the location lies in the fixed "
    "subspace.",
    "-log q0(B z - b) is jointly convex in (B, b), and so are p^alpha exp((alpha - 1)(-log q)) and its integral; S+ "
    "makes it strict in b.",
    _TRICHOTOMY + "; strictness as here",
    judge=_at_fixed_scale("forward"),
    keys=("margossian2025", "zellinger2026"),
)


def _convex_only(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or setting.regime is None or not keeps_scale(setting, symmetry.action):
        return None
    if location_strict(setting).is_proved or setting.p.on_sphere:
        return None
    if setting.regime == "between" and not setting.o.is_population:
        return None
    curved = {
        "reverse": all_of(setting.p.proper, setting.p.log_concave),
        "between": all_of(setting.p.proper, setting.p.log_concave, setting.g.log_concave),
        "forward": setting.g.log_concave,
    }[setting.regime]
    granted = assumed(f"assumed: the optimum is unique; it was not shown ({location_strict(setting).words})")
    more = (curved.premise(CURVED), granted.premise(UNIQUE))
    return symmetric_premises(setting, symmetry, *more, fixed_scale=True)


CONVEX = APriori(
    "log-concavity without strictness",
    "mean",
    (*COMMON, CURVED, UNIQUE),
    "With the log-concavity of its regime but no strictness pack the objective is convex in the location: a symmetric "
    "minimiser exists, and it is the one returned if there is no other.",
    "The minimisers form a convex set that the (compact) group maps to itself; its average over the group is "
    "symmetric.",
    "convexity; uniform targets under uniform guides show that others may exist",
    judge=_convex_only,
)


def _with_scale(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or setting.regime not in ("reverse", "forward") or setting.p.on_sphere:
        return None
    if keeps_scale(setting, symmetry.action):
        return None
    both = all_of(convex_scatter(setting), location_strict(setting))
    return symmetric_premises(setting, symmetry, both.premise(UNIQUE))


LAW = APriori(
    "log-concavity, location and scale together",
    "mean",
    (*COMMON, UNIQUE),
    "alpha <= 0 with p log-concave and S-, or alpha >= 1 with q0 log-concave and S+, and the scales (their inverses) a "
    "convex set of positive definite matrices: location and scatter of the optimum are unique together, so symmetries "
    "that move the scale (flips with a full scale, permutations) are inherited, too.",
    "The objective is c (-log|C|) + convex with c > 0, and -log|C| is strictly convex: all minimisers share their "
    "scatter; at it the location is unique by the pack.",
    _TRICHOTOMY + "; uniqueness of the scatter as here",
    judge=_with_scale,
    keys=("margossian2025", "zellinger2026"),
)


def _scatter(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or setting.regime not in ("reverse", "forward") or setting.p.on_sphere:
        return None
    return symmetric_premises(setting, symmetry, convex_scatter(setting).premise(UNIQUE))


SCATTER = APriori(
    "log-concavity: scatter",
    "correlation",
    (*COMMON, UNIQUE),
    "alpha <= 0 with p log-concave, or alpha >= 1 with q0 log-concave, and a convex set of scales: all minimisers "
    "share "
    "one scatter S (no strictness is needed), so A_g S A_g^T = S. Under elliptical symmetry, or any irreducible group, "
    "S is a multiple of M: correlations are right where those of P exist.",
    "As before: -log|C| is strictly convex. The set of minimisers is invariant under the group, and S is common to "
    "all.",
    "Margossian & Saul (2025), arXiv:2410.11067, for reverse KL and elliptical targets; Schur's lemma",
    judge=_scatter,
    keys=("margossian2025",),
)


THEOREMS = (REVERSE, BETWEEN, FORWARD, CONVEX, LAW, SCATTER)
