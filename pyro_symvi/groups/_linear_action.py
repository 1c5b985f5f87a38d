"""Actions by linear (or affine) maps, and what such a symmetry pins down."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import _fixed_spaces
from ._action import Action
from ._errors import UnsupportedError, sentence
from ._group import Group


class LinearAction(Action):
    """An action on R^d whose maps have a linear part: g x = A_g x, or c + A_g (x - c) in the affine subclass.

    To implement one, give ``group``, ``dim`` and ``_matrix``; see :class:`Action` for the rest. When the matrices
    are orthogonal for an inner product other than the usual one, ``_frame`` returns a matrix R such that
    R^-1 A_g R is orthogonal.

    If a law is invariant under the action, its mean lies in ``c + fixed_subspace()`` and its covariance in
    ``symmetric_square_fixed_subspace()``: these two spaces say what the symmetry pins, and what it leaves free.
    """

    if TYPE_CHECKING:  # at run time a subclass has a field or a property of this name

        @property
        def dim(self) -> int | None:
            """Dimension of the space; None while unknown."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (-1 if self.dim is None else self.dim,)

    def matrix(self, g: Tensor) -> Tensor:
        """The linear part A_g, ``[*batch, dim, dim]``, in the dtype of g (float64 for integer elements)."""
        self._known_dim()
        g = self.group._checked(g, "g")
        inexact = g.is_floating_point() or g.is_complex() or self.group.element_kind == "integer"
        return self._matrix(g if inexact else g.double())

    def generator_matrices(self) -> Tensor:
        """Linear parts of the group's generators, float64 ``[k, dim, dim]``."""
        return self.matrix(self.group.generators(dtype=torch.float64))

    def fixed_subspace(self) -> Tensor:
        """Basis ``[dim, k]`` of the vectors that every A_g leaves fixed, float64 (orthonormal if the A_g are)."""
        frame, matrices = self._orthogonal_generators()
        return (
            frame @ _fixed_spaces.fixed_vectors(matrices)
            if frame is not None
            else _fixed_spaces.fixed_vectors(matrices)
        )

    def symmetric_square_fixed_subspace(self) -> Tensor:
        """Basis ``[k, dim, dim]`` of the symmetric S with A_g S A_g^T = S for all g, float64."""
        frame, matrices = self._orthogonal_generators()
        basis = _fixed_spaces.fixed_symmetric(matrices)
        return frame @ basis @ frame.mT if frame is not None else basis

    def isotypic_projections(self) -> Tensor:
        """Projections ``[k, dim, dim]`` on the isotypic parts, summing to one; the fixed subspace first, if any.

        Idempotent, mutually annihilating, commuting with every A_g; symmetric when the A_g are orthogonal.
        """
        frame, matrices = self._orthogonal_generators()
        if not _fixed_spaces.are_orthogonal(matrices):
            raise UnsupportedError(
                sentence(
                    "an action that is orthogonal for a known inner product",
                    repr(self),
                    "its representation need not be a sum of irreducible ones",
                    "fixed_subspace()",
                )
            )
        projections = _fixed_spaces.isotypic_projections(matrices)
        return frame @ projections @ torch.linalg.inv(frame) if frame is not None else projections

    # -- the mathematics, for subclasses -----------------------------------------------------------------------
    @abstractmethod
    def _matrix(self, g: Tensor) -> Tensor: ...

    def _frame(self) -> Tensor | None:
        """R [dim, dim] with R^-1 A_g R orthogonal for all g; None when A_g is orthogonal (or nothing is known)."""
        return None

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        return (self._matrix(g).to(x.dtype) @ x[..., None])[..., 0]

    def _log_abs_det(self, g: Tensor, x: Tensor) -> Tensor:
        if self.group.is_compact:
            return super()._log_abs_det(g, x)
        return torch.linalg.slogdet(self._matrix(g)).logabsdet.expand(
            torch.broadcast_shapes(self._element_batch(g), self._batch(x))
        )

    def _vertical_basis(self, x: Tensor) -> Tensor:
        if self.group.dim == 0:
            return x.new_zeros(*x.shape, 0)
        return torch.einsum("aij,...j->...ia", self._lie_matrices(x), self._offset(x))

    # -- helpers -----------------------------------------------------------------------------------------------
    def _lie_matrices(self, x: Tensor) -> Tensor:
        """The Lie algebra in this representation: d/dt A_exp(t X_a) at 0, ``[dim of group, dim, dim]``."""
        group: Group = self.group
        directions = torch.eye(group.dim, dtype=x.dtype, device=x.device)

        def flow(coordinates: Tensor) -> Tensor:
            return self._matrix(group.exp(coordinates))

        return torch.stack([torch.func.jvp(flow, (torch.zeros_like(e),), (e,))[1] for e in directions])

    def _offset(self, x: Tensor) -> Tensor:
        """The vector on which the linear part works: x itself, or x - c."""
        return x

    def _known_dim(self) -> int:
        if self.dim is None:
            raise ValueError(
                f"expected an action on a space of known dimension, got {self!r}, because its matrices depend on it; "
                "try .bind(dim, ...) first"
            )
        return self.dim

    def _orthogonal_generators(self) -> tuple[Tensor | None, Tensor]:
        matrices = self.generator_matrices()
        frame = self._frame()
        if frame is None:
            return None, matrices
        frame = frame.double()
        return frame, torch.linalg.solve(frame, matrices @ frame)
