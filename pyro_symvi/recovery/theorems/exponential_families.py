"""Exponential families at alpha >= 1: strictly convex in the natural parameter, whatever the target."""

from __future__ import annotations

from ..verdicts import Premise
from .general import COMMON
from .setting import Setting
from .target import Symmetry
from .theorem import BASE, APriori
from .uniqueness import symmetric_premises


def _premises(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or setting.regime != "forward" or setting.p.on_sphere:
        return None
    if not setting.g.is_normal:
        return None
    return symmetric_premises(setting, symmetry, setting.g.exponential.premise(BASE))


_STATEMENT = (
    "A regular minimal exponential family with a convex natural space (normal laws with a full, diagonal, isotropic, "
    "block, tied or fixed scale), alpha >= 1, p arbitrary: the optimum is unique where the divergence is finite, so it "
    "has every symmetry of p under which the family is closed."
)
_PROOF = (
    "log of the integral of p^alpha exp((1 - alpha) eta . T) is convex in eta and (alpha - 1) A(eta) strictly so; at "
    "alpha = 1 the cross-entropy A(eta) - eta . E T is. R_alpha is at least KL(P || Q), which is coercive."
)
_REFERENCE = "classical at alpha = 1 (Barndorff-Nielsen, 1978); for alpha > 1 as here"

EXPONENTIAL_MEAN = APriori(
    "exponential family, alpha >= 1",
    "mean",
    (*COMMON, BASE),
    _STATEMENT,
    _PROOF,
    _REFERENCE,
    judge=_premises,
    keys=("barndorffnielsen1978",),
)

EXPONENTIAL_CORRELATION = APriori(
    "exponential family, alpha >= 1: scatter",
    "correlation",
    (*COMMON, BASE),
    _STATEMENT,
    _PROOF,
    _REFERENCE,
    judge=_premises,
    keys=("barndorffnielsen1978",),
)


THEOREMS = (EXPONENTIAL_MEAN, EXPONENTIAL_CORRELATION)
