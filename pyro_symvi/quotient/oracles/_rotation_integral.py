r"""Averages over rotations of exp tr(R^T F): the constant of the matrix Fisher law and its mean, for d = 2 and 3.

The law of R in SO(d) with density exp(tr(R^T F)) / c(F) against Haar measure is the posterior of a rotation when
x = R z plus noise is seen. For d = 2 it is von Mises' law of concentration hypot(F11 + F22, F21 - F12). For d = 3 a
unit quaternion q has tr(R(q)^T F) = q^T B q, so that with l_0 >= ... >= l_3 the eigenvalues of B (Bingham's law)

    c(F) = 1/(2 pi i) \int e^z prod_i (z - l_i)^(-1/2) dz,      E q_i^2 = 1/(2c) 1/(2 pi i) \int e^z ... / (z - l_i) dz,

on a contour around (-inf, l_0]. Talbot's cotangent contour with n nodes errs by about 3.9^-n whatever the eigenvalues
are, so that 16 of 32 nodes (the rest are conjugate) serve every concentration from 0 on, with no asymptotic formula.

Source: Khatri and Mardia, JRSS B 39 (1977) 95, for the law; Kume and Wood, Biometrika 92 (2005) 465, for the contour
integral; Trefethen, Weideman and Schmelzer, BIT 46 (2006) 653, for the contour.
"""

from __future__ import annotations

import cmath
import math

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

_NODES = 30
_CHUNK = 1024
"""Matrices at a time: temporaries of 15 nodes then stay in the cache."""


