"""Quadrature rules for Haar measure on circles and rotations: positive weights, exact to a stated degree."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gauss_legendre(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the n-point rule on [-1, 1] for dx/2, exact to degree 2n - 1; float64.

    Golub-Welsch: eigenvalues of the Jacobi matrix, then one Newton step on P_n; weights (1 - x^2) / (n P_{n-1}(x))^2,
    which sum to one. Errors about 1e-15 for n up to some hundreds.
    """
    k = torch.arange(1, n, dtype=torch.float64)
    off = k / (4 * k**2 - 1).sqrt()
    x = torch.linalg.eigvalsh(torch.diag(off, 1) + torch.diag(off, -1))
    for _ in range(2):
        before, value = torch.ones_like(x), x.clone()
        for degree in range(2, n + 1):
            before, value = value, ((2 * degree - 1) * x * value - (degree - 1) * before) / degree
        slope = n * (x * value - before) / (x**2 - 1)
        x = x - value / slope
    x = (x - x.flip(0)) / 2
    before, value = torch.ones_like(x), x.clone()
    for degree in range(2, n + 1):
        before, value = value, ((2 * degree - 1) * x * value - (degree - 1) * before) / degree
    weights = (1 - x**2) / (n * before) ** 2
    return x, weights / weights.sum()


def circle(degree: int) -> tuple[Tensor, Tensor]:
    """Degree + 1 equal angles and weights: exact for cos k t, sin k t with k <= degree."""
    n = degree + 1
    return 2 * math.pi * torch.arange(n, dtype=torch.float64) / n, torch.full((n,), 1 / n, dtype=torch.float64)


def torus(k: int, degree: int) -> tuple[Tensor, Tensor]:
    """The product rule on k circles, angles ``[(degree + 1)^k, k]``."""
    angles, weights = circle(degree)
    grid = torch.cartesian_prod(*[angles] * k).reshape(-1, k)
    return grid, weights.new_full((len(grid),), 1 / len(grid))


def rotations(degree: int) -> tuple[Tensor, Tensor]:
    """Rotations ``[m, 3, 3]`` and weights exact for every Wigner function of degree <= ``degree``.

    R = Rz(a) Ry(b) Rz(c) with degree + 1 equal angles a and c, and floor(degree / 2) + 1 Gauss-Legendre nodes cos b:
    the circles leave only D^l_00 = P_l(cos b), a polynomial of degree l.
    """
    angles, _ = circle(degree)
    cosine, weights = gauss_legendre(degree // 2 + 1)
    sine = (1 - cosine**2).sqrt()
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    about_y = torch.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine], -1).reshape(-1, 3, 3)
    about_z = plane_rotation(angles)
    elements = about_z[:, None, None] @ about_y[:, None] @ about_z
    full = weights[None, :, None].expand(elements.shape[:3]) / len(angles) ** 2
    return elements.reshape(-1, 3, 3), full.reshape(-1)


def plane_rotation(angles: Tensor) -> Tensor:
    """Rotations about the z axis, ``[*batch, 3, 3]``."""
    c, s = angles.cos(), angles.sin()
    zero, one = torch.zeros_like(c), torch.ones_like(c)
    return torch.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).reshape(*angles.shape, 3, 3)
