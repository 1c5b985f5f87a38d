"""A divergence as a fixed sample average, minimised through reparameterised draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from scipy import optimize

from ...divergences import Divergence
from ._sample_objective import HUGE, SampleObjective
from ._steps import broyden, newton
from .chart import ACCEPTED, Chart, Outcome, Report
from .result import FitStatus

Method = Literal["auto", "lbfgs", "newton"]
METHODS = ("auto", "lbfgs", "newton")
_WHOLE_SIZE = 200
"""Up to this number of parameters the whole Hessian is computed at the end; beyond, the location's block."""
_BENT_DIM = 64
"""Up to this dimension."""
_FLAT = 1e-6
"""Curvature (1 where guide and target are the same normal law) that counts as none."""


def minimize_pathwise(
    chart: Chart,
    divergence: Divergence,
    noise: torch.Tensor,
    max_steps: int,
    tolerance: float,
    report: Report,
    method: Method = "auto",
) -> Outcome:
    r"""Minimise ``divergence.objective(log p(nu + C xi) - log q0(xi) + log|C|)`` over the chart, ``xi`` fixed.

    L-BFGS (``"auto"``, ``"lbfgs"``), or a trust-region Newton method (``"newton"``; Nocedal & Wright, 2006, section
    4.3) on the Hessian of `SampleObjective`. With up to 200 parameters both end in Newton steps on the gradient alone,
    down to its rounding, with more in Broyden's, for the location. In up to 64 dimensions the curvature at the end then
    tells a minimum from a saddle and from a flat stretch.
    """
    family = chart.family
    objective = SampleObjective(chart, divergence, noise)
    history: list[float] = []

    def step_done(intermediate_result: optimize.OptimizeResult) -> None:
        history.append(float(intermediate_result.fun))
        report(len(history), history[-1])

    start, _ = objective(np.zeros(chart.size))
    if start >= HUGE:
        parameters = {k: v.detach() for k, v in chart.parameters(torch.zeros(chart.size, dtype=torch.float64)).items()}
        where, status = "objective at the start", FitStatus.NOT_FINITE
        return Outcome(parameters, status, [], float("nan"), float(len(noise)), where)
    steps = _newton_steps if method == "newton" else _lbfgs_steps
    few, small = chart.size <= _WHOLE_SIZE, family.dim <= _BENT_DIM
    x, message, norm = np.zeros(chart.size), "", float("inf")
    hessian: np.ndarray | None = None
    enough = tolerance * max(1.0, (chart.size / 100) ** 0.5)  # rounding errors of many entries add up
    for round_ in range(3):  # restarts drop a stale curvature memory; the second seldom takes more than a few steps
        left = max_steps - len(history)
        if left <= 0:
            break
        near = 1e-6 if round_ == 0 and few and small else 0.1 * enough  # Newton's steps do the rest
        x, message = steps(objective, x, left, near, step_done)
        if not (few and small):
            x, norm = broyden(objective, x, family.dim)
        if few and (small or norm > 1e-6):
            hessian = objective.hessian(x)
            x, norm = newton(objective, x, chart.size, hessian)
        if norm <= enough:
            break
    value, gradient = objective(x)
    history.append(value)
    norm = float(np.linalg.norm(gradient))
    parameters = {name: v.detach() for name, v in chart.parameters(torch.from_numpy(x)).items()}
    status = _status(x[family.dim :], norm, len(history) > max_steps)
    details = f"gradient norm {norm:.1e}; {message}"
    if status is FitStatus.CONVERGED and small:
        status, found = _curvature_status(chart, objective.hessian(x, family.dim) if hessian is None else hessian)
        details = f"{found}; {details}" if found else details
    return Outcome(parameters, status, history, norm, float(len(noise)), details)


def _lbfgs_steps(
    objective: SampleObjective, x: np.ndarray, left: int, near: float, done: Callable[..., None]
) -> tuple[np.ndarray, str]:
    options = {"maxiter": left, "maxfun": 4 * left, "maxcor": 40, "gtol": near, "ftol": 0.0}
    result = optimize.minimize(objective, x, jac=True, method="L-BFGS-B", callback=done, options=options)
    return np.asarray(result.x), str(result.message)


def _newton_steps(
    objective: SampleObjective, x: np.ndarray, left: int, near: float, done: Callable[..., None]
) -> tuple[np.ndarray, str]:
    def hessian(x: np.ndarray) -> np.ndarray:
        found = objective.hessian(x)
        return found if np.isfinite(found).all() else np.eye(len(x))

    options: dict[str, Any] = {"maxiter": left, "gtol": max(near, 1e-7), "max_trust_radius": 1e3}
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            result = optimize.minimize(
                objective, x, jac=True, hess=hessian, method="trust-exact", callback=done, options=options
            )
    except ValueError as error:  # a kink's curvature, squared, overflows inside scipy
        return x, str(error)
    return np.asarray(result.x), str(result.message)


def _status(scale: np.ndarray, norm: float, out_of_steps: bool) -> FitStatus:
    if np.abs(scale).max(initial=0.0) > 25:
        return FitStatus.UNBOUNDED
    if norm <= ACCEPTED:
        return FitStatus.CONVERGED
    return FitStatus.MAX_STEPS if out_of_steps else FitStatus.STALLED


def _curvature_status(chart: Chart, hessian: np.ndarray) -> tuple[FitStatus, str]:
    """Whether a point of zero gradient is a minimum whose location is determined, as far as the Hessian tells."""
    dim = chart.family.dim
    if not np.isfinite(hessian).all():
        return FitStatus.CONVERGED, ""
    lowest = float(np.linalg.eigvalsh(hessian)[0])
    if lowest < -_FLAT * max(1.0, float(np.abs(hessian).max())):
        return FitStatus.SADDLE, f"curvature {lowest:.1e} along one direction"
    values, vectors = np.linalg.eigh(hessian[:dim, :dim])
    if values[0] < _FLAT * min(1.0, float(values[-1])) or values[-1] <= 0:
        root = chart.root.numpy()
        moved = root * vectors[:, 0] if root.ndim == 1 else root @ vectors[:, 0]
        name = chart.density.coordinates[int(np.abs(moved).argmax())]
        return FitStatus.FLAT, f"no curvature in the location, along {name} above all"
    return FitStatus.CONVERGED, ""
