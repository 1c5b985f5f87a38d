"""Why nothing is proved where nothing is: the counterexample a setting is open to. They explain, they block nothing."""

from __future__ import annotations

from ...distributions.bases import StudentT
from ...families import Fixed
from .facts import all_of
from .setting import Setting
from .theorem import CURVED, STRICT, UNIQUE, Refusal


def _gaps(setting: Setting) -> str | None:
    q, p = setting.g, setting.p
    if q.law is None or setting.regime != "forward" or not q.log_concave.is_proved:
        return None
    if q.strictly_log_concave.is_proved or p.positive_almost_everywhere.is_proved:
        return None
    return f"a {q.name} guide is not strictly log-concave, and the target may have gaps"


GAPS = Refusal(
    "target with gaps, guide not strictly log-concave",
    "mean",
    (STRICT,),
    "alpha >= 1 with a Laplace guide in one dimension at alpha = 1, or a product of Laplace laws in two or more, is "
    "flat "
    "where the target has gaps.",
    "Laplace guide, forward KL, target uniform on [-2, -1] and [1, 2]: flat on [-1, 1]. Product Laplace, chi-square, "
    "two "
    "discs at +-(10, 10): flat along (t, -t).",
    "derived here",
    applies=_gaps,
    blocking=False,
)


def _student_scale(setting: Setting) -> str | None:
    q = setting.g
    if not isinstance(q.law, StudentT) or setting.o.alpha != 1 or (q.dim == 1 and not q.scale_is_fixed):
        return None
    if isinstance(q.pattern, Fixed) or (q.law.spherical and not q.full_rank):
        return "a multivariate t with a diagonal or fixed scale may prefer one of two clusters"
    return None


STUDENT_SCALE = Refusal(
    "Student-t guide with a restricted scale",
    "mean",
    (UNIQUE,),
    "Forward KL with a multivariate t of diagonal or fixed scale need not have a symmetric optimum.",
    "d = 2, target two narrow clusters at +-(5, 5), k = 1.5, diagonal scale: optima at +-(4.97, 4.97).",
    "derived here",
    applies=_student_scale,
    blocking=False,
)


def _student_df(setting: Setting) -> str | None:
    q = setting.g
    if q.least_df is None or q.df_above_one or setting.o.alpha != 1:
        return None
    return "degrees of freedom may be one or less"


STUDENT_DF = Refusal(
    "Student-t guide with few degrees of freedom",
    "mean",
    (UNIQUE,),
    "Forward KL with k <= 1, or with learned k that may fall to 1 or below, need not have a symmetric optimum.",
    "Two narrow clusters at +-4: k = 0.5 has optima at +-3.904, learned k at +-3.999 with k = 0.267.",
    "derived here",
    applies=_student_df,
    blocking=False,
)


def _unsettled(setting: Setting) -> str | None:
    if setting.regime == "between" and not setting.g.scale_is_fixed:
        return "for 0 < alpha < 1 uniqueness of the scale is not settled outside elliptical targets"
    return None


UNSETTLED_SCATTER = Refusal(
    "scatter for 0 < alpha < 1",
    "correlation",
    (UNIQUE,),
    "For 0 < alpha < 1 and a group that is not the full elliptical one, uniqueness of the scale of log-concave pairs "
    "is "
    "an open question.",
    "A maximal-intersection problem for ellipsoids; no counterexample is known.",
    "open",
    applies=_unsettled,
    blocking=False,
)


def _curved(setting: Setting) -> str | None:
    alpha = setting.o.alpha
    if alpha is None or alpha >= 1 or all_of(setting.p.log_concave, setting.p.proper).is_proved:
        return None
    return f"at alpha = {alpha:g} < 1 the target has to be log-concave or unimodal, which was not shown"


NOT_CURVED = Refusal(
    "alpha < 1 without log-concavity",
    "any",
    (CURVED,),
    "Below alpha = 1 a symmetric target may have asymmetric optima: one on each mode.",
    "Normal guide, reverse KL, two normals at +-3: the centred fit has KL 0.841, those at +-2.98 have 0.689.",
    "derived here",
    applies=_curved,
    blocking=False,
)

THEOREMS: tuple[Refusal, ...] = (GAPS, STUDENT_SCALE, STUDENT_DF, UNSETTLED_SCATTER, NOT_CURVED)
