"""Permutations of coordinates, of blocks of coordinates (sites, plates, hidden units), and signed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._linear_action import LinearAction
from ._permutation_groups import PermutationLike, Symmetric
from ._sign_flips import SignFlips
from ._signed_permutations import SignedPermutations


@dataclass(frozen=True, eq=False, repr=False)
class CoordinatePermutation(LinearAction):
    """Permutes blocks of coordinates of R^dim: the entries of block i go to block g(i); the others stay.

    ``blocks`` is a sequence of disjoint, equally long index sequences (a site with plate of size k: one block a
    member); default: every coordinate its own block. ``permutations`` is the group on the blocks, by default all
    of them; pass ``Cyclic(k)`` for shifts, ``Dihedral(k)``, or a ``PermutationGroup``.

    Pins a mean to be constant along each orbit of coordinates; S_k on single coordinates: S = a I + b 1 1^T.

    Raises:
        ValueError: for a group on another number of points than there are blocks.
    """

    dim: int
    blocks: Sequence[Sequence[int]] | None = None
    permutations: PermutationLike | None = None

    def __post_init__(self) -> None:
        positive_int(self.dim, "dim")
        blocks = [(i,) for i in range(self.dim)] if self.blocks is None else self.blocks
        object.__setattr__(self, "blocks", _checked_blocks(blocks, self.dim))
        count = len(self._blocks())
        if self.permutations is None:
            object.__setattr__(self, "permutations", Symmetric(count))
        elif not isinstance(self.permutations, PermutationLike) or self.permutations.degree != count:
            raise ValueError(
                f"expected a permutation group on {count} points, got {self.permutations!r}, because there are "
                f"{count} blocks; try Symmetric({count})"
            )

    def _blocks(self) -> tuple[tuple[int, ...], ...]:
        return self.blocks  # type: ignore[return-value]

    @property
    def group(self) -> PermutationLike:
        return self.permutations  # type: ignore[return-value]

    def _source(self, g: Tensor) -> Tensor:
        """For each coordinate, the one whose entry it receives: LongTensor ``[*batch, dim]``."""
        index = torch.tensor(self._blocks(), device=g.device)
        origin = self.group.as_permutation(g).argsort(-1)  # block j receives block g^-1(j)
        source = torch.arange(self.dim, device=g.device).expand(*origin.shape[:-1], self.dim)
        target = index.reshape(-1).expand(*origin.shape[:-1], index.numel())
        return source.scatter(-1, target, index[origin].flatten(-2))

    def _matrix(self, g: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(self._source(g), self.dim).double()

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        source = self._source(g)
        batch = torch.broadcast_shapes(source.shape[:-1], x.shape[:-1])
        return x.expand(*batch, self.dim).gather(-1, source.expand(*batch, self.dim))

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Blocks in lexicographically decreasing order (all permutations); else the largest image."""
        if not isinstance(self.group, Symmetric):
            return super()._canonicalize(x)
        values = x[..., torch.tensor(self._blocks(), device=x.device)]  # [..., k, size]
        g = decreasing_order(values).argsort(-1)  # block order[j] goes to place j
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        """All permutations: the optimal assignment of blocks by summed squares (Hungarian algorithm, scipy)."""
        if not isinstance(self.group, Symmetric):
            return super()._align(x, y)
        index = torch.tensor(self._blocks(), device=x.device)
        return least_assignment(torch.cdist(x[..., index], y[..., index]).square())