def _contour(nodes: int) -> tuple[list[complex], list[complex]]:
    """Points z above the real line and weights w: 1/(2 pi i) int e^z f(z) dz is about Im sum w f(z), f real on R."""
    points, weights = [], []
    for k in range(nodes // 2):
        angle = (2 * k + 1) * math.pi / nodes
        turn = 0.6407 * angle
        z = nodes * complex(0.5017 * angle / math.tan(turn) - 0.6122, 0.2645 * angle)
        rate = nodes * complex(0.5017 * (1 / math.tan(turn) - turn / math.sin(turn) ** 2), 0.2645)
        points.append(z)
        weights.append(2 / nodes * cmath.exp(z) * rate)
    return points, weights


_POINTS, _WEIGHTS = _contour(_NODES)


def rotation_integral(natural: Tensor) -> tuple[Tensor, Tensor]:
    """Log c(F) and E[R] = grad log c(F) for F ``[*batch, d, d]`` of float64: ``[*batch]``, ``[*batch, d, d]``.

    Both can be differentiated, E[R] once (its derivative is the covariance of R); nothing depends on singular values
    being distinct. nan in, nan out. Errors below 2e-12 max(1, |log c|), and 1e-12 in E[R], for F of any size to 1e90.
    """
    if natural.shape[-1] == 2:
        return _plane(natural)
    log_c, mean = _MatrixFisher.apply(natural)
    return log_c, mean


def best_rotation(natural: Tensor) -> Tensor:
    """The rotation that maximises tr(R^T F) (Kabsch), ``[*batch, d, d]``; some maximiser where there are several."""
    if natural.shape[-1] == 2:
        cosine, sine, size, inside = _resultant(natural)
        return _turn(torch.where(inside, cosine / size, 1.0), torch.where(inside, sine / size, 0.0))
    left, _, right = proper_svd(natural)
    return left @ right.mT


def proper_svd(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """F = U diag(s) V^T with rotations U, V and s_1 >= s_2 >= |s_3|, s_3 of the sign of det F; ``[*batch, 3, 3]``."""
    left, sizes, right_t = torch.linalg.svd(matrix)
    left, flip_left = _made_proper(left)
    right, flip_right = _made_proper(right_t.mT)
    return left, torch.cat([sizes[..., :2], sizes[..., 2:] * (flip_left * flip_right)[..., None]], -1), right


def _made_proper(orthogonal: Tensor) -> tuple[Tensor, Tensor]:
    """The matrix with its last column turned round if that makes it a rotation, and the sign of its determinant."""
    first, second, third = orthogonal.unbind(-1)
    sign = (torch.linalg.cross(first, second) * third).sum(-1).sign()
    return torch.stack([first, second, third * sign[..., None]], -1), sign


# -- the plane ---------------------------------------------------------------------------------------------------------
def _resultant(natural: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """F11 + F22, F21 - F12, their norm (1 where that is 0) and where it is not 0."""
    cosine = natural[..., 0, 0] + natural[..., 1, 1]
    sine = natural[..., 1, 0] - natural[..., 0, 1]
    top = torch.maximum(cosine.abs(), sine.abs()).detach()
    inside = top != 0
    scale = torch.where(inside, top, 1.0)
    square = (cosine / scale).square() + (sine / scale).square()
    return cosine, sine, scale * torch.where(inside, square, 1.0).sqrt(), inside


def _turn(cosine: Tensor, sine: Tensor) -> Tensor:
    return torch.stack([cosine, -sine, sine, cosine], -1).reshape(*cosine.shape, 2, 2)


def _plane(natural: Tensor) -> tuple[Tensor, Tensor]:
    cosine, sine, size, inside = _resultant(natural)
    scaled = torch.special.i0e(size)
    log_c = torch.where(inside, size + scaled.log(), 0.0)
    rate = torch.where(inside, torch.special.i1e(size) / (scaled * size), 0.5)
    return log_c, _turn(rate * cosine, rate * sine)


# -- space -------------------------------------------------------------------------------------------------------------
def _moments(sizes: Tensor, order: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """e^(-l_0) c ``[*batch]``, E q_i^2 ``[*batch, 4]``, and where ``order`` is 4, E q_i^2 q_j^2 ``[*batch, 4, 4]``.

    From s of ``proper_svd``: the eigenvalues are l_0 = s_1 + s_2 + s_3 and, below it by twice the sum of two of the
    three s, l_1 to l_3.
    """
    flat = sizes.reshape(-1, 3)
    parts = [_moments_of(chunk, order) for chunk in flat.split(_CHUNK)] or [_moments_of(flat, order)]
    total, second = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
    fourth = torch.cat([p[2] for p in parts if p[2] is not None]) if order == 4 else None
    batch = sizes.shape[:-1]
    return (
        total.reshape(batch),
        second.reshape(*batch, 4),
        None if fourth is None else fourth.reshape(*batch, 4, 4),
    )


def _moments_of(sizes: Tensor, order: int) -> tuple[Tensor, Tensor, Tensor | None]:
    z = torch.tensor(_POINTS, dtype=torch.complex128, device=sizes.device)[:, None]
    weights = torch.tensor(_WEIGHTS, dtype=torch.complex128, device=sizes.device)[:, None]
    a, b, c = sizes.unbind(-1)
    below = 2 * torch.stack([torch.zeros_like(a), b + c, a + c, a + b])  # l_0 - l_i, [4, n]
    x, y = z.real[:, None] + below, z.imag[:, None]  # z - l_i: [nodes, 4, n], [nodes, 1, 1]
    square = x.square() + y.square()
    size = square.sqrt()
    # 1 / sqrt(z - l) = (p - i q) / |z - l|, its principal value: z - l lies in the upper half plane
    p = ((size + x) / 2).sqrt()
    real, imaginary = p / size, -y / (2 * p * size)
    re, im = weights.real, weights.imag
    for i in range(4):
        re, im = re * real[:, i] - im * imaginary[:, i], re * imaginary[:, i] + im * real[:, i]
    total = im.sum(0)
    # times 1 / (z - l_i) = (x - i y) / |z - l_i|^2
    up, across = x / square, -y / square
    re_i, im_i = re[:, None] * up - im[:, None] * across, re[:, None] * across + im[:, None] * up
    second = (im_i.sum(0) / (2 * total)).mT
    if order < 4:
        return total, second, None
    pairs = torch.einsum("kin,kjn->nij", re_i, across.expand_as(up)) + torch.einsum("kin,kjn->nij", im_i, up)
    repeated = 1 + 2 * torch.eye(4, dtype=sizes.dtype, device=sizes.device)
    return total, second, repeated * pairs / (4 * total[:, None, None])


def _covariance(turned: Tensor, mean: Tensor, q: Tensor) -> Tensor:
    """E[R tr(R^T G)] - E[R] tr(E[R]^T G) in the frame where F is diagonal, for G ``turned`` and E[R] = diag(mean).

    R_ii = sum_a S_ia q_a^2 with signs S; R_ij = 2 (q_i q_j -+ q_0 q_k). ``q`` is E q_a^2 q_b^2.
    """
    signs = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=mean.dtype, device=mean.device)
    joint = signs @ q @ signs.mT - mean[..., :, None] * mean[..., None, :]
    on = (joint @ turned.diagonal(dim1=-2, dim2=-1)[..., None])[..., 0]
    rows = [[on[..., i]] * 3 for i in range(3)]
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        own, other = q[..., i + 1, j + 1], q[..., 0, k + 1]
        rows[i][j] = 4 * ((own + other) * turned[..., i, j] + (own - other) * turned[..., j, i])
        rows[j][i] = 4 * ((own + other) * turned[..., j, i] + (own - other) * turned[..., i, j])
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


class _MatrixFisher(torch.autograd.Function):
    """F -> (log c(F), E[R]) on SO(3); the derivative of E[R] from fourth moments of the quaternion."""

    generate_vmap_rule = True

    @staticmethod
    def forward(natural: Tensor) -> tuple[Tensor, Tensor]:
        finite = torch.isfinite(natural).all(-1).all(-1)
        left, sizes, right = proper_svd(torch.where(finite[..., None, None], natural, 0.0))
        total, second, _ = _moments(sizes, 2)
        log_c = sizes.sum(-1) + total.log()
        mean = left * _diagonal(second)[..., None, :] @ right.mT
        return torch.where(finite, log_c, math.nan), torch.where(finite[..., None, None], mean, math.nan)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(inputs[0], output[1])
        ctx.save_for_forward(inputs[0], output[1])

    @staticmethod
    def backward(ctx: FunctionCtx, log_gradient: Tensor, gradient: Tensor) -> Tensor:
        natural, mean = ctx.saved_tensors  # type: ignore[attr-defined]
        return log_gradient[..., None, None] * mean + _apply_covariance(natural, gradient)

    @staticmethod
    def jvp(ctx: FunctionCtx, tangent: Tensor) -> tuple[Tensor, Tensor]:
        natural, mean = ctx.saved_tensors  # type: ignore[attr-defined]
        return (mean * tangent).sum((-2, -1)), _apply_covariance(natural, tangent)


def _diagonal(second: Tensor) -> Tensor:
    """E R_ii = 1 - 2 (E q_j^2 + E q_k^2)."""
    _, a, b, c = second.unbind(-1)
    return 1 - 2 * torch.stack([b + c, a + c, a + b], -1)


@torch.no_grad()
def _apply_covariance(natural: Tensor, direction: Tensor) -> Tensor:
    left, sizes, right = proper_svd(natural)
    _, second, fourth = _moments(sizes, 4)
    inner = _covariance(left.mT @ direction @ right, _diagonal(second), torch.as_tensor(fourth))
    return left @ inner @ right.mT
