"""Which units share one scale, and which may have none: a union-find over unit numbers."""

from __future__ import annotations

import torch
from torch import Tensor

FIXED = 0
"""The unit whose scale is one: inputs, outputs, and all that are tied to them."""


class UnitTable:
    """Numbers of units, merged where they must share a scale."""

    def __init__(self) -> None:
        self._parent = torch.zeros(1, dtype=torch.int64)
        self.names: list[tuple[str, int, int]] = []
        self.reasons: list[tuple[str, Tensor, str]] = []

    def fresh(self, name: str, count: int) -> Tensor:
        """Numbers of ``count`` new units, ``[count]``."""
        start = len(self._parent)
        new = torch.arange(start, start + count)
        self._parent = torch.cat([self._parent, new])
        self.names.append((name, start, count))
        return new

    def roots(self, units: Tensor) -> Tensor:
        """One number for all units tied together; that of FIXED is FIXED."""
        while True:
            up = self._parent[units]
            if torch.equal(up, units):
                return units
            units = up

    def tie(self, a: Tensor, b: Tensor) -> None:
        """Entry by entry (broadcast), a and b share one scale."""
        a, b = torch.broadcast_tensors(a, b)
        pairs = torch.unique(torch.stack([a.reshape(-1), b.reshape(-1)]), dim=1)
        for one, other in pairs.T.tolist():
            first, second = self._root(one), self._root(other)
            self._parent[max(first, second)] = min(first, second)

    def pin(self, name: str, units: Tensor, reason: str) -> None:
        """These units keep scale one, for a reason in words."""
        units = torch.unique(units)
        self.reasons.append((name, units, reason))
        self.tie(units, torch.tensor(FIXED))

    def _root(self, unit: int) -> int:
        parent = self._parent
        while int(parent[unit]) != unit:
            parent[unit] = parent[parent[unit]]
            unit = int(parent[unit])
        return unit

    def compressed(self) -> tuple[Tensor, int]:
        """The index of each unit's free scale ``[units]`` (-1 where fixed), and how many there are."""
        roots = self.roots(torch.arange(len(self._parent)))
        free, index = torch.unique(roots, return_inverse=True)
        return index - 1, len(free) - 1  # FIXED is the smallest root
