"""The verdict on each fitted correlation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..bounds import MeanBounds
from ..report.entry import Entry
from ..theorems import ELLIPTICAL_CORRELATION, REFLECTION_MEAN
from ..theorems.approximate import CONDITIONAL_GAUSSIAN
from ..verdicts import Verdict
from .base import Claim, Statistic, defined, judge, unknown
from .facts import Facts

WIDEST = 0.05
"""A correlation farther than this from the exact one is refuted, not bounded."""


class Correlation(Statistic):
    """Corr(z_i, z_j): that of the shape of an elliptical block; zero across a reflection that moves one of the two."""

    name: ClassVar[str] = "correlation"
    needs_shape: ClassVar[bool] = True
    square: ClassVar[bool] = True

    def _entries(self, facts: Facts) -> Sequence[tuple[int, Entry]]:
        dim = facts.subject.density.dim
        fitted = facts.subject.correlation
        made: list[MeanBounds] = []
        return [(i, _entry(facts, i, j, float(fitted[i, j]), made)) for i in range(dim) for j in range(dim)]


def _entry(facts: Facts, i: int, j: int, value: float, made: list[MeanBounds]) -> Entry:
    names = facts.subject.density.coordinates
    label = f"correlation of {names[i]}, {names[j]}"
    if i == j:
        return defined(label, 1.0, "one by definition")
    shape = facts.shape(i, j)
    if shape is not None:
        claim = Claim(
            exact=shape.correlation(i, j),
            premises=(shape.invariance, facts.moments(2, (i, j), shape.moments)),
            theorem=ELLIPTICAL_CORRELATION,
            why=f"elliptical in ({shape.group})",
            widest=WIDEST,
            proof=shape.proved,
        )
        return judge(facts, label, value, claim)
    apart = facts.separation(i, j)
    if apart is not None:
        claim = Claim(
            exact=0.0,
            premises=(apart.invariance, facts.moments(2, (i, j))),
            theorem=REFLECTION_MEAN,
            why=f"even in ({apart.group})",
            widest=WIDEST,
            proof=apart.proof is not None,
        )
        return judge(facts, label, value, claim)
    return _computed(facts, i, j, label, value, made) or unknown(label, value, "no verified symmetry pins this pair")


def _computed(facts: Facts, i: int, j: int, label: str, value: float, made: list[MeanBounds]) -> Entry | None:
    """Bounded by its distance from the correlation that quadrature gives, where there is one."""
    found = facts.exploration
    if found is None or facts.symmetry is not None or facts.subject.kind == "target":
        return None
    if not made:
        made.append(MeanBounds(facts.subject.density, facts.subject.loc, found.draws, found.proofs.analysis))
    computed, moments = made[0].correlation(i, j), made[0].moments
    if computed is None or moments is None:
        return None
    exact, error = computed
    reason = f"quadrature over one coordinate gives {exact:.6g}"
    if not abs(value - exact) + error <= WIDEST:
        return unknown(label, value, f"{reason}; the fitted one is farther off than {WIDEST}", moments.premises)
    bound = abs(value - exact) + error
    return Entry(label, Verdict.BOUNDED, value, bound, reason, CONDITIONAL_GAUSSIAN.name, moments.premises)
