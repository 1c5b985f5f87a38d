"""Lower-triangular matrices: full, or in blocks of coordinates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import pyro.distributions as dist
import torch
from torch import Tensor

from .. import _structure
from .._closure import Closure
from ._scale import Scale


class Triangular(Scale):
    """C lower triangular with positive diagonal and zeros between blocks; ``scale [*batch, d, d]``."""

    @abstractmethod
    def index_blocks(self, dim: int) -> tuple[tuple[int, ...], ...]:
        """The blocks of coordinates, each in increasing order."""

    def entries(self, dim: int) -> Tensor:
        """Rows and columns ``[2, m]`` of the free entries below the diagonal."""
        pairs = [(i, j) for block in self.index_blocks(dim) for i in block for j in block if j < i]
        return torch.tensor(sorted(pairs), dtype=torch.long).reshape(-1, 2).mT

    def size(self, dim: int) -> int:
        """d, and one for each entry below the diagonal inside a block."""
        return dim + self.entries(dim).shape[1]

    def initial(self, dim: int, value: float, like: Tensor) -> Tensor:
        """Value * I."""
        return value * torch.eye(dim, dtype=like.dtype, device=like.device)

    def around(self, reference: Tensor, vector: Tensor) -> Tensor:
        """Reference L: logarithms of L's diagonal, then its entries below."""
        dim = reference.shape[-1]
        rows, columns = self.entries(dim).to(vector.device)
        lower = torch.zeros(dim, dim, dtype=vector.dtype, device=vector.device)
        lower = lower.index_put((rows, columns), vector[dim:])
        return reference @ (lower + torch.diag(vector[:dim].exp()))

    def complaint(self, scale: Tensor) -> str | None:
        """Triangular, positive, zero between blocks."""
        positive = (scale.diagonal(dim1=-2, dim2=-1) > 0).all()
        if bool(positive & (scale.masked_select(~self._inside(scale)) == 0).all()):
            return None
        zeros = "" if len(self.index_blocks(scale.shape[-1])) == 1 else ", zero between blocks"
        return f"lower triangular, its diagonal positive{zeros}"

    def apply(self, scale: Tensor, noise: Tensor) -> Tensor:
        """C noise."""
        return noise @ scale.mT if scale.ndim == 2 else (scale @ noise[..., None])[..., 0]

    def solve(self, scale: Tensor, x: Tensor) -> Tensor:
        """By forward substitution."""
        return torch.linalg.solve_triangular(scale, x[..., None], upper=False)[..., 0]

    def log_det(self, scale: Tensor, dim: int) -> Tensor:
        """The sum of logarithms of the diagonal."""
        return scale.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def matrix(self, scale: Tensor, dim: int) -> Tensor:
        """The parameter itself."""
        return scale

    def transform(self, loc: Tensor, scale: Tensor) -> dist.transforms.Transform:
        """The transform of Pyro, which takes one matrix; for a batch of them the general one."""
        if scale.ndim > 2:
            return super().transform(loc, scale)
        return dist.transforms.LowerCholeskyAffine(loc, scale_tril=scale)

    def from_root(self, root: Tensor) -> Tensor:
        """Roots of the inverses of the precision's blocks."""
        blocks = self.index_blocks(root.shape[-1])
        if len(blocks) == 1:
            return root
        precision = torch.cholesky_inverse(root)
        return _assemble(blocks, [torch.linalg.cholesky(torch.linalg.inv(_part(precision, b))) for b in blocks], root)

    def from_covariance(self, covariance: Tensor) -> Tensor | None:
        """Roots of the covariance's blocks."""
        blocks = self.index_blocks(covariance.shape[-1])
        roots = [torch.linalg.cholesky_ex(_part(covariance, block)) for block in blocks]
        return None if any(int(r.info) for r in roots) else _assemble(blocks, [r.L for r in roots], covariance)

    def closure(self, matrices: Tensor | None, spherical: bool) -> Closure:
        """A spherical base: maps that take blocks to blocks; a product: lower-triangular ones besides."""
        dim = 0 if matrices is None else matrices.shape[-1]
        blocks = self.index_blocks(dim) if matrices is not None else ()
        if matrices is None:
            if spherical and isinstance(self, Full):
                return Closure(True, "a spherical base with a full scale is closed under every affine map")
            return Closure(False, "its linear parts are unknown, and not every linear map keeps this family")
        if not spherical and not _structure.are_lower_triangular(matrices):
            return Closure(
                False, "for a base that is not spherical the law depends on C itself, and A C is not lower triangular"
            )
        if not all(_keeps_blocks(a, blocks) for a in matrices):
            return Closure(False, "its linear parts mix blocks that the scale keeps apart")
        reason = (
            "a spherical base with a full scale is closed under every affine map"
            if spherical and len(blocks) == 1
            else "its linear parts keep the blocks, and the base law is spherical"
            if spherical
            else "its linear parts keep C lower triangular, up to signs that leave the base law as it is"
        )
        still = all(_structure.are_plus_minus_identity(_part(matrices, block)) for block in blocks)
        return Closure(True, reason, moves_scale=not (still and _structure.are_sign_flips(matrices)))

    def image(self, scale: Tensor, matrix: Tensor) -> Tensor:
        """The lower-triangular root of A C C^T A^T with positive diagonal, from a QR factorisation of (A C)^T."""
        moved = matrix @ scale
        upper = torch.linalg.qr(moved.mT, mode="r").R
        sign = torch.where(upper.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(upper)
        found = (upper * sign[..., None]).mT
        return torch.where(self._inside(found), found, 0.0)

    def _inside(self, scale: Tensor) -> Tensor:
        """Entries that may differ from zero, ``[d, d]``."""
        keep = torch.eye(scale.shape[-1], dtype=torch.bool, device=scale.device)
        rows, columns = self.entries(scale.shape[-1]).to(scale.device)
        keep[rows, columns] = True
        return keep


@dataclass(frozen=True, eq=False, repr=False)
class Full(Triangular):
    """All lower-triangular matrices with positive diagonal: one Cholesky factor."""

    name: ClassVar[str] = "full"

    def index_blocks(self, dim: int) -> tuple[tuple[int, ...], ...]:
        """One block."""
        return (tuple(range(dim)),)

    def entries(self, dim: int) -> Tensor:
        """All below the diagonal, row by row."""
        return torch.tril_indices(dim, dim, -1)


@dataclass(frozen=True, eq=False, repr=False)
class BlockDiagonal(Triangular):
    """A Cholesky factor for each block of coordinates, zero between blocks.

    Args:
        blocks: Disjoint sequences of indices that together are 0 ... d - 1; or sizes of consecutive blocks.
            In a guide, ``scale="block_diagonal"`` takes a block for each site.

    Raises:
        TypeError: Not sequences of integers, or sizes.
        ValueError: An index twice or missing.

    >>> BlockDiagonal([2, 1]).blocks
    ((0, 1), (2,))
    """

    blocks: Sequence[Sequence[int]] | Sequence[int]
    name: ClassVar[str] = "block_diagonal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", _checked_blocks(self.blocks))

    def resolve(self, dim: int) -> Self:
        """Itself, if the blocks have d coordinates."""
        count = sum(len(block) for block in self.index_blocks(dim))
        if count != dim:
            raise ValueError(
                f"expected blocks of {dim} coordinates in all, got {count}, because every coordinate belongs to one; "
                f"try BlockDiagonal({[dim]})"
            )
        return self

    def index_blocks(self, dim: int) -> tuple[tuple[int, ...], ...]:
        """As given."""
        return self.blocks  # type: ignore[return-value]


