"""A divergence as a fixed sample average, minimised through reparameterised draws."""

from __future__ import annotations

import numpy as np
import torch
from scipy import optimize

from ..divergences import Divergence
from ._steps import broyden, newton
from .chart import ACCEPTED, Chart, Outcome, Report
from .result import FitStatus

_HUGE = 1e20
_POLISH_DIM = 200


def minimize_pathwise(
    chart: Chart, divergence: Divergence, noise: torch.Tensor, max_steps: int, tolerance: float, report: Report
) -> Outcome:
    r"""Minimise ``divergence.objective(log p(nu + C xi) - log q0(xi) + log|C|)`` over the chart, ``xi`` fixed."""
    family, density = chart.family, chart.density
    log_base = family.log_base(noise, chart.reference)
    history: list[float] = []

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(np.asarray(x, dtype=np.float64)).clone().requires_grad_()
        parameters = chart.parameters(leaf)
        z = parameters["loc"] + family.apply(parameters["scale"], noise)
        log_weights = density(z) - log_base + family.log_det(parameters["scale"])
        value = divergence.objective(log_weights)
        if not torch.isfinite(value):
            return _HUGE, np.zeros_like(x)
        (gradient,) = torch.autograd.grad(value, leaf)
        if not torch.isfinite(gradient).all():
            return _HUGE, np.zeros_like(x)
        return float(value.detach()), gradient.numpy()

    def step_done(intermediate_result: optimize.OptimizeResult) -> None:
        history.append(float(intermediate_result.fun))
        report(len(history), history[-1])

    start, _ = objective(np.zeros(chart.size))
    if start >= _HUGE:
        parameters = {k: v.detach() for k, v in chart.parameters(torch.zeros(chart.size, dtype=torch.float64)).items()}
        return Outcome(parameters, FitStatus.NOT_FINITE, [], float("nan"), float(len(noise)), "objective at the start")
    x = np.zeros(chart.size)
    message = ""
    for _ in range(3):  # restarts drop a stale curvature memory; the second seldom takes more than a few steps
        left = max_steps - len(history)
        if left <= 0:
            break
        result = optimize.minimize(
            objective,
            x,
            jac=True,
            method="L-BFGS-B",
            callback=step_done,
            options={"maxiter": left, "maxfun": 4 * left, "maxcor": 40, "gtol": 0.1 * tolerance, "ftol": 0.0},
        )
        x, message = np.asarray(result.x), str(result.message)
        x, norm = broyden(objective, x, family.dim)
        if norm > 1e-6 and chart.size <= _POLISH_DIM:
            x, norm = newton(objective, x, chart.size)
        if norm <= tolerance:
            break
    value, gradient = objective(x)
    history.append(value)
    norm = float(np.linalg.norm(gradient))
    parameters = {name: v.detach() for name, v in chart.parameters(torch.from_numpy(x)).items()}
    status = _pathwise_status(x[family.dim :], norm, len(history) > max_steps)
    return Outcome(parameters, status, history, norm, float(len(noise)), f"gradient norm {norm:.1e}; {message}")


def _pathwise_status(scale: np.ndarray, norm: float, out_of_steps: bool) -> FitStatus:
    if np.abs(scale).max(initial=0.0) > 25:
        return FitStatus.UNBOUNDED
    if norm <= ACCEPTED:
        return FitStatus.CONVERGED
    return FitStatus.MAX_STEPS if out_of_steps else FitStatus.STALLED
