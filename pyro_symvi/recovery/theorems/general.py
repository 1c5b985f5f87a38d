"""The general theorem: symmetries of the target are those of a unique optimum. All others supply its uniqueness."""

from __future__ import annotations

from ...groups import LinearAction
from ..verdicts import Evidence, Premise
from .facts import Fact
from .setting import Setting
from .target import Symmetry
from .theorem import CLOSED, EXISTS, FINITE, INVARIANCE, OBJECTIVE, PROPER, UNIQUE, APriori
from .uniqueness import symmetric_premises

COMMON = (INVARIANCE, PROPER, CLOSED, OBJECTIVE, FINITE, EXISTS)
"""Premises of every theorem with a symmetry."""


def _granted(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or setting.o.unique.evidence is Evidence.UNKNOWN:
        return None
    return symmetric_premises(setting, symmetry, setting.o.unique.premise(UNIQUE))


_G_STATEMENT = (
    "Let g#P = P for every g, let the family be closed under every g, and Q* be the unique minimiser of a divergence "
    "that every bijection leaves unchanged (every f-divergence, Renyi's, and bounds of independent tuples). Then "
    "g#Q* = Q*: every equivariant statistic of Q* is fixed by the group, as that of P is. What all fixed values share "
    "is "
    "recovered."
)
_G_PROOF = (
    "D depends on the law of dP/dQ alone, which a bijection does not change: D(P, g#Q*) = D(g#P, g#Q*) = D(P, Q*), and "
    "by uniqueness g#Q* = Q*. Without uniqueness the set of minimisers is invariant, not its members."
)
_G_REFERENCE = "Marks, Paccagnan & van der Wilk (2026), arXiv:2604.18310; proof as here"

GENERAL_MEAN = APriori(
    "invariance of a unique optimum",
    "mean",
    (*COMMON, UNIQUE),
    _G_STATEMENT,
    _G_PROOF,
    _G_REFERENCE,
    judge=_granted,
    keys=("marks2026",),
)

GENERAL_CORRELATION = APriori(
    "invariance of a unique optimum: scatter",
    "correlation",
    (*COMMON, UNIQUE),
    _G_STATEMENT,
    _G_PROOF,
    _G_REFERENCE,
    judge=_granted,
    keys=("marks2026",),
)


def is_connected(action: LinearAction, dim: int) -> bool:
    """Whether the group is connected and moves something: SO(n), n >= 2; O(n) counts through its subgroup SO(n)."""
    from ...groups import AxialRotation, EllipticalRotation, SphereRotation

    if isinstance(action, AxialRotation):
        return action.dim >= 3
    if isinstance(action, EllipticalRotation):
        return len(action.resolve_coordinates(dim)) >= 2
    return isinstance(action, SphereRotation) and action.n >= 2


def _isolated(setting: Setting, symmetry: Symmetry | None) -> tuple[Premise, ...] | None:
    if symmetry is None or not is_connected(symmetry.action, setting.p.dim) or setting.p.on_sphere:
        return None
    if setting.o.isolated.evidence is Evidence.UNKNOWN:
        return None
    found = symmetric_premises(setting, symmetry, capped(setting.o.isolated).premise(UNIQUE))
    return tuple(premise for premise in found if premise.name != EXISTS)


def capped(isolated: Fact) -> Fact:
    """A Hessian at a floating-point stationary point shows isolation numerically: verified at most."""
    if isolated.evidence is Evidence.PROVED:
        return Fact(Evidence.VERIFIED, isolated.words)
    return isolated


CONNECTED = APriori(
    "isolated points under a connected group",
    "mean",
    (INVARIANCE, PROPER, CLOSED, OBJECTIVE, UNIQUE, FINITE),
    "A connected group that acts continuously on the parameters fixes every isolated stationary point of an invariant "
    "objective: SO(n) with n >= 2 in R^n, SO(n - 1) about an axis with n >= 3. Nothing of the kind holds for finite "
    "groups (reflections, cyclic ones), and nothing is said of other stationary points.",
    "The orbit of the point is connected and lies in a discrete set, so it is one point. An asymmetric stationary "
    "point "
    "comes with a direction along its orbit in which the Hessian is zero.",
    "Palais (1979) for the principle of symmetric criticality; proof as here",
    judge=_isolated,
    stationary=True,
    keys=("palais1979",),
)

THEOREMS = (GENERAL_MEAN, GENERAL_CORRELATION, CONNECTED)
