"""Actions that discovery needs beyond those of `groups`: one action seen in another frame, and joint rotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...groups import Group, LinearAction, Orthogonal


@dataclass(frozen=True, eq=False, repr=False)
class Conjugated(LinearAction):
    r"""A linear action of R^m in a frame of R^d: :math:`z\mapsto c + R\,(A_g\oplus I)\,R^{-1}(z-c)`.

    ``A_g`` acts on the coordinates ``index`` of :math:`R^{-1}(z - c)`; the others stay. So a group of flips,
    permutations or plane rotations may hold about a centre, in units of its own, or sheared.

    Attributes:
        inner: The action on R^m.
        frame: R, ``[d, d]``, invertible.
        center: c, ``[d]``.
        index: m distinct coordinates of R^d.
        name: What it is, in words.

    Raises:
        ValueError: for a frame or an inner action of another dimension.
    """

    inner: LinearAction
    frame: Tensor
    center: Tensor
    index: Sequence[int]
    name: str = "action in a frame"

    def __post_init__(self) -> None:
        d = len(self.center)
        if tuple(self.frame.shape) != (d, d) or self.inner.dim != len(self.index):
            raise ValueError(
                f"expected a frame [{d}, {d}] and an action on R^{len(self.index)}, got {list(self.frame.shape)} and "
                f"{self.inner!r}, because the action moves {len(self.index)} of {d} coordinates"
            )

    @property
    def group(self) -> Group:
        return self.inner.group

    @property
    def dim(self) -> int:
        return len(self.center)

    def _matrix(self, g: Tensor) -> Tensor:
        block = self.inner.matrix(g)
        index = torch.tensor(list(self.index), device=block.device)
        full = torch.eye(self.dim, dtype=block.dtype, device=block.device)
        full = full.expand(*block.shape[:-2], self.dim, self.dim).clone()
        full[..., index[:, None], index] = block
        frame = self.frame.to(block)
        return frame @ full @ torch.linalg.inv(frame)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        center = self.center.to(x)
        return center + (self._matrix(g).to(x.dtype) @ (x - center)[..., None])[..., 0]

    def _offset(self, x: Tensor) -> Tensor:
        return x - self.center.to(x)

    def _frame(self) -> Tensor:
        return self.frame.double()

    def __repr__(self) -> str:
        return f"Conjugated({self.name}, {self.inner!r}, coordinates={tuple(self.index)})"


@dataclass(frozen=True, eq=False, repr=False)
class JointRotation(LinearAction):
    """One orthogonal matrix g of O(k) turning several vectors of length k at once: z_v -> g z_v for each of them.

    The rotation of factor loadings: the rows of W and of the scores turn together, so that their products stay.
    Pins the mean of every vector at 0, and the covariance between two of them to a multiple of the identity.

    Raises:
        ValueError: unless the vectors are disjoint and of one length of at least 2.
    """

    dim: int
    vectors: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        flat = [i for vector in self.vectors for i in vector]
        if len({len(v) for v in self.vectors}) != 1 or len(set(flat)) != len(flat) or len(self.vectors[0]) < 2:
            raise ValueError(
                f"expected disjoint vectors of one length of at least 2, got {self.vectors!r}, because one matrix "
                "turns them all; try [[0, 1], [2, 3]]"
            )

    @property
    def group(self) -> Orthogonal:
        return Orthogonal(len(self.vectors[0]))

    def _matrix(self, g: Tensor) -> Tensor:
        full = torch.eye(self.dim, dtype=g.dtype, device=g.device).expand(*g.shape[:-2], self.dim, self.dim).clone()
        for vector in self.vectors:
            index = torch.tensor(list(vector), device=g.device)
            full[..., index[:, None], index] = g
        return full

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        batch = torch.broadcast_shapes(g.shape[:-2], x.shape[:-1])
        index = torch.tensor(self.vectors, device=x.device)  # [v, k]
        x = x.expand(*batch, x.shape[-1])
        turned = torch.einsum("...ij,...vj->...vi", g, x[..., index])
        return x.index_copy(-1, index.reshape(-1), turned.flatten(-2))
