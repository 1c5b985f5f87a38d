"""Representations of a finite group that are given by their matrices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._group import Group
from ._linear_action import LinearAction


@dataclass(frozen=True, eq=False, repr=False)
class MatrixRepresentation(LinearAction):
    """A finite group acting on R^d by listed matrices, A_g x with ``matrices[i]`` for ``acting.elements()[i]``.

    That A_e = 1 and A_g A_h = A_gh is checked when it is made.

    >>> from pyro_symvi.groups import SignFlips
    >>> mirror = MatrixRepresentation(SignFlips(1), torch.stack([torch.eye(2), torch.diag(torch.tensor([-1.0, 1.0]))]))
    >>> mirror.fixed_subspace()
    tensor([[0.],
            [1.]], dtype=torch.float64)

    Args:
        acting: the group.
        matrices: ``[order, d, d]``, in the order of ``acting.elements()``; kept in float64.

    Raises:
        ValueError: for matrices that are not a representation, with the elements that show it.
    """

    acting: Group
    matrices: Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.acting, Group) or not self.acting.is_finite:
            raise TypeError(f"expected a finite group, got {self.acting!r}; try Cyclic(4)")
        matrices = torch.as_tensor(self.matrices, dtype=torch.float64)
        order = self.acting.order
        if matrices.ndim != 3 or len(matrices) != order or matrices.shape[-1] != matrices.shape[-2]:
            raise ValueError(f"expected one square matrix for each of {order} elements, got {list(matrices.shape)}")
        object.__setattr__(self, "matrices", matrices)
        unit = matrices[self._index(self.acting.identity())]
        if not bool(((unit - torch.eye(len(unit), dtype=torch.float64)).abs() <= 1e-9).all()):
            raise ValueError(
                f"expected the identity matrix for the identity, got {unit.tolist()}, because A_e x = x for all x; try "
                "matrices in the order of group.elements()"
            )
        elements = self.acting.elements()
        for i, g in enumerate(elements):
            product = self.matrices[self._index(self.acting.compose(g.expand_as(elements), elements))]
            off = (matrices[i] @ matrices - product).abs().amax((-2, -1))
            if not bool((off <= 1e-9 * max(1.0, float(matrices.abs().max()) ** 2)).all()):
                other = elements[int(off.argmax())]
                raise ValueError(
                    f"expected matrices of a representation, got A_g A_h and A_gh {float(off.max()):.2g} apart "
                    f"for g = {g.tolist()} and h = {other.tolist()}; try matrices in the order of group.elements()"
                )

    @property
    def group(self) -> Group:
        return self.acting

    @property
    def dim(self) -> int:
        return int(self.matrices.shape[-1])

    def _frame(self) -> Tensor | None:
        """As for a group of matrices: from the invariant inner product mean A_g^T A_g, unless that is the usual one."""
        product = (self.matrices.mT @ self.matrices).mean(0)
        if float((product - torch.eye(self.dim, dtype=product.dtype)).abs().max()) < 1e-12:
            return None
        return torch.linalg.inv(torch.linalg.cholesky(product)).mT

    def _index(self, g: Tensor) -> Tensor:
        """The place of elements in ``acting.elements()``, LongTensor ``[*batch]``."""
        known = self.acting.elements(device=g.device)
        sizes = len(self.acting.element_shape)
        apart = (g.to(known.dtype).unsqueeze(-sizes - 1 if sizes else -1) - known).abs()
        return (apart.flatten(-sizes).sum(-1) if sizes else apart).argmin(-1)

    def _matrix(self, g: Tensor) -> Tensor:
        dtype = g.dtype if g.is_floating_point() else torch.float64
        return self.matrices.to(device=g.device, dtype=dtype)[self._index(g)]
