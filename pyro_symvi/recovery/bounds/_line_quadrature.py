"""Two quadrature rules over one coordinate, refined until they agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ._line_marginal import LineMarginal, OnLine

_MOST_NODES = 2049
_AGREE = 1e-7
"""Two rules that differ by more than this (in sds) settle nothing."""
_FLOOR = 1e-12
Array = Any
Moments = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def converged(line: LineMarginal, peak: float, low: float, high: float) -> tuple[Moments, float, int] | None:
    """Trapezoids with halved steps until nothing changes, and panels of Gauss-Legendre nodes as a second opinion."""
    width = _width(line, peak)
    ends = math.asinh((low - peak) / width), math.asinh((high - peak) / width)
    nodes, last = 129, _moments(line, peak, width, *_trapezoid(ends, 129))
    while nodes < _MOST_NODES:
        nodes = 2 * nodes - 1
        here = _moments(line, peak, width, *_trapezoid(ends, nodes))
        error = math.nan if last is None or here is None else _difference(last, here)
        if here is not None and error < 1e-10:
            break
        last = here
    if here is None:
        return None
    panels = _moments(line, peak, width, *_panels(ends, max(8, nodes // 24)))
    if panels is None:
        return None
    error = 2 * max(error, _difference(here, panels)) + _FLOOR
    return (here, error, nodes) if error < _AGREE else None


def _width(line: LineMarginal, peak: float) -> float:
    h = 1e-3
    a, b, c = (float(v) for v in line(np.array([peak - h, peak, peak + h])).log_marginal)
    curvature = -(a - 2 * b + c) / h**2
    return 1 / math.sqrt(curvature) if math.isfinite(curvature) and curvature > 1e-4 else 1.0


def _trapezoid(ends: tuple[float, float], nodes: int) -> tuple[Array, Array]:
    t = np.linspace(*ends, nodes, dtype=np.longdouble)
    return t, np.full(nodes, t[1] - t[0])


def _panels(ends: tuple[float, float], count: int) -> tuple[Array, Array]:
    x, w = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(*ends, count + 1, dtype=np.longdouble)
    half = (edges[1:] - edges[:-1])[:, None] / 2
    return ((edges[1:] + edges[:-1])[:, None] / 2 + half * x).ravel(), (half * w).ravel()


def _moments(line: LineMarginal, peak: float, width: float, t: Array, dt: Array) -> Moments | None:
    y = peak + width * np.sinh(t)
    found: OnLine = line(y)
    if not bool(found.definite.all()):
        return None
    weights = np.exp(found.log_marginal - found.log_marginal.max()) * np.cosh(t) * dt
    weights /= weights.sum()
    conditional = np.insert(found.mean, line.nuisance, y - peak, axis=1)
    mean = weights @ conditional
    centred = conditional - mean
    inner = np.insert(np.insert(found.covariance, line.nuisance, 0, axis=1), line.nuisance, 0, axis=2)
    covariance = np.tensordot(weights, inner, 1) + (weights[:, None] * centred).T @ centred
    sds = np.sqrt(np.diagonal(covariance))
    origin = np.insert(np.array([float(c) for c in line.center], dtype=np.longdouble), line.nuisance, peak)
    correlations = covariance / np.outer(sds, sds)
    tensor: Callable[[Array], torch.Tensor] = lambda a: torch.tensor(np.asarray(a, dtype=np.float64))  # noqa: E731
    return tensor(origin + mean), tensor(sds), tensor(correlations)


def _difference(a: Moments, b: Moments) -> float:
    """Of means in sds, of sds relatively, of correlations."""
    parts = (a[0] - b[0]) / b[1], a[1] / b[1] - 1, a[2] - b[2]
    return max(float(x.abs().max()) for x in parts)
