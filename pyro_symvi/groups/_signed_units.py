"""Signed permutations of blocks of coordinates: units that may be exchanged and turned over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._linear_action import LinearAction
from ._permutation_actions import _checked_blocks, decreasing_order, least_assignment
from ._signed_permutations import SignedPermutations


@dataclass(frozen=True, eq=False, repr=False)
class SignedUnitPermutation(LinearAction):
    """Signed permutations of blocks of coordinates of R^dim: block i goes, times s, to block j if g[i] = s (j + 1).

    A block holds the weights of one unit (a row of a flat weight matrix); the other coordinates stay. A sum of p equal
    even functions, sum_k sigma(w_k . x) with sigma(-z) = sigma(z), is invariant under this action on (w_1, ..., w_p).
    ``blocks`` is a sequence of disjoint, equally long index sequences; default: every coordinate its own block, as in
    ``SignedCoordinatePermutation``. Pins the mean of the blocks at 0.
    """

    dim: int
    blocks: Sequence[Sequence[int]] | None = None

    def __post_init__(self) -> None:
        positive_int(self.dim, "dim")
        blocks = [(i,) for i in range(self.dim)] if self.blocks is None else self.blocks
        object.__setattr__(self, "blocks", _checked_blocks(blocks, self.dim))

    @property
    def group(self) -> SignedPermutations:
        return SignedPermutations(len(self.blocks))  # type: ignore[arg-type]

    def _index(self, device: torch.device) -> Tensor:
        return torch.tensor(self.blocks, device=device)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        index, back = self._index(x.device), self.group.inverse(g)
        batch = torch.broadcast_shapes(back.shape[:-1], x.shape[:-1])
        place = index[back.abs() - 1].flatten(-2).expand(*batch, index.numel())  # block j receives block |back[j]|
        sign = back.sign().to(x.dtype)[..., None].expand(*back.shape, index.shape[1]).flatten(-2)
        x = x.expand(*batch, self.dim)
        return x.scatter(-1, index.reshape(-1).expand(place.shape), x.gather(-1, place) * sign)

    def _matrix(self, g: Tensor) -> Tensor:
        columns = torch.eye(self.dim, dtype=torch.float64, device=g.device)
        return self._act(g[..., None, :], columns).mT

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Each block's first nonzero entry positive, then the blocks in lexicographically decreasing order."""
        values = x[..., self._index(x.device)]  # [..., k, size]
        leading = (values != 0).to(torch.int8).argmax(-1, keepdim=True)
        sign = torch.where(values.gather(-1, leading) < 0, -1, 1)
        g = sign[..., 0] * (decreasing_order(values * sign.to(x.dtype)).argsort(-1) + 1)
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        """The assignment with the largest sum of |<x_i, y_j>| (Hungarian algorithm, scipy), then the signs."""
        index = self._index(x.device)
        products = x[..., index] @ y[..., index].mT
        target = least_assignment(-products.abs())
        chosen = products.gather(-1, target[..., None])[..., 0]
        return torch.where(chosen < 0, -1, 1) * (target + 1)
