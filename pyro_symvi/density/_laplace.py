"""Mode and curvature of a flat density: a starting point and a metric, never an argument for a claim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize

from ._log_density import LogDensity

DENSE_DIM = 200
"""Up to this dimension the mode is found by Newton's method."""
_MATRIX_DIM = 1000
"""Up to this dimension a large problem has one Hessian formed, at the mode; beyond, its diagonal is estimated."""
_PROBES = 32
_ROUNDS = 8


@dataclass(frozen=True)
class Laplace:
    """A point and a metric.

    Attributes:
        point: ``[d]``, the mode where one was found.
        root: ``[d, d]`` lower triangular, ``root root^T`` the inverse of minus the Hessian at the mode; ``[d]``, a
            diagonal, in more than 1000 dimensions.
        is_mode: Whether the point is a stationary point with a negative definite Hessian.
    """

    point: torch.Tensor
    root: torch.Tensor
    is_mode: bool


def laplace_approximation(
    density: LogDensity, start: torch.Tensor | None = None, root_scale: float = 0.1, *, large: bool = False
) -> Laplace:
    """Climb to a mode (trust-region Newton, scipy) and take the curvature there.

    Where no mode is found (an unbounded or flat density) the start comes back with the metric ``root_scale * I``.

    Args:
        density: The target.
        start: First guess ``[d]``; points where the density was evaluated at construction are tried as well.
        root_scale: Scale of the fallback metric.
        large: Whether to search in more than 200 dimensions as well, by L-BFGS, with one Hessian at the end; the root
            is then a diagonal ``[d]`` beyond 1000 dimensions. If not, they get the fallback.
    """
    first = _best_start(density, start)
    if density.dim > DENSE_DIM and large:
        return _large(density, first, root_scale)
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

    options = {"maxiter": 300, "gtol": 1e-7, "initial_trust_radius": 1.0, "max_trust_radius": 1e8}
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            result = optimize.minimize(
                value_and_gradient,
                np.zeros(density.dim),
                jac=True,
                hess=hessian,
                method="trust-exact",
                options=options,
            )
    except ValueError:  # a kink's curvature, squared, overflows inside scipy
        return fallback
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


def _large(density: LogDensity, first: torch.Tensor, root_scale: float) -> Laplace:
    """The mode by L-BFGS in units of the curvature's diagonal; no matrix ``[d, d]`` beyond 1000."""
    matrix = density.dim <= _MATRIX_DIM
    failed = torch.full((density.dim,), root_scale, dtype=torch.float64)
    fallback = Laplace(first, torch.diag(failed) if matrix else failed, False)
    point, unit = first, torch.ones_like(first)
    for _ in range(_ROUNDS):  # far from the mode the curvature misleads: look again from where it led
        unit = _positive_diagonal(density, point, unit).rsqrt()
        point = _climb(density, point, unit)
        gradient = density.value_and_grad(point)[1]
        if not torch.isfinite(gradient).all():
            return fallback
        if float((unit * gradient).norm()) < 1e-7 * density.dim**0.5:
            break
    if matrix:
        hessian = _curvature(density, point, unit)
        root = inverse_root(-hessian)
        if root is None:
            return fallback
        step = newton_step(density, point, hessian=hessian)
        point = point if step is None else point + step
        whitened = root.mT @ density.value_and_grad(point)[1]
    else:
        root = _positive_diagonal(density, point, unit).rsqrt()
        whitened = root * density.value_and_grad(point)[1]
    return Laplace(point, root, True) if float(whitened.norm()) < 1e-5 * density.dim**0.5 else fallback


def _climb(density: LogDensity, point: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """At most 100 steps of L-BFGS up from a point, in the units given."""

    def value_and_gradient(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = density.value_and_grad(point + unit * torch.from_numpy(u))
        if not torch.isfinite(value) or not torch.isfinite(gradient).all():
            return 1e20, np.zeros_like(u)
        return -float(value), -(unit * gradient).numpy()

    options = {"maxiter": 100, "maxfun": 400, "maxcor": 20, "gtol": 1e-8, "ftol": 0.0}
    found = optimize.minimize(value_and_gradient, np.zeros(density.dim), jac=True, method="L-BFGS-B", options=options)
    return point + unit * torch.from_numpy(np.asarray(found.x, dtype=np.float64))


def _positive_diagonal(density: LogDensity, point: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    r"""About the diagonal of minus the Hessian H ``[d]``, positive: :math:`E[v\odot Hv]` over random signs v.

    Exact where the Hessian is diagonal; elsewhere an estimate from 32 probes, which is enough for a metric (Bekas,
    Kokiopoulou & Saad, 2007).
    """
    generator = torch.Generator().manual_seed(17)
    signs = torch.randint(0, 2, (_PROBES, density.dim), generator=generator).double() * 2 - 1
    offsets = 1e-4 * unit * signs
    ahead, behind = density.value_and_grad(point + offsets)[1], density.value_and_grad(point - offsets)[1]
    found = -((ahead - behind) * signs).mean(0) / (2e-4 * unit)
    good = torch.isfinite(found) & (found > 0)
    if not bool(good.any()):
        return unit.reciprocal().square()
    middle = found[good].median()
    return torch.where(good, found.clamp(min=1e-6 * middle), middle)


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
        candidates.insert(0, start.detach().double().cpu())
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
