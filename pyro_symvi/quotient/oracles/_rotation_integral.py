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

_NODES = 32


def _contour(nodes: int) -> list[tuple[complex, complex]]:
    """Points z above the real line and weights w: 1/(2 pi i) int e^z f(z) dz is about Im sum w f(z), f real on R."""
    result = []
    for k in range(nodes // 2):
        angle = (2 * k + 1) * math.pi / nodes
        turn = 0.6407 * angle
        z = nodes * complex(0.5017 * angle / math.tan(turn) - 0.6122, 0.2645 * angle)
        rate = nodes * complex(0.5017 * (1 / math.tan(turn) - turn / math.sin(turn) ** 2), 0.2645)
        result.append((z, 2 / nodes * cmath.exp(z) * rate))
    return result


_CONTOUR = _contour(_NODES)


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
    flip_left = torch.linalg.det(left).sign()
    flip_right = torch.linalg.det(right_t).sign()
    left = torch.cat([left[..., :2], left[..., 2:] * flip_left[..., None, None]], -1)
    right_t = torch.cat([right_t[..., :2, :], right_t[..., 2:, :] * flip_right[..., None, None]], -2)
    sizes = torch.cat([sizes[..., :2], sizes[..., 2:] * (flip_left * flip_right)[..., None]], -1)
    return left, sizes, right_t.mT


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
def _gaps(sizes: Tensor) -> list[Tensor]:
    """l_i - l_0 <= 0 for the four eigenvalues of B, from s of ``proper_svd``."""
    a, b, c = sizes.unbind(-1)
    return [torch.zeros_like(a), -2 * (b + c), -2 * (a + c), -2 * (a + b)]


def _moments(sizes: Tensor, order: int) -> tuple[Tensor, list[Tensor], dict[tuple[int, int], Tensor]]:
    """e^(-l_0) c, then E q_i^2, then, where ``order`` is 4, E q_i^2 q_j^2 for i <= j."""
    gaps = _gaps(sizes)
    total = torch.zeros_like(sizes[..., 0])
    second = [torch.zeros_like(total) for _ in gaps]
    pairs = [(i, j) for i in range(4) for j in range(i, 4)] if order == 4 else []
    fourth = {pair: torch.zeros_like(total) for pair in pairs}
    for z, weight in _CONTOUR:
        inverse = [1 / (z - gap) for gap in gaps]
        # each 1 / (z - l) lies in the lower half plane: -sqrt(-ab) sqrt(-cd) is the product of principal roots
        root = -weight * (-inverse[0] * inverse[1]).sqrt() * (-inverse[2] * inverse[3]).sqrt()
        total = total + root.imag
        parts = [root * r for r in inverse]
        second = [s + part.imag for s, part in zip(second, parts, strict=True)]
        for i, j in pairs:
            fourth[i, j] = fourth[i, j] + (parts[i] * inverse[j]).imag
    second = [s / (2 * total) for s in second]
    fourth = {(i, j): m * (0.75 if i == j else 0.25) / total for (i, j), m in fourth.items()}
    return total, second, fourth


def _covariance(turned: Tensor, mean: Tensor, fourth: dict[tuple[int, int], Tensor]) -> Tensor:
    """E[R tr(R^T G)] - E[R] tr(E[R]^T G) in the frame where F is diagonal, for G ``turned`` and E[R] = diag(mean).

    R_ii = sum_a S_ia q_a^2 with signs S; R_ij = 2 (q_i q_j -+ q_0 q_k).
    """
    signs = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=mean.dtype, device=mean.device)
    q = torch.stack([torch.stack([fourth[min(a, b), max(a, b)] for b in range(4)], -1) for a in range(4)], -2)
    joint = signs @ q @ signs.mT - mean[..., :, None] * mean[..., None, :]
    result = torch.diag_embed((joint @ turned.diagonal(dim1=-2, dim2=-1)[..., None])[..., 0])
    rows = [[result[..., i, j] for j in range(3)] for i in range(3)]
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        same = 4 * (fourth[i + 1, j + 1] + fourth[0, k + 1])
        cross = 4 * (fourth[i + 1, j + 1] - fourth[0, k + 1])
        rows[i][j] = same * turned[..., i, j] + cross * turned[..., j, i]
        rows[j][i] = same * turned[..., j, i] + cross * turned[..., i, j]
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


def _diagonal(second: list[Tensor]) -> Tensor:
    """E R_ii = 1 - 2 (E q_j^2 + E q_k^2)."""
    _, a, b, c = second
    return 1 - 2 * torch.stack([b + c, a + c, a + b], -1)


@torch.no_grad()
def _apply_covariance(natural: Tensor, direction: Tensor) -> Tensor:
    left, sizes, right = proper_svd(natural)
    _, second, fourth = _moments(sizes, 4)
    inner = _covariance(left.mT @ direction @ right, _diagonal(second), fourth)
    return left @ inner @ right.mT
