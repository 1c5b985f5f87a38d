"""Lebesgue measure in the coordinates (canonical point, log scale)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._gauge import Gauge


def log_faddeev_popov(gauge: Gauge, point: Tensor) -> Tensor:
    """The log of FP(c) at a canonical point c ``[dim]``, a scalar; differentiable along the slice.

    theta = c e^{-B s / 2} with c on the slice {chi = 0}, of dimension n - H, and s in R^H. With T an orthonormal basis
    of the slice's tangent space and N = diag(c) B, so that -N / 2 spans that of the orbit,

        dtheta = e^{-1^T B s / 2} FP(c) dc ds,    FP = |det [T, N / 2]| = det(F'') / det(chi' chi'^T)^{1/2},

    where dc is the slice's own volume, chi' = d chi / d theta ``[H, dim]`` and F'' is the Hessian in z: chi' maps the
    orbit's directions -N / 2 to F''. FP is also the volume 2^{-H} det(B^T diag(c^2) B)^{1/2} of the orbit's cell times
    the cosine between the normals of the slice and the orbit. For the l2 criterion the slice is orthogonal to
    orbits and the cosine is one. A constant factor on chi cancels.
    """
    support = gauge.support(point)
    slope = gauge.hessian(point, support)
    normals = torch.func.jacrev(lambda theta: gauge.condition(theta, support))(point)
    gram = normals @ normals.mT + torch.diag(1 - support.free.to(point))
    return torch.linalg.slogdet(slope).logabsdet - torch.linalg.slogdet(gram).logabsdet / 2


def log_orbit_volume(gauge: Gauge, point: Tensor) -> Tensor:
    """The log of 2^{-H} det(B^T diag(theta^2) B)^{1/2}, the volume of a unit cube of log scales on the orbit.

    ``point``: theta, ``[dim]``; the result is a scalar.
    """
    free = gauge.support(point).free.to(point)
    gram = gauge.gram(point.square()) * free[:, None] * free[None, :] + torch.diag(1 - free)
    return torch.linalg.slogdet(gram).logabsdet / 2 - math.log(2) * free.sum()
