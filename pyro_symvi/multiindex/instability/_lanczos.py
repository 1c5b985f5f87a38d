"""The lowest eigenvalue of a symmetric operator that is known by its products."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor


class Pair(NamedTuple):
    """Eigenvalue, unit eigenvector ``[n]``, |A v - theta v|, number of products, whether it converged, about |A|."""

    eigenvalue: float
    vector: Tensor
    residual: float
    iterations: int
    converged: bool
    norm: float


def lowest_eigenpair(multiply: Callable[[Tensor], Tensor], start: Tensor, max_iterations: int, tol: float) -> Pair:
    """Lanczos iteration with full reorthogonalisation, from ``start [n]``.

    Stops when the residual of the lowest Ritz pair is below ``tol`` times the norm of the tridiagonal matrix (an
    estimate of that of A) and below a tenth of the value, so that its sign is settled (or at rounding), or when the
    Krylov space is exhausted. In a representation in which each irreducible part
    occurs m times, that is after m steps at most: A has at most m distinct eigenvalues there (Schur's lemma).
    """
    basis = [start / start.norm()]
    diagonal: list[float] = []
    off: list[float] = []
    for _ in range(max_iterations):
        image = multiply(basis[-1])
        diagonal.append(float(image @ basis[-1]))
        known = torch.stack(basis)
        for _ in range(2):
            image = image - known.mT @ (known @ image)
        beta = float(image.norm())
        values, vectors = eigh_tridiagonal(diagonal, off, select="i", select_range=(0, 0))
        bulk = max(abs(entry) for entry in (*diagonal, *off))
        floor = 100 * torch.finfo(start.dtype).eps * bulk
        bound = beta * abs(float(vectors[-1, 0]))
        converged = beta <= floor or bound <= min(tol * bulk, max(0.1 * abs(float(values[0])), floor))
        if converged or len(basis) >= len(start):
            break
        off.append(beta)
        basis.append(image / beta)
    count = len(diagonal)
    vector = torch.as_tensor(vectors[:, 0]).to(start) @ torch.stack(basis[:count])
    vector = vector / vector.norm()
    residual = float((multiply(vector) - float(values[0]) * vector).norm())
    return Pair(float(values[0]), vector, residual, count, bool(converged or count >= len(start)), bulk)
