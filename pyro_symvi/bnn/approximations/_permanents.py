"""Log permanents of positive matrices: exactly over subsets, or bounded from above."""

from __future__ import annotations

import itertools
import math
from functools import cache

import torch
from torch import Tensor

LARGEST = 16
"""Largest matrix whose permanent is summed exactly: h 2^h terms each."""
_NUMBERS_PER_CALL = 2**23


def log_permanent(log_entries: Tensor) -> Tensor:
    r"""The log of :math:`\mathrm{perm}A=\sum_{\sigma\in S_h}\prod_j A_{j\sigma(j)}` from log A ``[n, h, h]``: ``[n]``.

    By the recursion over sets S of columns taken by the first |S| rows,
    :math:`f(S)=\sum_{k\in S}A_{|S|,k}\,f(S\setminus k)`: no term is negative, so that nothing cancels (Ryser's formula
    needs half as many terms but does). h is at most 16.
    """
    h = log_entries.shape[-1]
    if h > LARGEST:
        raise ValueError(f"expected at most {LARGEST} rows, got {h}, because the sum has h 2^h terms")
    rows = max(1, _NUMBERS_PER_CALL // (h * math.comb(h, h // 2)))
    return torch.cat([_by_subsets(part) for part in log_entries.split(rows)])


def _by_subsets(log_entries: Tensor) -> Tensor:
    n, h, _ = log_entries.shape
    by_column = log_entries.permute(1, 2, 0).contiguous()  # [rows, columns, n]
    found = log_entries.new_zeros(1, n)
    for row, (previous, column) in enumerate(_transitions(h)):
        terms = found[previous.to(log_entries.device)].add_(by_column[row][column.to(log_entries.device)])
        largest = terms.amax(1, keepdim=True)
        found = terms.sub_(largest).exp_().sum(1).log_().add_(largest[:, 0])  # [sets of this size, n]
    return found[0]


@cache
def _transitions(h: int) -> list[tuple[Tensor, Tensor]]:
    """For each size s >= 1 and each set of s columns: places of the sets without one, and that one, ``[sets, s]``."""
    result, places = [], {0: 0}
    for size in range(1, h + 1):
        sets = list(itertools.combinations(range(h), size))
        masks = [sum(1 << k for k in members) for members in sets]
        previous = [[places[mask ^ (1 << k)] for k in members] for mask, members in zip(masks, sets, strict=True)]
        result.append((torch.tensor(previous), torch.tensor(sets)))
        places = {mask: place for place, mask in enumerate(masks)}
    return result


def log_permanent_bound(log_entries: Tensor) -> Tensor:
    """An upper bound ``[n]`` of the log permanent: the smaller of the products of row sums and of column sums.

    Tight where one entry of each row dominates; for equal entries it is too large by log(h^h / h!), about h.
    """
    rows, columns = log_entries.logsumexp(-1).sum(-1), log_entries.logsumexp(-2).sum(-1)
    return torch.minimum(rows, columns)
