"""Triangular systems with one matrix and many right-hand sides, which lie in rows."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_rows(matrix: Tensor, x: Tensor, *, upper: bool) -> Tensor:
    r"""The solutions :math:`y_i` of :math:`T y_i = x_i`, ``x[..., d]``, for one triangular ``matrix[d, d]``.

    As :math:`Y T^T = X`: one call of LAPACK's ``trsm``. With the right-hand sides as columns of a batch torch would
    copy the matrix for each of them, and solve one by one.
    """
    rows = torch.linalg.solve_triangular(matrix.mT, x.reshape(-1, x.shape[-1]), upper=not upper, left=False)
    return rows.reshape(x.shape)
