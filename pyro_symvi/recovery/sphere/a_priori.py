"""What theory says of the optimum before any fit, where the divergence is known: remarks, not premises."""

from __future__ import annotations

import torch

from ...families import VonMisesFisherFamily
from ..theorems.sphere import DIRECTION_MOMENTS, DIRECTION_MONOTONE, ESCORT_DIRECTION
from .facts import SEPARATION, SphereFacts
from .statistics import MeanDirection


def a_priori(facts: SphereFacts, known: MeanDirection) -> tuple[str, ...]:
    """Remarks on the optimum of the divergence that was minimised; none where it is not known, or nothing fitted."""
    subject = facts.subject
    if subject.divergence is None or subject.family is None:
        return ()
    if not isinstance(subject.family, VonMisesFisherFamily):
        return (
            "a priori: the guide's family is no exponential family, so nothing is known of its optimum before the fit; "
            "what is said of the fitted direction stands on the target alone",
        )
    if known.undefined:
        return (
            "a priori: E x = 0. A unique optimum (alpha >= 1) has concentration 0; for alpha < 1 there may be several "
            "optima with spurious directions",
        )
    notes = []
    order = subject.order
    increasing = facts.increases and known.d is not None
    if increasing:
        notes.append(
            f"a priori ({DIRECTION_MONOTONE.name}): p = w(a.x) with w increasing, proved, so every stationary point of "
            "every f-divergence has the direction a and a positive concentration"
        )
    if order is None:
        return tuple(notes)
    if order == 1:
        text = "forward KL has one optimum, with the direction of E x and the concentration of |E x|"
        notes.append(f"a priori ({DIRECTION_MOMENTS.name}): {text}")
    elif order > 1 and facts.moments.reliable:
        notes.append(_escort(facts, known, order))
    elif order < 1 and not increasing:
        notes.append(
            "a priori: for alpha < 1, and a density that is not shown to increase along an axis, the optimum may lie "
            "off the axis, or there may be several"
        )
    return tuple(notes)


def _escort(facts: SphereFacts, known: MeanDirection, order: float) -> str:
    """For alpha > 1 the sign of the direction is that of the mean under p^alpha."""
    escort, error = facts.moments.mean_of(facts.moments.x, order)
    length = float(escort.norm())
    text = f"a priori ({ESCORT_DIRECTION.name}): one optimum, on the axis, with the sign of the mean under p^alpha"
    if length <= SEPARATION + 10 * float(error.norm()):
        return f"{text}, which is zero here"
    if known.d is None:
        return text
    same = float(torch.dot(escort, known.d)) > 0
    return f"{text}, which points {'the same way as' if same else 'opposite to'} E x here"
