"""What a finder hands on: an action worth testing. Nothing here is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ...groups import LinearAction
from .landscape import Landscape
from .maps import AffineMap


@dataclass(frozen=True)
class Proposal:
    """A symmetry worth testing.

    Attributes:
        kind: What it is, in words.
        action: The action, bound.
        coordinates: The coordinates that it moves.
        generators: Maps that generate the group (for a continuous group: a dense subgroup), for proofs.
        headline: Whether its refutation is worth reporting.
        proved: Why it needs no further proof, where structure has shown it already.
    """

    kind: str
    action: LinearAction
    coordinates: tuple[int, ...]
    generators: tuple[AffineMap, ...]
    headline: bool = False
    proved: str = ""


class Finder(Protocol):
    """Proposes symmetries of one kind."""

    searched: str
    """What it looks through, in words."""

    def __call__(self, land: Landscape) -> Iterator[Proposal]: ...
