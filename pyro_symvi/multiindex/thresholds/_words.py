"""Thresholds in words and in JSON: what all results share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from .._plain import plain


def shown(value: float | None) -> str:
    """A threshold: its value, "none (infinite)", or "not known"."""
    if value is None:
        return "not known"
    return f"{value:.5g}" if math.isfinite(value) else "none (infinite)"


def with_asymptote(name: str, value: float | None, asymptotes: dict[str, float]) -> str:
    """A threshold with its asymptote, and the ratio of the two."""
    text = shown(value)
    if name not in asymptotes:
        return text
    ratio = ratio_to(value, asymptotes[name])
    return f"{text}  (asymptote {shown(asymptotes[name])}" + (f", ratio {ratio:.3f})" if ratio is not None else ")")


def ratio_to(value: float | None, asymptote: float) -> float | None:
    """Exact over asymptotic, where both are finite and above zero."""
    if value is None or not (0 < asymptote < math.inf and 0 < value < math.inf):
        return None
    return value / asymptote


def table(title: str, rows: Sequence[tuple[str, str]], notes: Sequence[str]) -> str:
    """Lines of a report, notes below."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(
        [title, *(f"  {name:<{width}}  {value}" for name, value in rows), *(f"  note: {n}" for n in notes)]
    )


def unsettled(error: float) -> list[str]:
    """A note where the quadrature is not to be relied on."""
    if error <= 1e-3:
        return []
    return [f"the quadrature has not settled (relative error {error:.0e}): the activation moves too fast for it"]


class Printed(ABC):
    """A result that is printed as its report; a dataclass by the classes below it."""

    @abstractmethod
    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each line of the table."""

    @abstractmethod
    def report(self) -> str:
        """The table as text, notes below it."""

    def to_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        return {entry.name: plain(getattr(self, entry.name)) for entry in fields(self)}  # type: ignore[arg-type]

    def __str__(self) -> str:
        return self.report()


class WithAsymptotes(Printed):
    """Thresholds with the values that they tend to."""

    asymptotes: dict[str, float]

    @property
    def ratios(self) -> dict[str, float]:
        """Exact over asymptotic, for each asymptote."""
        pairs = {name: ratio_to(getattr(self, name), value) for name, value in self.asymptotes.items()}
        return {name: value for name, value in pairs.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        return {**super().to_dict(), "ratios": self.ratios}
