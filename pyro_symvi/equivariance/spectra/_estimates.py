"""Energies from random elements: unbiased, with what is needed for their standard errors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...groups import Irrep
from ...groups._irreps import COMMUTANT_DIMENSION

BLOCKS = 16
"""Parts into which draws are divided: the first fixes a centre, each of the others is left out once."""


class DrawSums:
    """Sums over n independent Haar draws, in blocks, of responses ``[k, *shape]`` and of rho(g) u(g).

    The plug-in value d/e |F|^2 with F = mean of rho(g_i) u_i contains the terms of each draw with itself and is too
    large by (d^2/e) E|u|^2 / n in the mean, since |rho u|_F^2 = d |u|^2. Left out, they leave a U-statistic,

        B_U = (n^2 d/e |F|^2 - n (d^2/e) mean|u|^2) / (n (n - 1)),

    with expectation B exactly, so that it is negative now and then where B is small. For other than the trivial
    irrep a constant may be taken from u beforehand, which changes the noise and not the expectation; here it is the
    mean of the first of ``BLOCKS`` blocks of draws, and the estimate is that of the others (one draw in sixteen is
    given for not losing the energies to a large constant). The squared mean is estimated as mean^2 - s^2 / n.

    Memory: ``BLOCKS`` times that of an exact rule, whatever n.
    """

    centre: Tensor
    first: Tensor
    second: Tensor
    plain: Tensor
    products: Tensor

    def __init__(self, irreps: Sequence[Irrep], n: int) -> None:
        self.irreps = tuple(irreps)
        self.counts = [n // BLOCKS + (i < n % BLOCKS) for i in range(BLOCKS)]
        self.owner = torch.repeat_interleave(torch.arange(BLOCKS), torch.tensor(self.counts))
        self.seen = 0

    def add_block(self, matrices: Tensor, weights: Tensor, values: Tensor) -> None:
        """Add draws in their order: ``matrices [k, sum d^2]`` of the irreps, ``values [k, *shape]``."""
        if self.seen == 0:
            self.centre = values[0].clone()
            self.first = self.centre.new_zeros(BLOCKS, *self.centre.shape)
            self.second = torch.zeros_like(self.first)
            self.plain = matrices.new_zeros(BLOCKS, matrices.shape[1])
            self.products = matrices.new_zeros(BLOCKS, matrices.shape[1], self.centre.numel())
        away = values - self.centre
        owner = self.owner[self.seen : self.seen + len(values)]
        self.seen += len(values)
        for i in owner.unique().tolist():
            mine = (owner == i).to(values.device)
            u, m = away[mine], matrices[mine]
            self.first[i] += u.sum(0)
            self.second[i] += u.square().sum(0)
            self.plain[i] += m.sum(0)
            self.products[i] += m.mT @ u.reshape(len(u), -1)

    def estimates(self) -> tuple[Tensor, Tensor]:
        """B_beta ``[1 + replicates, irreps, *shape]`` and E|u|^2 ``[1 + replicates, *shape]``.

        The first entry is the estimate, the others leave out one block each.
        """
        pilot = self.first[0] / self.counts[0]
        centre = self.centre + pilot
        n = torch.tensor(self.counts, dtype=torch.float64, device=pilot.device).reshape(-1, *(1,) * pilot.ndim)
        first = (self.first - n * pilot)[1:]
        second = (self.second - 2 * pilot * self.first + n * pilot.square())[1:]
        products = self.products[1:] - self.plain[1:, :, None] * pilot.reshape(-1)
        whole = (first.sum(0), second.sum(0), products.sum(0), float(sum(self.counts[1:])))
        found = [self._from(centre, *whole)]
        for i, count in enumerate(self.counts[1:]):
            a, b, c, total = whole
            found.append(self._from(centre, a - first[i], b - second[i], c - products[i], total - count))
        return torch.stack([energies for energies, _ in found]), torch.stack([square for _, square in found])

    def _from(self, centre: Tensor, first: Tensor, second: Tensor, products: Tensor, n: float) -> tuple[Tensor, Tensor]:
        energies = []
        for irrep, part in zip(self.irreps, products.split([r.dimension**2 for r in self.irreps]), strict=True):
            factor = irrep.dimension / COMMUTANT_DIMENSION[irrep.kind]
            with_itself = irrep.dimension * second
            pairs = part.square().sum(0).reshape(centre.shape) - with_itself
            energies.append(factor * pairs / (n * (n - 1)))
        mean = first / n
        spread = (second - n * mean.square()) / (n - 1)
        energies[0] = (centre + mean).square() - spread / n
        return torch.stack(energies), (centre + mean).square() + second / n - mean.square()
