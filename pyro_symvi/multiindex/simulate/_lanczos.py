"""Largest eigenvalues of a batch of symmetric operators by the Lanczos method."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_FIRST, _NEXT = 10, 1.25
"""The first look at the tridiagonal matrix, and the factor to the next ones."""


def lanczos(
    apply: Callable[[Tensor], Tensor], start: Tensor, count: int, *, tol: float, max_steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The ``count`` largest eigenvalues with their vectors, for operators that act on ``[B, d]``.

    Every new vector is orthogonalised against all earlier ones, twice, so that no eigenvalue comes back as a copy. It
    stops where all residuals |A v - theta v| are below ``tol`` times the largest |theta| of the operator, or after
    min(d, max_steps) steps.

    Returns:
        Eigenvalues ``[B, count]``, largest first; vectors ``[B, count, d]``; residuals ``[B, count]``.
    """
    dim = start.shape[-1]
    basis = [start / start.norm(dim=-1, keepdim=True)]
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    look = max(_FIRST, count)
    for step in range(1, min(dim, max_steps) + 1):
        image = apply(basis[-1])
        diagonal.append((image * basis[-1]).sum(-1))
        known = torch.stack(basis, -2)
        for _ in range(2):
            image = image - ((known @ image[..., None]).mT @ known)[..., 0, :]
        beside.append(image.norm(dim=-1))
        last = step == min(dim, max_steps)
        if step == look or last:
            look = int(_NEXT * step)
            values, ritz, residual, size = _ritz(diagonal, beside, count)
            if last or bool((residual <= tol * size).all()):
                break
        basis.append(image / beside[-1][..., None].clamp_min(torch.finfo(image.dtype).tiny))
    vectors = ritz.mT.to(known) @ known
    return values.to(start), vectors / vectors.norm(dim=-1, keepdim=True), residual.to(start)


def _ritz(diagonal: list[Tensor], beside: list[Tensor], count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Eigenpairs of the tridiagonal matrix, their residuals, and its largest absolute eigenvalue, on the CPU."""
    main = torch.stack(diagonal, -1).double().cpu()
    off = torch.stack(beside, -1).double().cpu()
    matrix = torch.diag_embed(main)
    if main.shape[-1] > 1:
        matrix = matrix + torch.diag_embed(off[..., :-1], 1) + torch.diag_embed(off[..., :-1], -1)
    values, vectors = torch.linalg.eigh(matrix)
    top = vectors[..., -count:].flip(-1)
    residual = off[..., -1:] * top[..., -1, :].abs()
    return values[..., -count:].flip(-1), top, residual, values.abs().amax(-1, keepdim=True)
