"""How far a frame is from obeying its symmetry."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._frame_pair import check_element, paired_columns
from ._frame_symmetry import FrameSymmetry


@dataclass(frozen=True)
class ConsistencyResidual:
    """How far a frame is from A Phi(u; I) = Phi(M_g u; M_g I).

    Attributes:
        residual: mean |A Phi(u; I) - Phi(M_g u; M_g I)| / mean |Phi|. 0 for a symmetric frame, and for a constant
            one that A keeps: small alone, it says nothing.
        chance: the same with the second frame taken at an independent place of the same image.
    """

    residual: float
    chance: float

    @property
    def relative(self) -> float:
        """Residual over chance: 0 for a symmetric frame, 1 for one that knows no places (a constant one included)."""
        return self.residual / self.chance if self.chance > 1e-6 else 1.0

    def __float__(self) -> float:
        return self.residual


def consistency_residual(
    first: Tensor,
    second: Tensor,
    symmetry: FrameSymmetry,
    weight: Tensor | None = None,
    element: int = 1,
    *,
    matrix: Tensor | None = None,
) -> ConsistencyResidual:
    """How far a frame is from the equation of its symmetry, absolutely and against chance.

    A frame that is a function of the place in the image alone, say u itself, obeys the equation too: the residual
    tests the symmetry of a frame, not that it knows the object.

    Args:
        first: frames Phi(u; I), ``[B, D, ...]``.
        second: frames Phi(M_g u; M_g I) at the same places, see :func:`frame_pair`.
        symmetry: of the category.
        weight: what each place counts, ``[B, ...]``; None for 1. Hidden places (weight 0) may be nan.
        element: the number of g.
        matrix: A in place of R_g, say from :func:`procrustes_symmetry`.
    """
    check_element(element, symmetry)
    a, b, share = paired_columns(first, second, symmetry.dim, weight)
    used = symmetry.frame_matrices()[element] if matrix is None else matrix.to(a)
    moved, total = a @ used.mT, share.sum()
    length = float((share * a.norm(dim=-1) + share * b.norm(dim=-1)).sum() / (2 * total))
    if length == 0:
        return ConsistencyResidual(math.nan, 0.0)
    apart = float((share * (moved - b).norm(dim=-1)).sum() / total)
    chance = 0.0
    for x, y, w in zip(moved, b, share, strict=True):
        mass = float(w.sum())
        if mass > 0:
            chance += float(w @ torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist") @ w) / mass
    return ConsistencyResidual(apart / length, chance / float(total) / length)
