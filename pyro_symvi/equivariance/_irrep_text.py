"""Labels of irreducible representations in few letters."""

from __future__ import annotations

from collections.abc import Hashable

from ..groups import Orthogonal


def sigma_of(label: Hashable, group: object) -> int | None:
    """The sign sigma of a label (l, sigma) of O(n); None for labels of other groups, whatever they look like."""
    if isinstance(group, Orthogonal) and isinstance(label, tuple) and len(label) == 2:
        return 1 if label[1] > 0 else -1
    return None


def irrep_text(label: Hashable, group: object = None) -> str:
    """A label in few letters: (1, -1) of O(n) is "1-", other tuples are joined by commas."""
    sigma = sigma_of(label, group)
    if sigma is not None and isinstance(label, tuple):
        return f"{label[0]}{'+' if sigma > 0 else '-'}"
    return ",".join(map(str, label)) if isinstance(label, tuple) else str(label)
