"""The matrix entries of all irreps at a block of elements, as columns: each computed once, and kept where they fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..groups import Irrep
from ..groups._orthogonal import Orthogonal
from ..groups._wigner import wigner_d, wigner_d_up_to
from ._runs import Runs, WaveOrder, run_length, runs_of

#: Bytes of columns that are kept from one part of the samples to the next.
KEPT = 2**26


@dataclass(frozen=True)
class Block:
    """What is known of a block of elements.

    Attributes:
        elements: ``[k, *element_shape]``.
        entries: of the irreps at the elements, ``[k, columns]``, or, where there are ``runs``, at their starts.
        proper: which elements (or starts) are proper, where columns are folded; else None.
        runs: of rotations, where the block is made of them.
    """

    elements: Tensor
    entries: Tensor
    proper: Tensor | None
    runs: Runs | None


class Scratch:
    """Memory that is used again: large tensors made anew for each block cost more than what is computed in them."""

    def __init__(self) -> None:
        self._kept: dict[int, Tensor] = {}

    def of(self, slot: int, shape: Sequence[int], like: Tensor) -> Tensor:
        """A tensor of a shape, of unknown contents, until the slot is asked for again."""
        size = math.prod(shape)
        known = self._kept.get(slot)
        if known is None or known.numel() < size or known.device != like.device or known.dtype != like.dtype:
            known = self._kept[slot] = like.new_empty(size)
        return known[:size].view(*shape)


class Columns:
    """Matrix entries of ``irreps`` at blocks of elements, and sums of these entries times responses.

    For rotations in three dimensions, all degrees come from one recursion, and sums are taken first along runs of
    elements that differ by a last turn about z, as quadrature rules have them: 2 L + 1 waves in place of sum d^2
    entries. The irreps (l, 1) and (l, -1) of O(3) differ by the sign of the determinant alone: sums over proper and
    improper elements by themselves, C+ and C-, of the entries of (l, 1) give both, C+ + C- and C+ - C-.

    Args:
        irreps: trivial first.
    """

    def __init__(self, irreps: Sequence[Irrep]) -> None:
        self.irreps = tuple(irreps)
        self.sizes = [irrep.dimension**2 for irrep in self.irreps]
        self.folded = _of_o3(self.irreps)
        self._rotations = self.folded or all(_is_wigner(irrep) for irrep in self.irreps)
        self._degree = len(self.irreps) // (2 if self.folded else 1) - 1
        self._waves = WaveOrder(self._degree) if self._rotations else None
        self.scratch = Scratch()
        self._kept: dict[int, Block] = {}
        self._room = KEPT

    def run_length(self, elements: Tensor) -> int:
        """Elements that a block should have a multiple of."""
        return run_length(elements.double()) if self._waves is not None else 1

    def full(self, elements: Tensor) -> Tensor:
        """``[k, sum d^2]``, all irreps in their order."""
        if not self.folded:
            return self._entries(elements)
        sign = _determinant_sign(elements)[:, None]
        parts = self._entries(elements).split(self.sizes[::2], 1)
        return torch.cat([part for p in parts for part in (p, sign * p)], 1)

    def at(self, elements: Tensor, number: int | None = None) -> Block:
        """A block of elements ``[k, *element_shape]``.

        Args:
            elements: of the group.
            number: under which the block is kept for the next time that the same elements come.
        """
        if number is not None and number in self._kept:
            known = self._kept[number]
            if known.elements is elements or torch.equal(known.elements, elements):
                return known
        runs = runs_of(elements.double(), self._degree) if self._waves is not None else None
        places = elements if runs is None else runs.starts
        entries = self._entries(places)
        if self._waves is not None:
            entries = entries[:, self._waves.order.to(entries.device)]
        found = Block(elements, entries, _determinant_sign(places) > 0 if self.folded else None, runs)
        size = entries.numel() * entries.element_size()
        if number is not None and number not in self._kept and size <= self._room:
            self._room -= size
            self._kept[number] = found
        return found

    def add(self, sums: list[Tensor | None], block: Block, weights: Tensor, values: Tensor) -> None:
        """Add the sums over a block to those over proper and over improper elements (the first, where not folded).

        Args:
            sums: two entries, None at first, then ``[columns, n]``, changed in place; see :meth:`coefficients`.
            block: from :meth:`at`.
            weights: ``[k]``.
            values: ``[k, n]``.
        """
        entries, proper, runs, waves = block.entries, block.proper, block.runs, self._waves
        if runs is not None:
            by_run = weights.reshape(-1, runs.length)
            if bool((by_run != by_run[:, :1]).any()):  # a rule of the user's: entry by entry
                plain = self._entries(block.elements)
                entries = plain if waves is None else plain[:, waves.order.to(plain.device)]
                proper = None if proper is None else proper.repeat_interleave(runs.length)
                runs = None
            else:
                weights, values = by_run[:, 0], values.reshape(len(by_run), runs.length, -1)
        weighted = entries * weights[:, None]
        for which in (0, 1):
            if proper is None:
                w, v = weighted, values
            else:
                mine = proper if which == 0 else ~proper
                if not bool(mine.any()):
                    continue
                w, v = (weighted, values) if bool(mine.all()) else (weighted[mine], values[mine])
            known = sums[which]
            if known is None:
                known = sums[which] = values.new_zeros(entries.shape[1], values.shape[-1])
            if runs is not None and waves is not None:
                along = self.scratch.of(1, (len(w), len(runs.waves), v.shape[-1]), v)
                torch.bmm(runs.waves.expand(len(w), -1, -1), v, out=along)
                waves.accumulate(known, w, along)
            else:
                known.addmm_(w.mT, v)
            if proper is None:
                return

    def coefficients(self, sums: list[Tensor | None]) -> Tensor:
        """The sums of all irreps in their order, ``[sum d^2, n]``."""
        present = next((s for s in sums if s is not None), None)
        if present is None:
            raise ValueError("expected at least one block, got none")
        found = [torch.zeros_like(present) if s is None else s for s in sums]
        if self._waves is not None:
            back = self._waves.order.argsort().to(present.device)
            found = [s[back] for s in found]
        return self.unfolded(*found) if self.folded else found[0]

    def unfolded(self, even: Tensor, odd: Tensor) -> Tensor:
        """Coefficients ``[sum d^2, n]`` of all irreps from sums over proper and improper elements ``[columns, n]``."""
        sizes = self.sizes[::2]
        both = zip(even.split(sizes), odd.split(sizes), strict=True)
        return torch.cat([part for a, b in both for part in (a + b, a - b)])

    def _entries(self, elements: Tensor) -> Tensor:
        if self._rotations:
            found = wigner_d_up_to(self._degree, elements.double())
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
