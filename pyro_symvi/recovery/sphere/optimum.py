"""Does the divergence that was minimised hold the fitted direction where it is? A veto, not a premise.

A symmetry says where the target's mean lies, whatever was fitted. A fit may sit there by accident: on a saddle, or in a
local optimum while a better one lies off the axis. Its next run would end elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from ...families import VonMisesFisherFamily
from ..report.entry import Entry
from ..verdicts import Verdict
from .density import random_directions, tangent
from .facts import SphereFacts
from .matching import SphereObjective, SphereOptimum, start_directions
from .moments import thinned
from .statistics import angle_between

_MOVED = 0.05
_MARGIN = 1e-3
_STEP = 1e-3


class Optimum:
    """The minima of the divergence as far as they were looked for; found once, when first asked for.

    Args:
        facts: What is known of the target and the fitted law.
    """

    def __init__(self, facts: SphereFacts) -> None:
        self._facts = facts
        self._saddle, self._level = False, float("inf")
        self._end: SphereOptimum | None = None
        self._others: list[SphereOptimum] | None = None

    def vetoed(self, entries: tuple[Entry, ...], *, signed: bool) -> tuple[Entry, ...]:
        """Entries as they are, or UNKNOWN where the divergence, known, does not hold the fitted value."""
        if not any(entry.verdict >= Verdict.BOUNDED and entry.theorem for entry in entries):
            return entries
        doubt = self.doubt(signed=signed)
        if not doubt:
            return entries
        added = f"; but {self._facts.subject.divergence!r} does not hold it there: {doubt}"
        return tuple(replace(e, verdict=Verdict.UNKNOWN, bound=torch.nan, reason=e.reason + added) for e in entries)

    def doubt(self, *, signed: bool) -> str:
        """What would move the fitted direction (the fitted axis, unless signed); empty if nothing was found."""
        if self._others is None:
            self._others = self._look()
        fitted = self._facts.subject.direction
        if fitted is None:
            return ""
        if self._saddle:
            return "it is a saddle, which falls off to the side"
        if self._end is not None:
            moved = _apart(fitted, self._end, signed)
            if moved > _MOVED + self._facts.angular_sd / 10:
                return f"a few steps of descent lead {moved:.2g} rad away"
        for other in self._others:
            apart = _apart(fitted, other, signed)
            if other.value < self._level - _MARGIN * max(1.0, abs(self._level)) and apart > _MOVED:
                return f"a better optimum lies {apart:.2g} rad away, lower by {self._level - other.value:.3g}"
        return ""

    def _look(self) -> list[SphereOptimum]:
        subject, objective = self._facts.subject, _objective(self._facts)
        if objective is None or subject.direction is None:
            return []
        v = subject.concentration * subject.direction
        here = float(objective(v))
        if not here < float("inf"):
            return []
        self._saddle = _falls(objective, v, here)
        if self._saddle:
            return []
        self._end = objective.minimum_from(v)
        self._level = here if self._end is None else min(here, self._end.value)
        return objective.minima(start_directions(self._facts.moments, self._facts.peaks))


def _objective(facts: SphereFacts) -> SphereObjective | None:
    """The objective, where the question is open: None where it is unknown, or structure settles it."""
    subject = facts.subject
    divergence, family = subject.divergence, subject.family
    if divergence is None or family is None or subject.concentration <= 1e-6 or not divergence.in_alpha_family:
        return None
    is_vmf = isinstance(family, VonMisesFisherFamily)
    if is_vmf and (facts.exact is not None or divergence.alpha >= 1 or facts.increases):
        return None  # D = 0 at the target alone; strictly convex; every stationary point has the direction a
    try:
        return SphereObjective(thinned(subject.density, facts.rough), family, divergence)
    except ValueError:
        return None


def _falls(objective: SphereObjective, v: torch.Tensor, here: float) -> bool:
    """Whether the objective falls on both sides along some tangent: second differences of a turn of 1e-3 rad."""
    dim = len(v)
    generator = torch.Generator().manual_seed(3)
    across = tangent(v / v.norm(), random_directions(4, dim, generator))
    for u in across / across.norm(dim=-1, keepdim=True).clamp_min(1e-12):
        step = _STEP * float(v.norm()) * u
        sides = [float(objective((v + s * step) * (v.norm() / (v + s * step).norm()))) for s in (1, -1)]
        if max(sides) < here - 1e-9 * max(1.0, abs(here)):
            return True
    return False


def _apart(direction: torch.Tensor, optimum: SphereOptimum, signed: bool) -> float:
    """Angle to an optimum; a concentration of zero has no direction, and is as far as can be."""
    if optimum.concentration <= 1e-6:
        return torch.pi / 2
    angle = angle_between(direction, optimum.direction)
    return angle if signed else min(angle, torch.pi - angle)
