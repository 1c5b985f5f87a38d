"""The matrix entries of all irreps at a block of elements, as columns: each computed once, and kept where they fit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ..groups import Irrep
from ..groups._orthogonal import Orthogonal
from ..groups._wigner import wigner_d, wigner_d_up_to

#: Bytes of columns that are kept from one part of the samples to the next.
KEPT = 2**26


class Columns:
    """Matrix entries of ``irreps``, ``[k, sum d^2]`` by :meth:`at`, in half the columns for O(3).

    The irreps (l, 1) and (l, -1) of O(3) differ by the sign of the determinant alone. Sums over proper and improper
    elements by themselves, C+ and C-, of the entries of (l, 1) give both: C+ + C- and C+ - C-.

    Args:
        irreps: trivial first.
    """

    def __init__(self, irreps: Sequence[Irrep]) -> None:
        self.irreps = tuple(irreps)
        self.sizes = [irrep.dimension**2 for irrep in self.irreps]
        self.folded = _of_o3(self.irreps)
        self._rotations = self.folded or all(_is_wigner(irrep) for irrep in self.irreps)
        self._kept: dict[int, tuple[Tensor, Tensor, Tensor | None]] = {}
        self._room = KEPT

    def full(self, elements: Tensor) -> Tensor:
        """``[k, sum d^2]``, all irreps."""
        if not self.folded:
            return self._entries(elements)
        sign = _determinant_sign(elements)[:, None]
        parts = self._entries(elements).split(self.sizes[::2], 1)
        return torch.cat([part for p in parts for part in (p, sign * p)], 1)

    def at(self, elements: Tensor, block: int | None = None) -> tuple[Tensor, Tensor | None]:
        """Columns ``[k, columns]`` and, where they are folded, which elements are proper ``[k]`` (else None).

        Args:
            elements: ``[k, *element_shape]``.
            block: a number under which the columns are kept for the next time the same elements come.
        """
        if block is not None and block in self._kept:
            known, entries, proper = self._kept[block]
            if known is elements or torch.equal(known, elements):
                return entries, proper
        entries = self._entries(elements)
        proper = _determinant_sign(elements) > 0 if self.folded else None
        size = entries.numel() * entries.element_size()
        if block is not None and block not in self._kept and size <= self._room:
            self._room -= size
            self._kept[block] = elements, entries, proper
        return entries, proper

    def unfolded(self, even: Tensor, odd: Tensor) -> Tensor:
        """Coefficients ``[sum d^2, n]`` of all irreps from sums over proper and improper elements ``[columns, n]``."""
        sizes = self.sizes[::2]
        both = zip(even.split(sizes), odd.split(sizes), strict=True)
        return torch.cat([part for a, b in both for part in (a + b, a - b)])

    def _entries(self, elements: Tensor) -> Tensor:
        if self._rotations:
            degree = len(self.irreps) // (2 if self.folded else 1) - 1
            found = wigner_d_up_to(degree, elements.double())
        else:
            found = [irrep.matrix(elements).double() for irrep in self.irreps]
        return torch.cat([matrix.flatten(1) for matrix in found], 1)


def _determinant_sign(elements: Tensor) -> Tensor:
    return torch.linalg.det(elements.double()).sign()


def _is_wigner(irrep: Irrep) -> bool:
    """Whether it is D^l of the rotations of space, by the very function that gives it."""
    return isinstance(irrep.evaluate, partial) and irrep.evaluate.func is wigner_d


def _of_o3(irreps: tuple[Irrep, ...]) -> bool:
    """Whether they are (0, 1), (0, -1), (1, 1), ... as O(3) lists them."""
    if not irreps or getattr(irreps[0].evaluate, "__module__", "") != Orthogonal.__module__:
        return False
    labels = [(degree, sigma) for degree in range(len(irreps) // 2) for sigma in (1, -1)]
    return [(irrep.label, irrep.dimension) for irrep in irreps] == [(label, 2 * label[0] + 1) for label in labels]