@dataclass(frozen=True, eq=False, repr=False)
class SignedCoordinatePermutation(LinearAction):
    """Signed permutations of all n coordinates: e_i -> +-e_j. Pins the mean at 0 and the scatter to a multiple of I."""

    n: int

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def group(self) -> SignedPermutations:
        return SignedPermutations(self.n)

    @property
    def dim(self) -> int:
        return self.n

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        back = self.group.inverse(g)
        batch = torch.broadcast_shapes(back.shape, x.shape)
        moved = x.expand(batch).gather(-1, (back.abs() - 1).expand(batch))
        return moved * back.sign().to(x.dtype)

    def _matrix(self, g: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(g.abs() - 1, self.n).double().mT * g.sign()[..., None, :]

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Absolute values in decreasing order."""
        order = x.abs().argsort(stable=True, dim=-1, descending=True)
        sign = torch.where(x < 0, -1, 1)
        g = sign * (order.argsort(-1) + 1)
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        target = least_assignment(-(x[..., :, None] * y[..., None, :]).abs())
        sign = torch.where(x * y.gather(-1, target) < 0, -1, 1)
        return sign * (target + 1)


@dataclass(frozen=True, eq=False, repr=False)
class BlockSigns(LinearAction):
    """One sign a block of coordinates: all entries of block j are multiplied by g_j; the other coordinates stay."""

    dim: int
    blocks: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        positive_int(self.dim, "dim")
        object.__setattr__(self, "blocks", _checked_blocks(self.blocks, self.dim))

    @property
    def group(self) -> SignFlips:
        return SignFlips(len(self.blocks))

    def _signs(self, g: Tensor) -> Tensor:
        index = torch.tensor(self.blocks, device=g.device)
        spread = g[..., None].expand(*g.shape, index.shape[1]).flatten(-2)
        ones = g.new_ones(*g.shape[:-1], self.dim)
        return ones.scatter(-1, index.reshape(-1).expand(spread.shape), spread)

    def _matrix(self, g: Tensor) -> Tensor:
        return torch.diag_embed(self._signs(g))

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        return x * self._signs(g)

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last nonzero entry of each block becomes positive."""
        values = x[..., torch.tensor(self.blocks, device=x.device)].flip(-1)
        leading = (values != 0).to(torch.int8).argmax(-1, keepdim=True)
        g = torch.where(values.gather(-1, leading)[..., 0] < 0, -1.0, 1.0).to(x.dtype)
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        index = torch.tensor(self.blocks, device=x.device)
        return torch.where((x[..., index] * y[..., index]).sum(-1) < 0, -1.0, 1.0).to(x.dtype)


def decreasing_order(values: Tensor) -> Tensor:
    """Indices ``[..., k]`` that put the rows of ``values [..., k, size]`` in lexicographically decreasing order."""
    order = torch.arange(values.shape[-2], device=values.device).expand(values.shape[:-1])
    for column in reversed(range(values.shape[-1])):
        keys = values[..., column].gather(-1, order)
        order = order.gather(-1, keys.argsort(stable=True, dim=-1, descending=True))
    return order


def least_assignment(cost: Tensor) -> Tensor:
    """For each row of ``cost [..., k, k]`` its column in the assignment of least sum (Hungarian algorithm, scipy)."""
    from scipy.optimize import linear_sum_assignment

    flat = cost.detach().cpu().reshape(-1, *cost.shape[-2:]).numpy()
    found = torch.tensor([linear_sum_assignment(c)[1].tolist() for c in flat], device=cost.device)
    return found.reshape(cost.shape[:-1])


def _checked_blocks(blocks: object, dim: int) -> tuple[tuple[int, ...], ...]:
    """Disjoint, equally long, non-empty tuples of indices below ``dim``."""
    try:
        found = tuple(tuple(int(i) for i in block) for block in blocks)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise TypeError(f"expected blocks as sequences of ints, got {blocks!r}; try [[0, 1], [2, 3]]") from error
    flat = [i for block in found for i in block]
    if not flat or len({len(block) for block in found}) != 1:
        raise ValueError(f"expected non-empty blocks of one length, got {[list(b) for b in found]}")
    if len(set(flat)) != len(flat):
        raise ValueError("expected disjoint blocks, got an index twice, because each coordinate moves once")
    if min(flat) < 0 or max(flat) >= dim:
        raise ValueError(f"expected indices from 0 to {dim - 1}, got {min(flat)} to {max(flat)}")
    return found
