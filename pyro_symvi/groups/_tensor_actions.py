"""Tensor powers and direct sums of linear actions: Cartesian tensors, and several components in one vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._action import Action
from ._affine_action import AffineAction
from ._errors import sentence
from ._group import Group
from ._linear_action import LinearAction
from ._representations import InvariantAction


@dataclass(frozen=True, eq=False, repr=False)
class TensorAction(Action):
    """Cartesian tensors of ``rank`` r: T_ij.. -> A_ik A_jl .. T_kl.., on ``[..., d, ..., d]`` with r axes of size d.

    ``TensorAction(NaturalAction(O3), 2)`` moves stress tensors and polarisabilities, rank 0 scalars, rank 1 vectors.
    With ``pseudo=True`` the image is multiplied by det A_g = +-1 as well: rank 0 for a triple product, rank 1 for a
    magnetic field, rank 2 for an optical rotation.

    Raises:
        TypeError: for anything but a linear action about the origin, and unless ``pseudo`` is a bool.
        ValueError: for pseudotensors of a group that is not compact.
    """

    of: LinearAction
    rank: int
    pseudo: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.of, LinearAction) or isinstance(self.of, AffineAction):
            raise TypeError(f"expected a linear action about the origin, got {self.of!r}; try NaturalAction(group)")
        positive_int(self.rank, "rank", 0)
        self.of._known_dim()
        if not isinstance(self.pseudo, bool):
            raise TypeError(f"expected pseudo to be a bool, got {self.pseudo!r}")
        if self.pseudo and not self.group.is_compact:
            raise ValueError(
                sentence(
                    "a compact group for pseudotensors",
                    repr(self.group),
                    "the sign that belongs to a map is its determinant, which is +1 or -1 there only",
                    "pseudo=False",
                )
            )

    @property
    def group(self) -> Group:
        return self.of.group

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.of._known_dim(),) * self.rank

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        matrix = self.of._matrix(g).to(x.dtype)
        batch = torch.broadcast_shapes(matrix.shape[:-2], self._batch(x))
        if self.rank == 0:
            moved = x.expand(batch)
        else:
            d, shape = matrix.shape[-1], self.event_shape
            moved = x.reshape(*self._batch(x), d, d ** (self.rank - 1))
            for _ in range(self.rank):  # one axis after the other, each then put last
                moved = (matrix @ moved).mT.reshape(*batch, d, d ** (self.rank - 1))
            moved = moved.reshape(*batch, *shape)
        if not self.pseudo:
            return moved
        sign = torch.linalg.det(matrix).sign()
        return sign[(..., *(None,) * self.rank)] * moved

    def _log_abs_det(self, g: Tensor, x: Tensor) -> Tensor:
        """The factor det A appears r d^(r - 1) times."""
        if self.group.is_compact or self.rank == 0:
            return super()._log_abs_det(g, x)
        matrix = self.of._matrix(g)
        single = torch.linalg.slogdet(matrix).logabsdet.to(x.dtype)
        batch = torch.broadcast_shapes(matrix.shape[:-2], self._batch(x))
        return (self.rank * matrix.shape[-1] ** (self.rank - 1) * single).expand(batch)


@dataclass(frozen=True, eq=False, repr=False)
class DirectSumAction(LinearAction):
    """Linear actions of one group side by side: ``[..., d_1 + ... + d_k]``, each part moved by its own matrices.

    ``DirectSumAction([IrrepAction(O3, (0, 1)), IrrepAction(O3, (1, 1))])`` moves an energy and a dipole in one
    vector. An :class:`InvariantAction` among the parts stands for one invariant component.

    Raises:
        TypeError: for anything but a sequence of linear actions about the origin.
        ValueError: for actions of different groups.
    """

    parts: Sequence[LinearAction | InvariantAction]

    def __post_init__(self) -> None:
        if not isinstance(self.parts, Sequence) or not self.parts:
            raise TypeError(f"expected a non-empty sequence of linear actions, got {self.parts!r}")
        for part in self.parts:
            if not isinstance(part, LinearAction | InvariantAction) or isinstance(part, AffineAction):
                raise TypeError(f"expected linear actions about the origin, got {part!r}; try NaturalAction(group)")
            if part.group != self.parts[0].group:
                raise ValueError(
                    f"expected actions of one group, got {self.parts[0].group!r} and {part.group!r}, because an "
                    "element moves all parts at once"
                )
        object.__setattr__(self, "parts", tuple(self.parts))
        self.sizes  # noqa: B018  (checks that they are known)

    @property
    def group(self) -> Group:
        return self.parts[0].group

    @property
    def sizes(self) -> tuple[int, ...]:
        """Dimensions of the parts."""
        return tuple(part._known_dim() if isinstance(part, LinearAction) else 1 for part in self.parts)

    @property
    def dim(self) -> int:
        return sum(self.sizes)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """The components of each part, ``[..., d_i]``."""
        return self._point(x, "x").split(self.sizes, -1)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(self._element_batch(g), self._batch(x))
        moved = [
            part._act(g, block) if isinstance(part, LinearAction) else block.expand(*shape, 1)
            for part, block in zip(self.parts, x.split(self.sizes, -1), strict=True)
        ]
        return torch.cat(moved, -1)

    def _matrix(self, g: Tensor) -> Tensor:
        blocks = [part._matrix(g) if isinstance(part, LinearAction) else None for part in self.parts]
        dtype = next((block.dtype for block in blocks if block is not None), torch.float64)
        rows = []
        for i, block in enumerate(blocks):
            size, before = self.sizes[i], sum(self.sizes[:i])
            if block is None:
                block = torch.ones(*self._element_batch(g), 1, 1, dtype=dtype, device=g.device)
            rows.append(torch.nn.functional.pad(block, (before, self.dim - before - size)))
        return torch.cat(rows, -2)

    def _frame(self) -> Tensor | None:
        frames = [part._frame() if isinstance(part, LinearAction) else None for part in self.parts]
        if all(frame is None for frame in frames):
            return None
        eyes = [torch.eye(size, dtype=torch.float64) for size in self.sizes]
        return torch.block_diag(
            *[eye if frame is None else frame.double() for frame, eye in zip(frames, eyes, strict=True)]
        )
