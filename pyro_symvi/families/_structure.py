"""What kind of linear maps a group acts by: the shapes of matrices that decide closure."""

from __future__ import annotations

import torch
from torch import Tensor

from ..groups import AffineAction, EllipticalRotation, LinearAction

_ROUNDING = 64 * torch.finfo(torch.float64).eps
"""Times the dimension: what counts as zero beside the largest entry. No more than rounding, for a small entry may stand
for a large effect where coordinates are in very different units."""


def linear_parts(action: LinearAction, dim: int) -> Tensor | None:
    """Linear parts of the group's generators about any centre, float64 ``[k, d, d]``; None where they are not fixed.

    They are not for an action whose shape or slope is open (`EllipticalRotation()`): it stands for a whole class.
    """
    if isinstance(action, EllipticalRotation) and action.shape is None:
        return None
    if isinstance(action, AffineAction) and not action.is_bound:
        action = action.bind(dim, center=torch.zeros(dim, dtype=torch.float64))
    if not getattr(action, "is_bound", True):
        return None
    return action.generator_matrices()


def _nearly(a: Tensor, b: Tensor) -> Tensor:
    """Whether ``[k, d, d]`` agree, for each k, up to rounding."""
    size = torch.maximum(a.abs().amax((-2, -1)), b.abs().amax((-2, -1))).clamp(min=1)
    return (a - b).abs().amax((-2, -1)) <= _ROUNDING * a.shape[-1] * size


def without_rounding(a: Tensor) -> Tensor:
    """The matrices ``[*batch, d, d]`` with entries at rounding level beside the largest one set to zero."""
    precision = 64 * torch.finfo(a.dtype).eps * a.shape[-1]
    return torch.where(a.abs() > precision * a.abs().amax((-2, -1), keepdim=True), a, 0.0)


def _eye(a: Tensor) -> Tensor:
    return torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)


def are_orthogonal(a: Tensor) -> bool:
    """A A^T = I for each."""
    return bool(_nearly(a @ a.mT, _eye(a)).all())


def are_conformal(a: Tensor) -> bool:
    """A A^T a multiple of I for each."""
    square = a @ a.mT
    factor = square.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
    return bool(_nearly(square, factor * _eye(a)).all())


def are_monomial(a: Tensor) -> bool:
    """One entry that is not zero in each row and column: permutations times diagonal matrices."""
    entries = without_rounding(a) != 0
    return bool(((entries.sum(-1) == 1) & (entries.sum(-2) == 1)).all())


def are_signed_permutations(a: Tensor) -> bool:
    """Monomial and orthogonal."""
    return are_monomial(a) and are_orthogonal(a)


def are_lower_triangular(a: Tensor) -> bool:
    """Nothing above the diagonal."""
    return bool(_nearly(a, a.tril()).all())


def are_sign_flips(a: Tensor) -> bool:
    """Diagonal with entries 1 and -1."""
    return are_orthogonal(a) and bool(_nearly(a, torch.diag_embed(a.diagonal(dim1=-2, dim2=-1))).all())


def are_plus_minus_identity(a: Tensor) -> bool:
    """The identity or its negative: what reflections about a point (and translations) have for linear part."""
    return are_sign_flips(a) and bool(_nearly(a, a[:, :1, :1] * _eye(a)).all())
