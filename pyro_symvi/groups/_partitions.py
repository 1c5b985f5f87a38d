"""Partitions of n, and the characters of the symmetric group that they label."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

Partition = tuple[int, ...]


def partitions(n: int, largest: int | None = None) -> list[Partition]:
    """All partitions of n into parts of at most ``largest``, in decreasing lexicographic order: (3,), (2, 1), ..."""
    if n == 0:
        return [()]
    top = n if largest is None else min(n, largest)
    return [(k, *rest) for k in range(top, 0, -1) for rest in partitions(n - k, k)]


def cycle_type(permutation: Tensor) -> Partition:
    """Lengths of the cycles of one permutation in one-line notation, longest first."""
    image = permutation.tolist()
    lengths, seen = [], set()
    for start in range(len(image)):
        here, length = start, 0
        while here not in seen:
            seen.add(here)
            here, length = image[here], length + 1
        if length:
            lengths.append(length)
    return tuple(sorted(lengths, reverse=True))


def symmetric_character(shape: Partition, cycles: Partition) -> int:
    """The character of the representation ``shape`` of S_n at permutations of cycle type ``cycles``.

    Murnaghan-Nakayama: take off a rim hook as long as the first cycle in every way, with sign (-1)^(height), and go
    on with the rest. On first-column hook lengths b_i = shape_i + rows - i a rim hook of length k is a step from b to
    b - k onto a free number, and its height counts the numbers passed. (n,) is trivial, (1, ..., 1) the sign.
    """
    rows = len(shape)
    return _character(frozenset(part + rows - 1 - i for i, part in enumerate(shape)), tuple(cycles))


@functools.lru_cache(maxsize=4096)
def _character(hooks: frozenset[int], cycles: Partition) -> int:
    if not cycles:
        return 1
    k, rest = cycles[0], cycles[1:]
    total = 0
    for b in hooks:
        if b >= k and b - k not in hooks:
            passed = sum(b - k < other < b for other in hooks)
            total += (-1) ** passed * _character(hooks - {b} | {b - k}, rest)
    return total


def partition_labels(elements: Tensor, characters: list[Tensor]) -> list[str]:
    """The partition of each representation of S_n as "[3,1]", from ``elements [n!, n]`` and characters ``[n!]``."""
    first: dict[Partition, int] = {}
    for i, row in enumerate(elements):
        first.setdefault(cycle_type(row), i)
    at = torch.tensor(list(first.values()))
    known = {
        tuple(symmetric_character(shape, cycles) for cycles in first): shape for shape in partitions(elements.shape[-1])
    }
    found = [known[tuple(character[at].round().long().tolist())] for character in characters]
    return [f"[{','.join(map(str, shape))}]" for shape in found]
