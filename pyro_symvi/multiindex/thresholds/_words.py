"""Thresholds in words and in JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence


def shown(value: float | None) -> str:
    """A threshold: its value, "none (infinite)", or "not known"."""
    if value is None:
        return "not known"
    return f"{value:.5g}" if math.isfinite(value) else "none (infinite)"


def plain(value: float | None) -> float | str | None:
    """A number ready for JSON: an infinite one is the string "infinity"."""
    return "infinity" if value == math.inf else value


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
