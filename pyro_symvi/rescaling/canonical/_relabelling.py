"""Permuting the units of a network: which entry of the parameters goes where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..tracing import TracedNetwork

Index = NDArray[np.int64]


@dataclass(frozen=True)
class UnitClass:
    """Units that may be permuted freely.

    Attributes:
        members: free scales ``[count, width]``; rows are interchangeable, the units of one row move together (those
            before and after a depthwise convolution, say).
    """

    members: Index

    @property
    def count(self) -> int:
        """How many may be permuted: the class carries the symmetric group of so many points."""
        return len(self.members)


@dataclass(frozen=True)
class Relabelling:
    """The entries of the flat vector by the units they join.

    An entry is named by its tensor, the units it leaves and enters, and its number among those with the same three
    (places of a kernel, positions of a flattened image). Moving unit h to place pi(h) takes the entry named
    (T, a, b, r) to that named (T, pi(a), pi(b), r); pi is a symmetry of the shapes if these names exist.

    Attributes:
        tensors: the number of each entry's tensor (and degree) ``[dim]``.
        tails, heads: the units it leaves and enters ``[dim]``, H for none.
        units: H.
    """

    tensors: Index
    tails: Index
    heads: Index
    units: int

    @staticmethod
    def of(network: TracedNetwork) -> Relabelling:
        """From what tracing found."""
        action, size = network.action, network.action.units + 1
        tensors = np.repeat(np.arange(len(network.layout.sizes)), network.layout.sizes)
        if action.degrees is not None:
            pairs = np.stack([tensors.astype(float), action.degrees.numpy()], 1)
            tensors = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
        return Relabelling(tensors, np.mod(action.leaves.numpy(), size), np.mod(action.enters.numpy(), size), size - 1)

    def _keys(self, tails: Index, heads: Index) -> Index:
        size = self.units + 1
        keys: Index = (self.tensors * size + tails) * size + heads
        return keys

    @cached_property
    def _sorted(self) -> tuple[Index, Index]:
        keys = self._keys(self.tails, self.heads)
        order = keys.argsort(kind="stable")
        return order, keys[order]

    @cached_property
    def numbers(self) -> Index:
        """R of each entry: its number among those of the same tensor between the same units ``[dim]``."""
        order, keys = self._sorted
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        result = np.empty_like(order)
        result[order] = np.arange(len(keys)) - np.repeat(starts, np.diff(np.append(starts, len(keys))))
        return result

    def source(self, images: Index) -> Index | None:
        """Where each entry of the moved vector comes from ``[dim]``; None where shapes do not allow the move.

        ``images`` ``[H]``: unit h goes to place images[h].
        """
        padded = np.append(images, self.units)
        keys = self._keys(padded[self.tails], padded[self.heads])
        moved = keys.argsort(kind="stable")
        order, known = self._sorted
        if not np.array_equal(keys[moved], known):
            return None
        result = np.empty_like(order)
        result[order] = moved
        return result

    def images(self, classes: Sequence[UnitClass], orders: Sequence[Index]) -> Index:
        """The image of each unit ``[H]`` where row ``orders[c][j]`` of class c goes to place j."""
        result = np.arange(self.units)
        for one, order in zip(classes, orders, strict=True):
            result[one.members[order]] = one.members
        return result
