"""Moment matching: normal guides under forward KL, without any symmetry."""

from __future__ import annotations

from ..verdicts import Premise
from .facts import Fact, decided, proved
from .finiteness import finite
from .setting import Setting
from .target import Symmetry
from .theorem import BASE, FINITE, MOMENTS, OBJECTIVE, PROPER, SCALE, APriori


def _common(setting: Setting) -> tuple[Premise, ...] | None:
    if not setting.g.is_normal or setting.o.alpha != 1 or not setting.o.is_population:
        return None
    p = setting.p
    return (
        proved("a normal base; the location ranges over all of R^d").premise(BASE),
        proved("forward KL; or the cross-entropy, where P's entropy is infinite").premise(OBJECTIVE),
        p.proper.premise(PROPER),
        Fact(p.second_moment.evidence, f"second moments: {p.second_moment.words}").premise(MOMENTS),
        finite(setting).premise(FINITE),
    )


def _mean(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    return _common(setting)


def _covariance(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    found = _common(setting)
    if found is None:
        return None
    full = decided(setting.g.full_rank, "a full scale", f"a {setting.g.name} guide cannot take every covariance")
    return (*found, full.premise(SCALE))


def _variances(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    found = _common(setting)
    if found is None or setting.g.full_rank:
        return None
    name = setting.g.pattern.name if setting.g.pattern else ""
    own = decided(name in ("full", "diagonal", "block_diagonal"), "each variance is free", f"{name} variances are tied")
    return (*found, own.premise(SCALE))


MOMENT_MEAN = APriori(
    "moment matching",
    "mean",
    (BASE, OBJECTIVE, PROPER, MOMENTS, FINITE),
    "Forward KL, a normal guide with any pattern of scales, fixed or learned, the location free in R^d: every point "
    "that "
    "is stationary in the location has nu = E_P z, for every P with second moments. No symmetry is needed.",
    "The location enters through (E_P z - nu)^T S^{-1} (E_P z - nu) / 2 alone.",
    "classical; see Bishop (2006), section 10.7",
    judge=_mean,
    symmetric=False,
    stationary=True,
    keys=("bishop2006",),
)

MOMENT_COVARIANCE = APriori(
    "moment matching: covariance",
    "covariance",
    (BASE, OBJECTIVE, PROPER, MOMENTS, FINITE, SCALE),
    "As before with a full scale: S = Cov_P, variances and correlations.",
    "Given nu = E_P z the objective is log|S| + tr(S^{-1} Cov_P), smallest at Cov_P alone.",
    "classical; see Bishop (2006), section 10.7",
    judge=_covariance,
    symmetric=False,
    keys=("bishop2006",),
)

MOMENT_VARIANCES = APriori(
    "moment matching: variances",
    "variances",
    (BASE, OBJECTIVE, PROPER, MOMENTS, FINITE, SCALE),
    "As before with a diagonal or block scale: the variances are those of P (and the covariances inside blocks), the "
    "other covariances are zero by construction. An isotropic guide has the average variance.",
    "The objective separates into blocks.",
    "classical; see Bishop (2006), section 10.7",
    judge=_variances,
    symmetric=False,
    keys=("bishop2006",),
)

THEOREMS = (MOMENT_MEAN, MOMENT_COVARIANCE, MOMENT_VARIANCES)
