"""Names in few letters."""

from __future__ import annotations

from collections.abc import Hashable

from .._irrep_text import irrep_text

LONGEST = 26
"""Letters of a layer's name on an axis."""


def shortened(name: str, longest: int = LONGEST) -> str:
    """A name with its middle left out where it is long: the head says which block, the tail which layer.

    >>> shortened("encoder.blocks.11.attention.projection.out", 20)
    'encoder…ojection.out'
    """
    if len(name) <= longest:
        return name
    head = (longest - 1) * 2 // 5
    return f"{name[:head]}…{name[len(name) - (longest - 1 - head) :]}"


def distinct(names: list[str], longest: int = LONGEST) -> list[str]:
    """Short names, numbered where two of them would read the same."""
    short = [shortened(name, longest) for name in names]
    return [f"{text} #{short[:i].count(text) + 1}" if short.count(text) > 1 else text for i, text in enumerate(short)]


def drawn(label: Hashable, group: object = None) -> str:
    """A label on an axis: as in tables, with true minus signs."""
    return irrep_text(label, group).replace("-", "−")
