"""The symmetry of a frame that was learnt without it, fitted afterwards."""

from __future__ import annotations

import torch
from torch import Tensor

from ...groups import Orthogonal
from ._frame_pair import check_element, paired_columns
from ._frame_symmetry import FrameSymmetry

_STARTS, _STEPS = 32, 500
"""For elements that are no involutions: starts of the iteration, and its length."""


def procrustes_symmetry(
    first: Tensor,
    second: Tensor,
    symmetry: FrameSymmetry,
    weight: Tensor | None = None,
    element: int = 1,
    *,
    conjugate: bool = True,
) -> Tensor:
    """The orthogonal A that best takes Phi(u; I) to Phi(M_g u; M_g I): ``[D, D]``, float64.

    A frame learnt by equivariance alone is free up to any orthogonal Q: if Q Phi is symmetric, Phi obeys
    A Phi(u; I) = Phi(M_g u; M_g I) with A = Q^T R_g Q. This A is found by least squares, min_Q sum w |A a - b|^2, that
    is max_Q tr(A C^T) with C = sum w b a^T: the fair thing to compare a frame with that was learnt with its symmetry.

    An involution is R_g = 2 P - 1, P a projection on p dimensions, and so is A, with any P of rank p. Then
    tr(A C^T) = 2 tr(P S) - tr C with S = (C + C^T) / 2: P projects on the p leading eigenvectors of S (Ky Fan), for a
    reflection A = 1 - 2 n n^T with n the last one. Other elements have no closed form known to us: the best of 32
    ascents Q <- polar(R Q C^T + R^T Q C + 2 |C| Q), each step of which does not decrease tr(A C^T).

    Args:
        first: frames Phi(u; I), ``[B, D, ...]``.
        second: frames Phi(M_g u; M_g I) at the same places, see :func:`frame_pair`.
        symmetry: of the category.
        weight: what each place counts, ``[B, ...]``; None for 1. Hidden places (weight 0) may be nan.
        element: the number of g.
        conjugate: among the conjugates of R_g; False for the best of all orthogonal maps, U V^T from C = U S V^T
            (Schoenemann 1966), which need not be an involution.
    """
    check_element(element, symmetry)
    a, b, share = paired_columns(first, second, symmetry.dim, weight)
    covariance = torch.einsum("bn,bni,bnj->ij", share / share.sum(), b, a)
    if not conjugate:
        left, _, right = torch.linalg.svd(covariance)
        return left @ right
    matrix = symmetry.frame_matrices()[element]
    if float((matrix @ matrix - torch.eye(symmetry.dim, dtype=torch.float64)).abs().max()) > 1e-9:
        return _best_conjugate(matrix, covariance)
    fixed = round((symmetry.dim + float(matrix.trace())) / 2)
    vectors = torch.linalg.eigh((covariance + covariance.mT) / 2).eigenvectors[:, symmetry.dim - fixed :]
    return 2 * vectors @ vectors.mT - torch.eye(symmetry.dim, dtype=torch.float64)


def _best_conjugate(matrix: Tensor, covariance: Tensor) -> Tensor:
    """The largest tr(Q^T R Q C^T) that ascent finds. f(Q) + |C| |Q|^2 is convex in Q, so lies above its tangent."""
    start = Orthogonal(len(matrix)).sample(_STARTS, generator=torch.Generator().manual_seed(1))
    size, best = torch.linalg.matrix_norm(covariance, 2), torch.tensor(-torch.inf, dtype=torch.float64)
    for _ in range(_STEPS):
        left, _, right = torch.linalg.svd(
            matrix @ start @ covariance.mT + matrix.mT @ start @ covariance + 2 * size * start
        )
        start = left @ right
        moved = start.mT @ matrix @ start
        value = (moved * covariance).sum((-2, -1)).max()
        if bool(value <= best + 1e-14 * size):
            break
        best = value
    return moved[(moved * covariance).sum((-2, -1)).argmax()]
