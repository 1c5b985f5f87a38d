"""Largest eigenvalues of a batch of symmetric operators by the Lanczos method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import linalg
from torch import Tensor

_FIRST, _NEXT = 10, 1.25
"""The first look at the tridiagonal matrix, and the factor to the next ones."""

_ROOM = 64
"""Vectors that memory is kept for, doubled when full."""


def lanczos(
    apply: Callable[[Tensor], Tensor], start: Tensor, count: int, *, tol: float, max_steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The ``count`` largest eigenvalues with their vectors, for operators that act on ``[B, d]``.

    Every new vector is orthogonalised against all earlier ones, so that no eigenvalue comes back as a copy. It stops
    where all residuals |A v - theta v| are below ``tol`` times the size of the operator, or after min(d, max_steps)
    steps.

    Returns:
        Eigenvalues ``[B, count]``, largest first; vectors ``[B, count, d]``; residuals ``[B, count]``.
    """
    dim = start.shape[-1]
    steps = min(dim, max_steps)
    basis = start.new_empty(start.shape[0], min(_ROOM, steps), dim)
    basis[:, 0] = start / start.norm(dim=-1, keepdim=True)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    look = max(_FIRST, count)
    for step in range(1, steps + 1):
        newest = basis[:, step - 1]
        image = apply(newest)
        diagonal.append((image * newest).sum(-1))
        image = image - diagonal[-1][:, None] * newest
        if step > 1:
            image = image - beside[-1][:, None] * basis[:, step - 2]
        known = basis[:, :step]
        image = torch.baddbmm(image[:, None], image[:, None] @ known.mT, known, alpha=-1)[:, 0]
        beside.append(image.norm(dim=-1))
        if step == look or step == steps:
            look = int(_NEXT * step)
            values, ritz, residual, size = _ritz(diagonal, beside, count)
            if step == steps or bool((residual <= tol * size).all()):
                break
        if step == basis.shape[1]:
            basis = torch.cat([basis, basis.new_empty(basis.shape[0], min(step, steps - step), dim)], 1)
        basis[:, step] = image / beside[-1][:, None].clamp_min(torch.finfo(image.dtype).tiny)
    vectors = ritz.mT.to(known) @ known
    return values.to(start), vectors / vectors.norm(dim=-1, keepdim=True), residual.to(start)


def _ritz(diagonal: list[Tensor], beside: list[Tensor], count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Top eigenpairs of the tridiagonal matrices, their residuals, and a bound on all eigenvalues, on the CPU."""
    main = torch.stack(diagonal, -1).double().cpu().numpy()
    off = torch.stack(beside, -1).double().cpu().numpy()
    last = main.shape[-1] - 1
    pairs = [
        linalg.eigh_tridiagonal(d, e, select="i", select_range=(last + 1 - count, last))
        for d, e in zip(main, off[:, :-1], strict=True)
    ]
    values = torch.from_numpy(np.stack([pair[0][::-1] for pair in pairs]).copy())
    vectors = torch.from_numpy(np.stack([pair[1][:, ::-1] for pair in pairs]).copy())
    residual = torch.from_numpy(off[:, -1:]) * vectors[:, -1].abs()
    before = np.concatenate([np.zeros_like(off[:, :1]), off[:, :-1]], 1)
    size = torch.from_numpy((np.abs(main) + before).max(-1, keepdims=True))
    return values, vectors, residual, size