def _checked_blocks(blocks: object) -> tuple[tuple[int, ...], ...]:
    try:
        given = list(blocks)  # type: ignore[call-overload]
        if given and all(isinstance(size, int) and not isinstance(size, bool) for size in given):
            if min(given) < 1:
                raise ValueError(f"expected block sizes >= 1, got {given}, because no block is empty; try [2, 1]")
            ends = [sum(given[: i + 1]) for i in range(len(given))]
            return tuple(tuple(range(end - size, end)) for size, end in zip(given, ends, strict=True))
        found = tuple(tuple(sorted(int(i) for i in block)) for block in given)
    except TypeError as error:
        raise TypeError(
            f"expected blocks as sequences of indices, or sizes, got {blocks!r}, because they split the coordinates; "
            "try [[0, 1], [2]] or [2, 1]"
        ) from error
    flat = sorted(i for block in found for i in block)
    if not flat or flat != list(range(len(flat))):
        raise ValueError(
            f"expected disjoint blocks that hold 0 ... d - 1, got {[list(b) for b in found]}, because every coordinate "
            "belongs to one; try [[0, 1], [2]]"
        )
    return found


def _part(matrix: Tensor, block: tuple[int, ...]) -> Tensor:
    index = torch.tensor(block, device=matrix.device)
    return matrix[..., index[:, None], index]


def _assemble(blocks: tuple[tuple[int, ...], ...], parts: list[Tensor], like: Tensor) -> Tensor:
    whole = torch.zeros_like(like)
    for block, part in zip(blocks, parts, strict=True):
        index = torch.tensor(block, device=like.device)
        whole[index[:, None], index] = part
    return whole


def _keeps_blocks(matrix: Tensor, blocks: tuple[tuple[int, ...], ...]) -> bool:
    """Whether the image of each block's coordinates lies in one block, of the same size."""
    owner = torch.empty(matrix.shape[-1], dtype=torch.long)
    for number, block in enumerate(blocks):
        owner[list(block)] = number
    entries = _structure.without_rounding(matrix) != 0
    for block in blocks:
        targets = {int(owner[row]) for row in entries[:, list(block)].any(-1).nonzero()[:, 0]}
        if len(targets) != 1 or len(blocks[targets.pop()]) != len(block):
            return False
    return True
