"""An order of the units that depends on their weights alone, not on where they stood."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ._relabelling import Index, Relabelling, UnitClass

Values = NDArray[np.float64]

_LEAVES = 200
"""Sorted vectors that are compared, at most, where weights leave the order open."""


@dataclass(frozen=True)
class Ordering:
    """What sorting found.

    Attributes:
        source: where each entry of the sorted vector comes from ``[dim]``.
        images: the place each unit goes to ``[H]``.
        exact: False where ties were so many that the order of the input decided some.
    """

    source: Index
    images: Index
    exact: bool


@dataclass
class UnitOrder:
    """Sorts the rows of each class by their weights.

    Rows are ranked by the norm of the weights into them (biases included), then by all their weights, read in an order
    that knows the other units by their rank alone; ranks are refined until no more rows are told apart (colour
    refinement, Weisfeiler and Leman 1968). Sums run over sorted terms, so that permuting a vector changes no bit. Rows
    that are still tied are either copies of one another, whose order is of no account, or are told apart in every way
    possible, and the lexicographically smallest of the sorted vectors is taken (of the first 200).

    Attributes:
        table: the entries by units.
        classes: which rows may be permuted.
    """

    table: Relabelling
    classes: Sequence[UnitClass]
    _leaves: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        table, self._class_of = self.table, np.full(self.table.units + 1, -1)
        row_of, role_of = np.arange(table.units + 1), np.zeros(table.units + 1, np.int64)
        for number, one in enumerate(self.classes):
            self._class_of[one.members] = number
            row_of[one.members] = one.members[:, :1]
            role_of[one.members] = np.arange(one.members.shape[1])
        self._row_of, self._role_of = row_of, role_of
        sides = []
        for side, mine, other in ((0, table.heads, table.tails), (1, table.tails, table.heads)):
            keep = self._class_of[mine] >= 0
            within = row_of[mine] == row_of[other]
            keep &= ~within if side else True  # entries within a row are listed once
            entries = np.flatnonzero(keep)
            kind = side + 2 * within[entries]
            sides.append((entries, row_of[mine[entries]], role_of[mine[entries]], other[entries], kind))
        self._entries, self._rows, mine, self._other, kinds = (np.concatenate(x) for x in zip(*sides, strict=True))
        width = 1 + int(role_of.max(initial=0))
        tensor = table.tensors[self._entries]
        self._code = ((tensor * 4 + kinds) * width + mine) * width + role_of[self._other]
        self._within = kinds >= 2

    def __call__(self, values: Values) -> Ordering:
        """Sort ``values`` ``[dim]``; entries are compared exactly."""
        self._leaves = 0
        ranks = self._refined(values, [np.zeros(one.count, np.int64) for one in self.classes])
        best, exact = self._search(values, ranks)
        images = self._images(best)
        return Ordering(self._source(images), images, exact)

    # -- refinement --------------------------------------------------------------------------------------------
    def _refined(self, values: Values, ranks: list[Index]) -> list[Index]:
        """Ranks ``[count]`` of each class, equal where rows are not told apart yet."""
        told = -1
        while told < (now := sum(len(np.unique(r)) for r in ranks)) and now < sum(len(r) for r in ranks):
            colours, told = self._colours(ranks), now
            ranks = [self._ranked(values, number, ranks[number], colours) for number in range(len(ranks))]
        return ranks

    def _colours(self, ranks: list[Index]) -> Index:
        """One number a unit ``[H + 1]``, the same for units that are not told apart."""
        colours = np.arange(self.table.units + 1)
        for one, rank in zip(self.classes, ranks, strict=True):
            colours[one.members] = np.sort(one.members, axis=0)[rank]
        return colours

    def _ranked(self, values: Values, number: int, ranks: Index, colours: Index) -> Index:
        if len(np.unique(ranks)) == len(ranks):
            return ranks
        one = self.classes[number]
        chosen = np.flatnonzero(self._class_of[self._rows] == number)
        rows, entries = self._rows[chosen], self._entries[chosen]
        x = values[entries]
        order = np.lexsort((np.abs(x), rows))
        into = np.isin(self.table.heads[entries], one.members).reshape(-1)[order].reshape(one.count, -1)
        place = np.searchsorted(np.sort(one.members[:, 0]), one.members[:, 0])  # rows are listed by their first unit
        norms = np.cumsum(np.where(into, np.square(x[order]).reshape(one.count, -1), 0.0), 1)[:, -1][place]
        ranks = _ranks(np.stack([ranks.astype(float), norms]))
        if len(np.unique(ranks)) == len(ranks):
            return ranks
        colour = np.where(self._within[chosen], -1, colours[self._other[chosen]])
        order = np.lexsort((x, self.table.numbers[entries], colour, self._code[chosen], rows))
        features = [ranks.astype(float)[None]]
        for column in (colour.astype(float), x):
            features.append(column[order].reshape(one.count, -1)[place].T)
        return _ranks(np.concatenate(features))

    # -- ties --------------------------------------------------------------------------------------------------
    def _search(self, values: Values, ranks: list[Index]) -> tuple[list[Index], bool]:
        """Ranks without ties, and whether all ways were tried."""
        cell = self._open_cell(values, ranks)
        if cell is None:
            self._leaves += 1
            return ranks, True
        number, members = cell
        best: tuple[Values, list[Index]] | None = None
        exact = True
        for member in members:
            if best is not None and self._leaves >= _LEAVES:
                exact = False
                break
            split = [rank.copy() for rank in ranks]
            split[number][members] += 1
            split[number][member] -= 1
            found, complete = self._search(values, self._refined(values, split))
            exact &= complete
            leaf = values[self._source(self._images(found))]
            if best is None or _smaller(leaf, best[0]):
                best = leaf, found
        return (ranks if best is None else best[1]), exact

    def _open_cell(self, values: Values, ranks: list[Index]) -> tuple[int, Index] | None:
        """The first tied rows that are no copies of one another."""
        for number, rank in enumerate(ranks):
            for value, count in zip(*np.unique(rank, return_counts=True), strict=True):
                members = np.flatnonzero(rank == value)
                if count > 1 and not self._copies(values, number, members):
                    return number, members
        return None

    def _copies(self, values: Values, number: int, members: Index) -> bool:
        one = self.classes[number]
        for a, b in itertools.pairwise(members):
            order = np.arange(one.count)
            order[[a, b]] = [b, a]
            source = self._source(self.table.images([one], [order]))
            if not np.array_equal(values[source], values):
                return False
        return True

    def _images(self, ranks: list[Index]) -> Index:
        return self.table.images(self.classes, [rank.argsort(kind="stable") for rank in ranks])

    def _source(self, images: Index) -> Index:
        source = self.table.source(images)
        if source is None:
            raise RuntimeError("expected a permutation of interchangeable units, got another; please report this")
        return source


def _ranks(features: Values) -> Index:
    """Rank of each column of ``features`` ``[keys, count]``, first key first: the number of columns smaller than it."""
    order = np.lexsort(features[::-1])
    new = np.append(True, (features[:, order[1:]] != features[:, order[:-1]]).any(0))
    result = np.empty(len(order), np.int64)
    result[order] = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    return result


def _smaller(a: Values, b: Values) -> bool:
    where = np.flatnonzero(a != b)
    return bool(len(where)) and bool(a[where[0]] < b[where[0]])
