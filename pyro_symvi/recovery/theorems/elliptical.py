"""Elliptical targets that decrease with the radius, spherical guides: every divergence, every stationary point."""

from __future__ import annotations

from ...groups import AxisFlips, EllipticalRotation, PointReflection
from ..verdicts import Premise
from .facts import decided, unknown
from .finiteness import finite
from .setting import Setting
from .strictness import s_elliptical
from .target import Symmetry
from .theorem import BASE, FINITE, INVARIANCE, OBJECTIVE, PROFILE, PROPER, SCALE, APriori


def _premises(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    q, dim = setting.g, setting.p.dim
    if symmetry is None or q.law is None:
        return None
    action = symmetry.action
    kinds = (EllipticalRotation, PointReflection, AxisFlips) if dim == 1 else (EllipticalRotation,)
    if not isinstance(action, kinds) or len(action.resolve_coordinates(dim)) < dim:
        return None
    return (
        symmetry.fact.premise(INVARIANCE),
        setting.p.proper.premise(PROPER),
        decided(q.spherical, "the base is spherical", f"a {q.name} guide has no spherical base").premise(BASE),
        s_elliptical(setting, symmetry).premise(PROFILE),
        setting.o.strictly_convex.premise(OBJECTIVE),
        finite(setting).premise(FINITE),
    )


def _with_scatter(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    found = _premises(setting, symmetry)
    if found is None:
        return None
    full = decided(setting.g.full_rank, "a full scale", f"a {setting.g.name} guide has no full scale")
    return (*found, (full if full.is_proved else unknown(full.words)).premise(SCALE))


_COMMON = (INVARIANCE, PROPER, BASE, PROFILE, OBJECTIVE, FINITE)
_REFERENCE = "Margossian, Rankin & Saul (2026), arXiv:2511.01064; proof as here"

ELLIPTICAL_MEAN = APriori(
    "elliptical and decreasing, any divergence",
    "mean",
    _COMMON,
    "p elliptical about c and q0 spherical, both never increasing with the radius, one of them strictly decreasing and "
    "positive, f'' > 0, D_f finite: at every fixed scale (full, diagonal, low-rank) the only stationary location is c.",
    "In coordinates with S = I and nu = 0 take an eigenvector e of p's quadratic form with e . c > 0. The reflection "
    "across e's complement keeps q and lowers p on e . z > 0; the derivative pairs to an integral of one sign.",
    _REFERENCE,
    judge=_premises,
    stationary=True,
    keys=("margossian2026",),
)

ELLIPTICAL_SCATTER = APriori(
    "elliptical and decreasing, any divergence: scatter",
    "correlation",
    (*_COMMON, SCALE),
    "As before with a full scale: at every stationary point nu = c and S is a multiple of M, for every f-divergence "
    "with "
    "f'' > 0 and for finitely many independent draws with a >= 0.",
    "At nu = c, p spherical: if s_1 > s_2, stretching (s_1 e^t, s_2 e^-t) raises the divergence, by pairing w with its "
    "image under the swap of the first two whitened coordinates.",
    _REFERENCE,
    judge=_with_scatter,
    stationary=True,
    keys=("margossian2026",),
)

THEOREMS = (ELLIPTICAL_MEAN, ELLIPTICAL_SCATTER)
