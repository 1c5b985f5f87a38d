"""Mode and curvature of a flat density: a starting point and a metric, never an argument for a claim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize

from ._log_density import LogDensity

DENSE_DIM = 200
"""Up to this dimension Hessians are formed; beyond, the metric is the identity."""


@dataclass(frozen=True)
class Laplace:
    """A point and a metric.

    Attributes:
        point: ``[d]``, the mode where one was found.
        root: ``[d, d]`` lower triangular, ``root root^T`` the inverse of minus the Hessian at the mode.
        is_mode: Whether the point is a stationary point with a negative definite Hessian.
    """

    point: torch.Tensor
    root: torch.Tensor
    is_mode: bool


def laplace_approximation(density: LogDensity, start: torch.Tensor | None = None, root_scale: float = 0.1) -> Laplace:
    """Climb to a mode (trust-region Newton, scipy) and take the curvature there.

    Where no mode is found (an unbounded or flat density) the start comes back with the metric ``root_scale * I``.

    Args:
        density: The target.
        start: First guess ``[d]``; points where the density was evaluated at construction are tried as well.
        root_scale: Scale of the fallback metric.
    """
    first = _best_start(density, start)
    fallback = Laplace(first, root_scale * torch.eye(density.dim, dtype=torch.float64), False)
    if density.dim > DENSE_DIM:
        return fallback
    curvature = _curvature(density, first, torch.ones_like(first)).diagonal().abs()
    unit = torch.where(torch.isfinite(curvature) & (curvature > 1e-12), curvature.rsqrt(), torch.ones_like(curvature))

    def value_and_gradient(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density.value_and_grad(first + unit * torch.from_numpy(u))
        if not torch.isfinite(value) or not torch.isfinite(gradient).all():
            return np.inf, np.zeros_like(u)
        return -float(value), -(unit * gradient).numpy()

    def hessian(u: np.ndarray) -> np.ndarray:
        h = -unit[:, None] * _curvature(density, first + unit * torch.from_numpy(u), unit) * unit
        return np.nan_to_num(h.numpy(), nan=0.0, posinf=0.0, neginf=0.0)

    result = optimize.minimize(
        value_and_gradient,
        np.zeros(density.dim),
        jac=True,
        hess=hessian,
        method="trust-exact",
        options={"maxiter": 300, "gtol": 1e-7, "initial_trust_radius": 1.0, "max_trust_radius": 1e8},
    )
    point = first + unit * torch.from_numpy(np.asarray(result.x, dtype=np.float64))
    for _ in range(4):  # trust-exact stops where values stop falling; Newton steps reach the gradient's rounding level
        step = newton_step(density, point, hessian=_curvature(density, point, unit))
        if step is None:
            return fallback
        point = point + step
        if float((step / unit).norm()) < 1e-14:
            break
    root = inverse_root(-_curvature(density, point, unit))
    if root is None:
        return fallback
    gradient = density.value_and_grad(point)[1]
    whitened = float((root.mT @ gradient).norm())
    return Laplace(point, root, True) if whitened < 1e-4 else fallback


def _curvature(density: LogDensity, point: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Hessian ``[d, d]`` by central differences of the gradient over 1e-4 units: one batch, good to about 1e-8."""
    offsets = 1e-4 * torch.diag(unit)
    _, gradients = density.value_and_grad(torch.cat([point + offsets, point - offsets]))
    ahead, behind = gradients.chunk(2)
    hessian = (ahead - behind) / (2e-4 * unit[:, None])
    return (hessian + hessian.mT) / 2


def newton_step(
    density: LogDensity,
    point: torch.Tensor,
    indices: torch.Tensor | None = None,
    hessian: torch.Tensor | None = None,
) -> torch.Tensor | None:
    """Newton's step ``[d]`` to a stationary point in the coordinates ``indices`` (all by default); None if singular.

    The other coordinates stay put. The Hessian is computed by automatic differentiation unless given.
    """
    indices = torch.arange(density.dim) if indices is None else indices
    gradient = density.value_and_grad(point)[1][indices]
    hessian = (density.hessian(point) if hessian is None else hessian)[indices][:, indices]
    if not torch.isfinite(gradient).all() or not torch.isfinite(hessian).all():
        return None
    unit = hessian.diagonal().abs().clamp_min(1e-300).rsqrt()
    solution, info = torch.linalg.solve_ex(unit[:, None] * hessian * unit, unit * gradient)
    if int(info) != 0 or not torch.isfinite(solution).all():
        return None
    step = torch.zeros_like(point)
    step[indices] = -unit * solution
    return step


def inverse_root(precision: torch.Tensor) -> torch.Tensor | None:
    """Lower-triangular ``L`` with ``L L^T = precision^{-1}``; None unless positive definite."""
    diagonal = precision.diagonal()
    if not torch.isfinite(precision).all() or not bool((diagonal > 0).all()):
        return None
    unit = diagonal.rsqrt()
    # with J reversing the order, J P J = K K^T gives P^{-1} = (J K^{-T} J)(J K^{-T} J)^T, and J K^{-T} J is lower
    factor, info = torch.linalg.cholesky_ex((unit[:, None] * precision * unit).flip(0, 1))
    if int(info) != 0:
        return None
    eye = torch.eye(len(unit), dtype=precision.dtype)
    lower = torch.linalg.solve_triangular(factor, eye, upper=False).mT.flip(0, 1)
    return unit[:, None] * lower


def _best_start(density: LogDensity, start: torch.Tensor | None) -> torch.Tensor:
    candidates = [torch.zeros(density.dim, dtype=torch.float64), *density.starts]
    if start is not None:
        candidates.insert(0, start.detach().double())
    points = torch.stack(candidates)
    values = density(points).detach()
    if start is not None and torch.isfinite(values[0]):
        return points[0]
    values = torch.where(torch.isfinite(values), values, -torch.inf)
    if not bool((values > -torch.inf).any()):
        raise ValueError(
            f"expected a point with finite log density, got none among {len(points)} tried, because the target may be "
            "zero or undefined near the origin of unconstrained space; try a guide with another init_loc_fn"
        )
    return points[int(values.argmax())]
