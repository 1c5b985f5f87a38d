"""The largest eigenvalues of matrices that are written down: the library that is best at each size and device."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, eigsh
from torch import Tensor

from ._lanczos import lanczos

_SMALL = 64
"""Up to this dimension all eigenvectors are computed."""


def top_eigenvectors(
    matrices: Tensor, start: Tensor, count: int, *, tol: float, max_steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The ``count`` largest eigenvalues and vectors of symmetric matrices ``[B, d, d]``, with a start ``[B, d]``.

    LAPACK up to d = 64 or for more than a quarter of the vectors; ARPACK, one matrix after the other, on a CPU; our
    Lanczos method, all matrices at once, on a GPU.

    Returns:
        Eigenvalues ``[B, count]``, largest first; vectors ``[B, count, d]``; residuals ``[B, count]``.
    """
    dim = matrices.shape[-1]
    if dim > _SMALL and 4 * count <= dim and matrices.device.type != "cpu":
        return lanczos(lambda v: (matrices @ v[..., None])[..., 0], start, count, tol=tol, max_steps=max_steps)
    if dim <= _SMALL or 4 * count > dim:
        values, columns = torch.linalg.eigh(matrices)
    else:
        pairs = [_arpack(m.numpy(), s.numpy(), count, tol, max_steps) for m, s in zip(matrices, start, strict=True)]
        values = torch.from_numpy(np.stack([pair[0] for pair in pairs])).to(matrices)
        columns = torch.from_numpy(np.stack([pair[1] for pair in pairs])).to(matrices)
    values, vectors = values[:, -count:].flip(-1), columns[..., -count:].mT.flip(-2)
    residuals = (vectors @ matrices - values[..., None] * vectors).norm(dim=-1)
    return values, vectors, residuals


def _arpack(
    matrix: np.ndarray, start: np.ndarray, count: int, tol: float, max_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """The ``count`` largest eigenvalues, rising, and their vectors; by LAPACK where ARPACK does not get there."""
    try:
        values, vectors = eigsh(matrix, count, which="LA", v0=start, tol=tol, maxiter=max_steps)
    except ArpackNoConvergence:
        values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(values)[-count:]
    return values[order], vectors[:, order]
