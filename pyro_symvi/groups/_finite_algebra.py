"""Algebra of finite groups from their list of elements: positions, multiplication table, conjugacy classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ._errors import InfiniteGroupError, sentence

if TYPE_CHECKING:
    from ._group import Group

#: A multiplication table has order^2 entries; beyond this order it is refused.
TABLE_LIMIT = 2048


def require_table(group: Group) -> None:
    """A group small enough for a multiplication table, or an error that says so."""
    if not group.is_finite:
        raise InfiniteGroupError(
            sentence("a finite group", repr(group), "an infinite one has no multiplication table", "irreps(cutoff)")
        )
    if group.order > TABLE_LIMIT:
        raise ValueError(
            sentence(
                f"an order of at most {TABLE_LIMIT}",
                f"{group.order} for {group!r}",
                "the multiplication table has order^2 entries",
                "sample(n) and the action's matrices",
            )
        )


def keys(group: Group, g: Tensor) -> Tensor:
    """A generic real number for each element: the inner product with fixed random weights, ``[*batch]``."""
    size = max(math.prod(group.element_shape), 1)
    mix = torch.Generator().manual_seed(271828)
    weights = torch.randn(2 * size, generator=mix, dtype=torch.float64).to(g.device)
    batch = g.shape[: g.ndim - len(group.element_shape)]
    if g.is_complex():
        g = torch.view_as_real(g)
    flat = g.double().reshape(*batch, -1)
    return flat @ weights[: flat.shape[-1]]


def positions(group: Group, g: Tensor, elements: Tensor, tolerance: float = 1e-6) -> Tensor:
    """The place of each g in ``elements``, LongTensor ``[*batch]``; ValueError where there is none."""
    known, order = keys(group, elements).sort()
    wanted = keys(group, g)
    right = torch.searchsorted(known, wanted.contiguous()).clamp(max=len(known) - 1)
    left = (right - 1).clamp(min=0)
    nearest = torch.where((known[left] - wanted).abs() < (known[right] - wanted).abs(), left, right)
    found = order[nearest]
    if not bool(group.equal(elements[found], g, tolerance=tolerance).all()):
        raise ValueError(f"expected elements of {group!r}, got one that is not in its list; try group.contains(g)")
    return found


def multiplication_table(group: Group) -> Tensor:
    """LongTensor ``[order, order]``: entry (i, j) is the position of elements[i] elements[j]."""
    require_table(group)
    elements = group.elements()
    rows = max(1, 2**20 // len(elements))
    blocks = [group.compose(block[:, None], elements[None]) for block in elements.split(rows)]
    return torch.cat([positions(group, block, elements) for block in blocks])


def inverses(table: Tensor) -> Tensor:
    """Position of the inverse of each element, given a table whose element 0 is the identity."""
    return (table == 0).to(torch.int8).argmax(1)


def conjugacy_classes(table: Tensor) -> Tensor:
    """Class number of each element, LongTensor ``[order]``, numbered in order of first appearance (identity: 0)."""
    n = len(table)
    inverse = inverses(table)
    everyone = torch.arange(n, device=table.device)
    conjugates = table[table, inverse[:, None].expand(n, n)]  # (g, x) -> g x g^-1
    smallest = conjugates.amin(0)
    names = torch.unique(smallest)
    return torch.searchsorted(names, smallest[everyone])
