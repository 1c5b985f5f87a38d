"""Finding the units of a network that may be permuted among themselves, from the shapes of its parameters alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._relabelling import Index, Relabelling, UnitClass

_Hash = NDArray[np.uint64]


def interchangeable(table: Relabelling) -> tuple[UnitClass, ...]:
    """Classes of rows of units such that any permutation of rows takes entries to entries.

    Two rows are interchangeable if every tensor has as many entries between the one and any third unit as between
    the other and that unit. Tensors that join units one to one (depthwise kernels) bind each pair into a row first.
    Whole groups of a grouped convolution could be exchanged too; that is not looked for, only units within a group.
    """
    rows, roles = _rows(table)
    roots = np.unique(rows)
    found: dict[int, UnitClass] = {}
    claimed = np.zeros(table.units, bool)
    for itself in (True, False):
        signatures = _signatures(table, rows, roles, itself)
        for signature in np.unique(signatures[roots]):
            row_numbers = roots[signatures[roots] == signature]
            if len(row_numbers) < 2:
                continue
            one = _class(rows, roles, row_numbers)
            if one is not None and not claimed[one.members].any() and _moves(table, one):
                claimed[one.members] = True
                found[int(one.members.min())] = one
    return tuple(found[k] for k in sorted(found))


def cycle_and_swap(count: int) -> tuple[Index, Index]:
    """Two orders that generate all permutations of ``count`` points."""
    swap = np.arange(count)
    swap[:2] = [1, 0]
    return np.roll(np.arange(count), -1), swap


def _class(rows: Index, roles: _Hash, numbers: Index) -> UnitClass | None:
    """Members in the order of their roles; None where rows differ in their roles or have one of them twice."""
    units = np.flatnonzero(np.isin(rows, numbers))
    units = units[np.lexsort((roles[units], rows[units]))]
    if len(units) % len(numbers):
        return None
    members = units.reshape(len(numbers), -1)
    same = (rows[members] == rows[members[:, :1]]).all() and (roles[members] == roles[members[0]]).all()
    return UnitClass(members) if same and len(np.unique(roles[members[0]])) == members.shape[1] else None


def _moves(table: Relabelling, one: UnitClass) -> bool:
    orders = cycle_and_swap(one.count)
    return all(table.source(table.images([one], [order])) is not None for order in orders)


def _rows(table: Relabelling) -> tuple[Index, _Hash]:
    """The row of each unit ``[H]``, and its role: how many entries of which tensors enter and leave it ``[H]``."""
    parent = np.arange(table.units)

    def root(u: int) -> int:
        while parent[u] != u:
            u = int(parent[u])
        return u

    inner = (table.tails < table.units) & (table.heads < table.units) & (table.tails != table.heads)
    for tensor in np.unique(table.tensors[inner]):
        chosen = inner & (table.tensors == tensor)
        pairs = np.unique(np.stack([table.tails[chosen], table.heads[chosen]]), axis=1)
        if pairs.shape[1] > 1 and all(len(np.unique(side)) == pairs.shape[1] for side in pairs):
            for a, b in pairs.T.tolist():
                parent[max(root(a), root(b))] = min(root(a), root(b))
    rows = np.array([root(u) for u in range(table.units)], dtype=np.int64)
    roles = np.zeros(table.units + 1, np.uint64)
    for side, ends in ((1, table.tails), (2, table.heads)):
        np.add.at(roles, ends, _random(table.tensors, side))
    return rows, roles[:-1]


def _signatures(table: Relabelling, rows: Index, roles: _Hash, itself: bool) -> _Hash:
    """A hash ``[rows]`` of what each row is joined to; ``itself``: a row counts as a neighbour like any other.

    A tensor that joins all units of a layer with all of them (a residual branch of one map) looks the same from each
    with ``itself``, one that joins each unit with itself looks the same without.
    """
    size = table.units
    row = np.append(rows, size)
    role = np.append(roles, np.uint64(0))
    total = np.zeros(size + 1, np.uint64)
    for side, mine, other in ((1, table.tails, table.heads), (2, table.heads, table.tails)):
        neighbour = _random(row[other], 3)
        if not itself:
            neighbour = np.where(row[other] == row[mine], np.uint64(7), neighbour)
        code = _random(table.tensors, side) * (role[mine] | np.uint64(1))
        np.add.at(total, row[mine], _mixed(code + _mixed(neighbour + _mixed(role[other]))))
    np.add.at(total, rows, _mixed(roles))
    return total[:-1]


def _random(numbers: NDArray[np.int64], salt: int) -> _Hash:
    """A 64-bit hash of each number."""
    return _mixed(numbers.astype(np.uint64) * np.uint64(8) + np.uint64(salt))


def _mixed(x: _Hash) -> _Hash:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), entry by entry."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
