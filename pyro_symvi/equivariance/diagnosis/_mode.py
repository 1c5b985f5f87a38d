"""The role of a failure mode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import ClassVar

from ...groups import Group, Orthogonal, SpecialOrthogonal
from ._evidence import Evidence
from ._finding import Finding


class FailureMode(ABC):
    """A named way in which a symmetry is missed, with the rule that sees it.

    To implement one: a frozen dataclass with its thresholds as fields, ``name``, and ``find``. ``alone`` marks a mode
    that leaves nothing to say about the others and is asked before them; ``last`` one that is asked when nothing
    that ``explains`` an error has been found.
    """

    name: ClassVar[str]
    alone: ClassVar[bool] = False
    last: ClassVar[bool] = False
    explains: ClassVar[bool] = True

    @abstractmethod
    def find(self, evidence: Evidence) -> Finding | None:
        """The finding, or None where the mode doesn't show."""


def called(labels: tuple[Hashable, ...]) -> str:
    """Labels in a sentence."""
    return ", ".join(str(label) for label in labels)


def degree_of(label: Hashable, group: Group) -> int | None:
    """The degree l of a label l of SO(3) or (l, sigma) of O(3), None for other groups."""
    if not isinstance(group, Orthogonal | SpecialOrthogonal) or group.n != 3:
        return None
    entry = label[0] if isinstance(label, tuple) else label
    return entry if isinstance(entry, int) else None
