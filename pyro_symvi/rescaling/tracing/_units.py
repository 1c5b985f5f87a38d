"""Which units share one scale, and which may have none: components of a graph of ties."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from torch import Tensor

ZERO = 0
"""The number of an entry that is zero whatever the parameters are (padding): it agrees with every scale."""
FIXED = 1
"""The unit whose scale is one: inputs, outputs, constants, and all that are tied to them."""


class UnitTable:
    """Numbers of units, merged where they must share a scale."""

    def __init__(self) -> None:
        self._count = 2
        self._edges: list[tuple[Tensor, Tensor, int]] = []
        self._texts: list[str] = []
        self._roots: Tensor | None = None
        self.blocks: list[tuple[str, int, int]] = []

    def fresh(self, name: str, count: int) -> Tensor:
        """Numbers of ``count`` new units, ``[count]``, a block of that name."""
        start = self._count
        self._count += count
        self._roots = None
        calls = sum(1 for known, _, _ in self.blocks if known.split(" (call ")[0] == name)
        self.blocks.append((f"{name} (call {calls + 1})" if calls else name, start, count))
        return torch.arange(start, start + count)

    def tie(self, a: Tensor, b: Tensor, reason: str) -> None:
        """Entry by entry (broadcast), a and b share one scale; ``reason`` is kept for those tied to FIXED."""
        a, b = torch.broadcast_tensors(a, b)
        apart = (a != b) & (a != ZERO) & (b != ZERO)
        if not bool(apart.any()):
            return
        low, high = torch.minimum(a[apart], b[apart]), torch.maximum(a[apart], b[apart])
        codes = torch.unique(low * self._count + high)
        self._edges.append((codes // self._count, codes % self._count, len(self._texts)))
        self._texts.append(reason)
        self._roots = None

    def pin(self, units: Tensor, reason: str) -> None:
        """These units keep scale one, for a reason in words."""
        self.tie(torch.unique(units), torch.tensor(FIXED), reason)

    def merge(self, units: Tensor, dims: tuple[int, ...], reason: str) -> Tensor:
        """Tie all units along these axes and return one number for them, the axes kept with length one."""
        if not dims:
            return units
        one = units.amax(dims, keepdim=True)
        self.tie(units, one, reason)
        return one

    def roots(self, units: Tensor) -> Tensor:
        """One number for all units tied together so far; those of FIXED and ZERO are themselves."""
        if self._roots is None:
            self._roots = self._components(self._edges)
        return self._roots[units]

    def _components(self, edges: list[tuple[Tensor, Tensor, int]]) -> Tensor:
        """The smallest number of each unit's component, ``[count]``."""
        if not edges:
            return torch.arange(self._count)
        a, b = torch.cat([e[0] for e in edges]).numpy(), torch.cat([e[1] for e in edges]).numpy()
        graph = sparse.coo_matrix((np.ones(len(a), dtype=np.int8), (a, b)), shape=(self._count, self._count))
        _, labels = connected_components(graph, directed=False)
        smallest = np.full(labels.max() + 1, self._count)
        np.minimum.at(smallest, labels, np.arange(self._count))
        return torch.from_numpy(smallest[labels])

    def free(self, units: Tensor) -> bool:
        """Whether some of these units have a scale of their own so far."""
        return bool((self.roots(torch.unique(units)) > FIXED).any())

    def compressed(self) -> tuple[Tensor, int]:
        """The index of each unit's free scale ``[count]`` (-1 where fixed), and how many there are."""
        roots = self.roots(torch.arange(self._count))
        roots[ZERO] = FIXED
        found, index = torch.unique(roots, return_inverse=True)
        return index - 1, len(found) - 1  # FIXED is the smallest root

    def reasons(self) -> dict[int, tuple[str, ...]]:
        """Why units are fixed: reasons by the start of their block, first found first."""
        inner, pins = [], []
        for a, b, text in self._edges:
            fixed = a == FIXED
            inner.append((a[~fixed], b[~fixed], text))
            pins.append((b[fixed], text))
        component = self._components(inner)
        why: dict[int, list[int]] = {}
        for units, text in pins:
            for root in torch.unique(component[units]).tolist():
                why.setdefault(root, []).append(text)
        result = {}
        for _, start, count in self.blocks:
            texts = [t for root in torch.unique(component[start : start + count]).tolist() for t in why.get(root, ())]
            result[start] = tuple(dict.fromkeys(self._texts[t] for t in sorted(texts)))
        return result
