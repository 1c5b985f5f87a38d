"""Rescaling of all units of a network at once: positive factors on the weights into and out of each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._action import Action
from ._noncompact import PositiveScaling


@dataclass(frozen=True, eq=False, repr=False)
class NetworkRescaling(Action):
    """(R_+)^H on a flat parameter vector: entry i times c_enters(i) / c_leaves(i)^k_i.

    Unit h multiplies the weights into it (its bias included) by c_h and divides those out of it by c_h^k, where
    phi(c x) = c^k phi(x) is the degree of its activation: 1 for ReLU and its like (Neyshabur, Salakhutdinov and
    Srebro 2015). Units whose outputs are added share one c. In logs z = 2 log c the move is
    theta exp(-B z / 2), with the incidence B_ih = k_i where i leaves h, -1 where it enters h; log |det| =
    -sum_i (B z)_i / 2. :class:`HiddenUnitRescaling` is the same for one layer alone.

    Attributes:
        enters: LongTensor ``[dim]``: the unit each entry leads into, -1 for none.
        leaves: LongTensor ``[dim]``: the unit each entry comes from, -1 for none.
        units: H, the number of free scales.
        degrees: ``[dim]``, k_i of the unit that entry i leaves; None means 1 everywhere.

    Raises:
        TypeError: for indices that are not int64.
        ValueError: for indices of different length or out of range, or degrees that are not positive.
    """

    enters: Tensor
    leaves: Tensor
    units: int
    degrees: Tensor | None = None

    def __post_init__(self) -> None:
        positive_int(self.units, "units", 0)
        for name in ("enters", "leaves"):
            index = getattr(self, name)
            if not isinstance(index, Tensor) or index.dtype != torch.int64 or index.ndim != 1:
                raise TypeError(f"expected {name} as an int64 tensor [dim], got {index!r}")
            if index.numel() and not (-1 <= int(index.min()) and int(index.max()) < self.units):
                raise ValueError(f"expected {name} between -1 and {self.units - 1}, got {index.min()} to {index.max()}")
        if self.enters.shape != self.leaves.shape:
            raise ValueError(f"expected enters and leaves of one length, got {len(self.enters)} and {len(self.leaves)}")
        if self.degrees is not None and (self.degrees.shape != self.enters.shape or not bool((self.degrees > 0).all())):
            raise ValueError(f"expected positive degrees [{len(self.enters)}], got shape {list(self.degrees.shape)}")

    @property
    def group(self) -> PositiveScaling:
        return PositiveScaling(self.units)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (len(self.enters),)

    def log_factors(self, log_c: Tensor) -> Tensor:
        """Log of the factor of each entry, ``[*batch, dim]``, from log c ``[*batch, units]``."""
        padded = torch.cat([log_c, log_c.new_zeros(*log_c.shape[:-1], 1)], -1)  # -1 reads the zero
        out = padded[..., self.leaves.to(log_c.device)]
        if self.degrees is not None:
            out = out * self.degrees.to(log_c)
        return padded[..., self.enters.to(log_c.device)] - out

    def incidence(self) -> Tensor:
        """B, a sparse matrix ``[dim, units]`` in float64."""
        entries = torch.arange(len(self.enters))
        into, out = self.enters >= 0, self.leaves >= 0
        index = torch.stack(
            [
                torch.cat([entries[into], entries[out]]),
                torch.cat([self.enters[into], self.leaves[out]]),
            ]
        )
        degrees = torch.ones(len(entries), dtype=torch.float64) if self.degrees is None else self.degrees.double()
        values = torch.cat([-torch.ones(int(into.sum()), dtype=torch.float64), degrees[out]])
        return torch.sparse_coo_tensor(index, values, (len(entries), self.units), check_invariants=True).coalesce()

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        return x * self.log_factors(g.log()).exp()

    def _log_abs_det(self, g: Tensor, x: Tensor) -> Tensor:
        value = self.log_factors(g.log()).sum(-1)
        return value.expand(torch.broadcast_shapes(value.shape, x.shape[:-1]))

    def _vertical_basis(self, x: Tensor) -> Tensor:
        return -x[..., None] * self.incidence().to_dense().to(x)
