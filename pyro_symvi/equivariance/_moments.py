"""Sums over the group, one pass, in float64: means, squares, and Fourier coefficients of responses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..groups import Irrep
from ..groups._irreps import COMMUTANT_DIMENSION
from ._columns import Columns
from ._settle import model_rounding, settled


class Moments:
    """Mean and variance over the group of responses ``[k, *shape]``, entry by entry.

    Everything is taken relative to the first response, so that a large constant costs no digits.
    """

    centre: Tensor
    first: Tensor
    second: Tensor

    def __init__(self) -> None:
        self.started = False
        self.count = 0
        self.negative: Tensor | None = None

    def add(self, weights: Tensor, values: Tensor) -> None:
        """Add a block: ``weights [k]``, ``values [k, *shape]`` in float64."""
        if not self.started:
            self.started = True
            self.centre = values[0].clone()
            self.first, self.second = torch.zeros_like(self.centre), torch.zeros_like(self.centre)
        away = values - self.centre
        self.count += len(weights)
        self.first += torch.tensordot(weights, away, dims=1)
        self.second += torch.tensordot(weights, away.square(), dims=1)
        if bool((weights < 0).any()):
            below = torch.tensordot(weights.clamp(max=0), away.square(), dims=1)
            self.negative = below if self.negative is None else self.negative + below

    @property
    def mean(self) -> Tensor:
        """E u, ``[*shape]``."""
        return self.centre + self.first

    @property
    def variance(self) -> Tensor:
        """E u^2 - (E u)^2 by entry, not below zero: see :func:`~._settle.settled`."""
        value, scale, floor = self.second - self.first.square(), self.second + self.first.square(), 0.0
        if self.negative is not None:
            scale, floor = scale - 2 * self.negative, model_rounding(self.centre.square())
        return settled(value, scale, self.count, floor)

    @property
    def square(self) -> Tensor:
        """E u^2 by entry."""
        return self.mean.square() + self.variance


class FourierSums(Moments):
    """Besides, the coefficients F_beta = E[rho_beta(g) u(g)] ``[d, d, *shape]``, which hold the energies.

    B_beta = d / e |F_beta|_F^2 with e = 1, 2, 4 for representations of real, complex, quaternionic kind: the squared
    norm of the projection of u on the span of the matrix entries of rho_beta (Schur orthogonality).
    """

    def __init__(self, irreps: Sequence[Irrep], columns: Columns | None = None) -> None:
        super().__init__()
        self.irreps = tuple(irreps)
        self.columns = columns or Columns(irreps)
        self._sums: list[Tensor | None] = [None, None]

    def add_block(self, matrices: Tensor, weights: Tensor, values: Tensor) -> None:
        """Add a block; ``matrices [k, sum d^2]`` are the irreps at its elements, from :meth:`matrices`."""
        self._add(matrices, None, weights, values, full=True)

    def add_at(self, elements: Tensor, weights: Tensor, values: Tensor, block: int | None = None) -> None:
        """Add a block by its elements, the fast way: see :class:`~._columns.Columns`."""
        self._add(*self.columns.at(elements, block), weights, values)

    def matrices(self, elements: Tensor) -> Tensor:
        """The entries of all irreps at ``elements``, ``[k, sum d^2]``."""
        return self.columns.full(elements)

    def _add(self, entries: Tensor, proper: Tensor | None, weights: Tensor, values: Tensor, full: bool = False) -> None:
        self._full = full
        self.add(weights, values)
        away = (values - self.centre).reshape(len(values), -1)
        weighted = entries * weights[:, None]
        if proper is None or bool(proper.all()):
            self._accumulate(0, weighted, away)
        elif not bool(proper.any()):
            self._accumulate(1, weighted, away)
        else:
            self._accumulate(0, weighted[proper], away[proper])
            self._accumulate(1, weighted[~proper], away[~proper])

    def _accumulate(self, which: int, weighted: Tensor, away: Tensor) -> None:
        sums = self._sums[which]
        if sums is None:
            self._sums[which] = weighted.mT @ away
        elif torch.is_grad_enabled() and (sums.requires_grad or away.requires_grad):
            self._sums[which] = sums + weighted.mT @ away
        else:
            sums.addmm_(weighted.mT, away)

    @property
    def coefficients(self) -> Tensor:
        """E[rho_beta(g) (u(g) - centre)] of all irreps, ``[sum d^2, entries]``."""
        first, second = self._sums
        present = first if first is not None else second
        if present is None:
            raise ValueError("expected at least one block, got none")
        if self._full or not self.columns.folded:
            return present
        zero = torch.zeros_like(present)
        return self.columns.unfolded(zero if first is None else first, zero if second is None else second)

    def energies(self) -> Tensor:
        """B_beta by entry, ``[irreps, *shape]``; the trivial one is the squared mean."""
        found = []
        sizes = [irrep.dimension**2 for irrep in self.irreps]
        for irrep, part in zip(self.irreps, self.coefficients.split(sizes), strict=True):
            factor = irrep.dimension / COMMUTANT_DIMENSION[irrep.kind]
            found.append(factor * part.square().sum(0).reshape(self.centre.shape))
        found[0] = self.mean.square()
        return torch.stack(found)
