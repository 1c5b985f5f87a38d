"""Names in few letters."""

from __future__ import annotations

from collections.abc import Hashable

LONGEST = 26
"""Letters of a layer's name on an axis."""


def shortened(name: str, longest: int = LONGEST) -> str:
    """A name with its middle left out where it is long: the head says which block, the tail which layer.

    >>> shortened("encoder.blocks.11.attention.projection.out", 20)
    'encoder.…jection.out'
    """
    if len(name) <= longest:
        return name
    head = (longest - 1) * 2 // 5
    return f"{name[:head]}…{name[len(name) - (longest - 1 - head) :]}"


def distinct(names: list[str], longest: int = LONGEST) -> list[str]:
    """Short names, numbered where two of them would read the same."""
    short = [shortened(name, longest) for name in names]
    return [f"{text} #{short[:i].count(text) + 1}" if short.count(text) > 1 else text for i, text in enumerate(short)]


def irrep_text(label: Hashable) -> str:
    """A label on an axis: (1, -1) of O(3) as "1−", other tuples joined by commas."""
    if isinstance(label, tuple) and len(label) == 2 and label[1] in (1, -1):
        return f"{label[0]}{'+' if label[1] == 1 else '−'}"
    return ",".join(map(str, label)) if isinstance(label, tuple) else str(label)
