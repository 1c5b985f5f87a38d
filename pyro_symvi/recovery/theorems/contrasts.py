"""Exchangeable coordinates: equal locations, where the optimum is unique as a law."""

from __future__ import annotations

from ..verdicts import Premise
from .general import COMMON
from .setting import Setting
from .strictness import s_between
from .target import Symmetry
from .theorem import STRICT, UNIQUE, APriori
from .uniqueness import keeps_scale, law_unique, location_unique, symmetric_premises


def _law(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or setting.p.on_sphere or not _leaves_means_equal(setting, symmetry):
        return None
    alone = keeps_scale(setting, symmetry.action) and setting.regime in ("reverse", "forward")
    unique = location_unique(setting) if alone else law_unique(setting)
    return symmetric_premises(setting, symmetry, unique.premise(UNIQUE), fixed_scale=alone)


def _between(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or setting.regime != "between" or not setting.o.is_population or setting.p.on_sphere:
        return None
    if not keeps_scale(setting, symmetry.action) or not _leaves_means_equal(setting, symmetry):
        return None
    return symmetric_premises(setting, symmetry, s_between(setting).premise(STRICT), fixed_scale=True)


def _leaves_means_equal(setting: Setting, symmetry: Symmetry) -> bool:
    return bool(symmetry.pins(setting.p.dim).orbits)


_PROOF = (
    "The optimum is invariant, so its location lies in the fixed subspace: constant on each orbit of coordinates. "
    "Uniqueness of the location at the optimal scale is not enough where a permutation moves that scale: then it maps "
    "one "
    "optimum to another."
)

CONTRASTS = APriori(
    "exchangeable coordinates",
    "contrasts",
    (*COMMON, UNIQUE),
    "p invariant under permutations of coordinates, a family closed under them, the optimal law unique (alpha <= 0 "
    "with "
    "p log-concave, alpha >= 1 with q0 log-concave, exponential families, Student-t guides): locations are equal on "
    "each "
    "orbit, as the means of P are. Their common value is not recovered by this symmetry.",
    _PROOF,
    "Marks, Paccagnan & van der Wilk (2026), arXiv:2604.18310, for the principle; proof as here",
    judge=_law,
    keys=("marks2026",),
)

CONTRASTS_BETWEEN = APriori(
    "exchangeable coordinates, 0 < alpha < 1",
    "contrasts",
    (*COMMON, STRICT),
    "0 < alpha < 1, p and q0 log-concave with S01, and every scale of the pattern invariant under the permutations "
    "(isotropic; tied by the group): the location is unique at each scale, so contrasts are zero.",
    _PROOF,
    "Prekopa (1973); proof as here",
    judge=_between,
    keys=("prekopa1973",),
)

THEOREMS = (CONTRASTS, CONTRASTS_BETWEEN)
