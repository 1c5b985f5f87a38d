"""What a theorem is: one frozen record; a priori ones say how their premises are read off a setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...groups import LinearAction
from ..verdicts import Premise, Verdict
from .pins import Pinned, pins

if TYPE_CHECKING:
    from .setting import Setting
    from .target import Symmetry

INVARIANCE = "invariance"
MOMENTS = "moments"
FITTED = "fitted value"
SUPPORT = "tails seen"
PROPER = "proper target"
CLOSED = "closed family"
OBJECTIVE = "objective"
UNIQUE = "unique optimum"
STRICT = "strictness"
CURVED = "log-concavity"
FINITE = "finite divergence"
EXISTS = "optimum exists"
UNIMODAL = "unimodality"
BASE = "base law"
SCALE = "scale pattern"
PROFILE = "radial profile"
DENSITY = "density"

Judge = Callable[["Setting", "Symmetry | None"], "tuple[Premise, ...] | None"]


@dataclass(frozen=True)
class Theorem:
    """A recovery theorem.

    Attributes:
        name: How reports refer to it.
        statistic: What it speaks of: ``"mean"``, ``"correlation"``, ``"covariance"``, ``"contrasts"``, ``"slope"``,
            ``"axis"``, ``"direction"``, ``"concentration"``, ``"median"`` or ``"any"``.
        premises: Names of what must hold.
        statement: The claim.
        proof: Its proof in a few lines.
        reference: Where it is from.
        keys: The same as keys of ``recovery/references.bib``; empty where the proof is this package's own.
    """

    name: str
    statistic: str
    premises: tuple[str, ...]
    statement: str
    proof: str
    reference: str
    keys: tuple[str, ...] = ()

    def pins(self, action: LinearAction, dim: int | None = None) -> Pinned:
        """What the conclusion pins where the symmetry is this action: computed from its fixed subspaces.

        Args:
            action: An action; an open centre is read as any.
            dim: The dimension, where the action does not know it.

        Raises:
            ValueError: The dimension is unknown.
        """
        size = action.dim if action.dim is not None else dim
        if size is None:
            raise ValueError(
                f"expected a dimension for {action!r}, got none, because its fixed subspaces depend on it; try "
                "pins(action, dim=3)"
            )
        return pins(action, size)


@dataclass(frozen=True)
class APriori(Theorem):
    """A theorem on *the minimiser of a divergence*: which statistics of it are those of the target.

    It says nothing of a fitted value: an optimiser may stop elsewhere, and a sample objective has another minimiser.

    Attributes:
        judge: From a setting and one symmetry of its target (None for theorems that need none) to the premises with
            their evidence; None where the theorem does not speak of such a setting. Names are those of ``premises``.
        symmetric: Whether it needs a symmetry.
        stationary: Whether it speaks of every stationary point, not of the minimiser alone.
    """

    judge: Judge = field(repr=False, compare=False, default=lambda setting, symmetry: None)
    symmetric: bool = True
    stationary: bool = False


@dataclass(frozen=True)
class Refusal(Theorem):
    """Where nothing may be certified, or the statistic is known not to be recovered: a theorem with a counterexample.

    Attributes:
        applies: From a setting to the reason it applies, None where it does not.
        items: Which parts of the statistic it speaks of (pairs, for a correlation); none for all of it.
        verdict: ``UNKNOWN`` (not certifiable) or ``REFUTED``.
        blocking: Whether it overrides every theorem; if not, it only explains why none applies.
    """

    applies: Callable[[Setting], str | None] = field(repr=False, compare=False, default=lambda setting: None)
    items: Callable[[Setting], tuple[tuple[int, ...], ...]] = field(
        repr=False, compare=False, default=lambda setting: ()
    )
    verdict: Verdict = Verdict.UNKNOWN
    blocking: bool = True
