"""Orthogonal matrices with a prescribed effect: a vector to the first axis, one cloud onto another."""

from __future__ import annotations

import torch
from torch import Tensor


def reflection_to_axis(w: Tensor) -> Tensor:
    """The Householder reflection taking w to |w| e_1 (the identity where it is there already), ``[*batch, n, n]``."""
    first = torch.zeros_like(w)
    first[..., 0] = 1
    return reflection(w - w.norm(dim=-1, keepdim=True) * first)


def rotation_to_axis(w: Tensor) -> Tensor:
    """A rotation taking w to |w| e_1 for n >= 2: the Householder reflection, then one of the last axis."""
    turned = reflection_to_axis(w)
    determinant = torch.linalg.det(turned).sign()[..., None, None]
    return torch.cat([turned[..., :-1, :], turned[..., -1:, :] * determinant], -2)


def reflection(normal: Tensor) -> Tensor:
    """I - 2 n n^T / |n|^2, the identity for n = 0; ``[*batch, n, n]``."""
    square = normal.square().sum(-1)[..., None, None]
    outer = normal[..., :, None] * normal[..., None, :]
    identity = torch.eye(normal.shape[-1], dtype=normal.dtype, device=normal.device)
    return identity - torch.where(square > 0, 2 * outer / torch.where(square > 0, square, 1.0), 0.0)


def procrustes(covariance: Tensor, *, proper: bool) -> Tensor:
    """The orthogonal R (a rotation if ``proper``) maximising tr(R^T C) for C ``[*batch, d, d]``.

    With C = U S V^T it is U D V^T, D = diag(1, ..., 1, det(U V^T)) if proper. Some maximiser is returned where it is
    not unique (singular C, or a tie). Source: Kabsch (1976); Umeyama, IEEE PAMI 13 (1991) 376.
    """
    u, _, vt = torch.linalg.svd(covariance)
    if not proper:
        return u @ vt
    sign = torch.linalg.det(u @ vt).sign()[..., None, None]
    return torch.cat([u[..., :-1], u[..., -1:] * sign], -1) @ vt
