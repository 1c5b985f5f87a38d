"""Sums over the group, one pass, in float64: means, squares, and Fourier coefficients of responses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..groups import Irrep
from ..groups._irreps import COMMUTANT_DIMENSION
from ._columns import Columns, Scratch
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
        self._away(weights, values)

    def _away(self, weights: Tensor, values: Tensor, scratch: Scratch | None = None) -> Tensor:
        """Add a block, and return it relative to the centre, ``[k, entries]`` (in ``scratch``, where that is given)."""
        if not self.started:
            self.started = True
            self.centre = values[0].clone()
            self.first, self.second = torch.zeros_like(self.centre), torch.zeros_like(self.centre)
        shape = self.centre.shape
        values, centre = values.reshape(len(values), -1), self.centre.reshape(-1)
        if scratch is None:
            away = values - centre
            squares = away.square()
        else:
            away = torch.sub(values, centre, out=scratch.of(0, values.shape, values))
            squares = torch.mul(away, away, out=scratch.of(1, values.shape, values))
        self.count += len(weights)
        self.first += (weights @ away).reshape(shape)
        self.second += (weights @ squares).reshape(shape)
        if bool((weights < 0).any()):
            below = (weights.clamp(max=0) @ squares).reshape(shape)
            self.negative = below if self.negative is None else self.negative + below
        return away

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
        self._plain: Tensor | None = None

    def add_block(self, matrices: Tensor, weights: Tensor, values: Tensor) -> None:
        """Add a block; ``matrices [k, sum d^2]`` from :meth:`matrices`. Differentiable."""
        away = self._away(weights, values)
        found = (matrices * weights[:, None]).mT @ away
        self._plain = found if self._plain is None else self._plain + found

    def add_at(self, elements: Tensor, weights: Tensor, values: Tensor, block: int | None = None) -> None:
        """Add a block by its elements: faster, not differentiable; see :class:`~._columns.Columns`."""
        away = self._away(weights, values, self.columns.scratch)
        self.columns.add(self._sums, self.columns.at(elements, block), weights, away)

    def matrices(self, elements: Tensor) -> Tensor:
        """The entries of all irreps at ``elements``, ``[k, sum d^2]``."""
        return self.columns.full(elements)

    @property
    def coefficients(self) -> Tensor:
        """E[rho_beta(g) (u(g) - centre)] of all irreps, ``[sum d^2, entries]``."""
        if self._plain is None:
            return self.columns.coefficients(self._sums)
        if self._sums == [None, None]:
            return self._plain
        return self._plain + self.columns.coefficients(self._sums)

    def energies(self) -> Tensor:
        """B_beta by entry, ``[irreps, *shape]``; the trivial one is the squared mean."""
        found = []
        sizes = [irrep.dimension**2 for irrep in self.irreps]
        for irrep, part in zip(self.irreps, self.coefficients.split(sizes), strict=True):
            factor = irrep.dimension / COMMUTANT_DIMENSION[irrep.kind]
            found.append(factor * part.square().sum(0).reshape(self.centre.shape))
        found[0] = self.mean.square()
        return torch.stack(found)
