"""What a guarantee says, and how it prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..verdicts import Premise, Verdict
from .theorem import Theorem

Item = tuple[Any, ...]

_WORDS = {
    "mean": "location = mean",
    "centre": "location = centre of symmetry",
    "correlation": "scatter has the correlations",
    "shape": "scatter has the shape",
    "covariance": "covariance",
    "variances": "variances",
    "contrasts": "equal locations",
    "slope": "regression",
    "axis": "axis (or no concentration)",
    "direction": "mean direction",
    "escort direction": "direction of the escort mean",
}


@dataclass(frozen=True)
class Guarantee:
    """What holds of the *minimiser of the divergence*, for one statistic.

    Attributes:
        statistic: ``"mean"`` (``"centre"`` where the mean was not shown to exist), ``"correlation"`` (``"shape"``),
            ``"covariance"``, ``"variances"``, ``"contrasts"``, ``"slope"``, ``"axis"``, ``"direction"``,
            ``"escort direction"``.
        items: What of it: coordinates ``(i,)``; pairs ``(i, j)``; orbits; ``(reflected, given)``; empty for all.
        verdict: That of the weakest premise. It says nothing of a fitted value.
        theorem: The record behind it; None where nothing applies.
        premises: Its premises.
        reason: In words.
    """

    statistic: str
    items: tuple[Item, ...]
    verdict: Verdict
    theorem: Theorem | None
    premises: tuple[Premise, ...]
    reason: str

    @property
    def coordinates(self) -> tuple[int, ...]:
        """Coordinates it speaks of, sorted."""
        return tuple(sorted({i for item in self.items for i in _flat(item)}))

    @property
    def missing(self) -> tuple[Premise, ...]:
        """Premises that were not proved."""
        return tuple(p for p in self.premises if p.evidence.value != "proved")

    def __str__(self) -> str:
        where = ", ".join(map(str, self.items[:4])) + (", ..." if len(self.items) > 4 else "")
        name = self.theorem.name if self.theorem else "no theorem applies"
        lines = [f"{_WORDS.get(self.statistic, self.statistic)} {where}: {self.verdict.name} ({name})"]
        lines += [f"  - {premise}" for premise in self.premises]
        if not self.theorem:
            lines.append(f"  {self.reason}")
        return "\n".join(lines)


def _flat(item: Any) -> tuple[int, ...]:
    if isinstance(item, int):
        return (item,)
    return tuple(i for part in item for i in _flat(part))
