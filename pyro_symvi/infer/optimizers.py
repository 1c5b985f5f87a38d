"""The two ways a divergence is minimised: a fixed sample average, or a weighted-likelihood fixed point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from scipy import optimize

from ..density import LogDensity
from ..distributions import Normal
from ..divergences import Divergence
from ..families import LocationScale, LowRank, Parameters
from .result import FitStatus

Report = Callable[[int, float], None]
_HUGE = 1e20
_POLISH_DIM = 200


@dataclass(frozen=True)
class Chart:
    r"""Whitened parameters :math:`x = (a, b)` of a family around a reference: loc = point + root a, scale = ref . S(b).

    One unit of any entry is about one posterior standard deviation (location) or a factor e (scale), whatever the
    units of the model.
    """

    density: LogDensity
    family: LocationScale
    point: torch.Tensor
    root: torch.Tensor

    @cached_property
    def reference(self) -> Parameters:
        """Parameters at x = 0: the scale nearest the metric, what reverse KL gives on a Gaussian target."""
        nearest = {"loc": self.point, "scale": self.family.pattern.from_root(self.root)}
        return {**self.family.initial(1.0, self.point), **nearest}

    @property
    def size(self) -> int:
        """Length of x."""
        return self.family.size

    def parameters(self, x: torch.Tensor) -> Parameters:
        """The family's parameters at ``x``."""
        return self.family.around(self.reference, self.root, x)


@dataclass
class Outcome:
    """Result of a minimisation."""

    parameters: Parameters
    status: FitStatus
    history: list[float]
    gradient_norm: float
    effective_particles: float
    details: str = field(default="")


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
        x, norm = _broyden(objective, x, family.dim)
        if norm > 1e-6 and chart.size <= _POLISH_DIM:
            x, norm = _newton(objective, x, chart.size)
        if norm <= tolerance:
            break
    value, gradient = objective(x)
    history.append(value)
    norm = float(np.linalg.norm(gradient))
    parameters = {name: v.detach() for name, v in chart.parameters(torch.from_numpy(x)).items()}
    status = _pathwise_status(x[family.dim :], norm, len(history) > max_steps)
    return Outcome(parameters, status, history, norm, float(len(noise)), f"gradient norm {norm:.1e}; {message}")


_ACCEPTED = 1e-5
"""Largest whitened gradient norm that counts as converged: below it the line search is at the rounding of the value."""


def _pathwise_status(scale: np.ndarray, norm: float, out_of_steps: bool) -> FitStatus:
    if np.abs(scale).max(initial=0.0) > 25:
        return FitStatus.UNBOUNDED
    if norm <= _ACCEPTED:
        return FitStatus.CONVERGED
    return FitStatus.MAX_STEPS if out_of_steps else FitStatus.STALLED


Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


def _broyden(objective: Objective, x: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """Broyden's method on the first ``size`` entries of the gradient, from the identity; the final gradient norm.

    In whitened coordinates the location's Hessian is near the identity, so a few steps bring the location from where a
    line search on values stops (the square root of their rounding error) to the rounding of the gradient itself. Steps
    are kept while the gradient shrinks.
    """
    _, gradient = objective(x)
    inverse = np.eye(size)
    failures = 0
    for _ in range(30):
        step = np.zeros_like(x)
        step[:size] = -inverse @ gradient[:size]
        candidate = x + step
        _, trial = objective(candidate)
        if not np.isfinite(trial).all():
            break
        difference = trial[:size] - gradient[:size]
        moved = inverse @ difference
        denominator = step[:size] @ moved
        if denominator != 0 and size <= 2000:
            inverse += np.outer(step[:size] - moved, step[:size] @ inverse) / denominator
        if np.linalg.norm(trial[:size]) < np.linalg.norm(gradient[:size]):
            x, gradient, failures = candidate, trial, 0
        else:
            failures += 1
        if failures == 2 or np.linalg.norm(step) < 1e-15:
            break
    return x, float(np.linalg.norm(gradient))


def _newton(objective: Objective, x: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """Newton steps on the first ``size`` gradient entries, the Jacobian by differences; the final gradient norm."""
    _, gradient = objective(x)
    norm = float(np.linalg.norm(gradient))
    if size > _POLISH_DIM or not np.isfinite(norm) or norm > 1e-2:
        return x, norm
    step = 1e-5
    jacobian = np.empty((size, size))
    for i in range(size):
        moved = x.copy()
        moved[i] += step
        jacobian[:, i] = (objective(moved)[1][:size] - gradient[:size]) / step
    if not np.isfinite(jacobian).all() or np.linalg.cond(jacobian) > 1e10:
        return x, norm
    for _ in range(6):
        candidate = x.copy()
        candidate[:size] -= np.linalg.solve(jacobian, gradient[:size])
        _, trial = objective(candidate)
        if not np.linalg.norm(trial[:size]) < np.linalg.norm(gradient[:size]):
            break
        x, gradient = candidate, trial
    return x, float(np.linalg.norm(gradient))


def minimize_weighted(
    chart: Chart,
    divergence: Divergence,
    proposal: LocationScale,
    noise: torch.Tensor,
    max_steps: int,
    tolerance: float,
    report: Report,
) -> Outcome:
    r"""Iterate :math:`\theta \leftarrow \arg\max_\theta \sum_i W_i \log q_\theta(z_i)`, ``W`` the escort weights.

    Draws are :math:`z_i = \nu + T\xi_i` with the current location and T the root of the last weighted covariance;
    :math:`\log W = \alpha\log p + (1-\alpha)\log q - \log r` with r the proposal's density. Since the draws follow the
    centre, a reflection of the target that the noise is closed under fixes the centre exactly. Steps are over-relaxed
    by 1/alpha, which for Gaussians is the exact step; where they grow, the relaxation is cut.
    """
    family, density, alpha = chart.family, chart.density, divergence.alpha
    parameters, root = chart.reference, 2 * chart.root  # wide at first: the mode's curvature may miss much mass
    log_noise = proposal.log_base(noise)
    history: list[float] = []
    change, previous, effective = float("inf"), float("inf"), float(len(noise))
    relaxation = 1 / min(alpha, 1.0)
    for _ in range(max_steps):
        z = parameters["loc"] + noise @ root.mT
        log_p = density(z).detach()
        log_w = alpha * log_p + (1 - alpha) * family.log_prob(z, parameters) - log_noise
        log_w = torch.where(torch.isnan(log_w), -torch.inf, log_w)
        if not torch.isfinite(log_w).any():
            return Outcome(parameters, FitStatus.NOT_FINITE, history, float("nan"), 0.0, "no draw has finite density")
        weights = torch.softmax(log_w, 0)
        effective = float(1 / weights.square().sum())
        updated, second = maximize_likelihood(family, z, weights, parameters)
        moved = torch.linalg.solve_triangular(root, (updated["loc"] - parameters["loc"])[:, None], upper=False)
        grown = family.log_det(updated["scale"]) - family.log_det(parameters["scale"])
        change = relaxation * float(moved.norm() + grown.abs() + _tail_change(parameters, updated))
        history.append(float(-(weights * family.log_prob(z, updated)).sum()))
        report(len(history), history[-1])
        if change > previous:
            relaxation = max(0.3, 0.7 * relaxation)
        previous = change
        parameters = _relaxed(family, parameters, updated, relaxation)
        root = second if second is not None else root
        if change < tolerance:
            break
    if effective < 50 or effective < 2 * family.dim:
        status = FitStatus.FEW_EFFECTIVE_PARTICLES
    elif change < max(tolerance, _ACCEPTED):
        status = FitStatus.CONVERGED
    else:
        status = FitStatus.MAX_STEPS
    details = f"last change {change:.1e} scales; {effective:.0f} effective of {len(noise)} particles"
    return Outcome(parameters, status, history, change, effective, details)


def _tail_change(old: Parameters, new: Parameters) -> torch.Tensor:
    """Change of log df, where it is learned."""
    return (new["df"] / old["df"]).log().abs() if "df" in old else torch.zeros(())


def _relaxed(family: LocationScale, old: Parameters, new: Parameters, factor: float) -> Parameters:
    """``old + factor (new - old)``, the factor reduced until the scale's diagonal stays within a factor 3."""
    while factor != 1:
        mixed = {name: old[name] + factor * (new[name] - old[name]) for name in old}
        before, after = (family.matrix(p["scale"]).diagonal() for p in (old, mixed))
        sound = all(family.complaint(name, value) is None for name, value in mixed.items())
        if sound and bool(((after > before / 3) & (after < 3 * before)).all()):
            return mixed
        factor = 1 + (factor - 1) / 2 if abs(factor - 1) > 0.1 else 1
    return new


def maximize_likelihood(
    family: LocationScale, z: torch.Tensor, weights: torch.Tensor, start: Parameters
) -> tuple[Parameters, torch.Tensor | None]:
    r"""Weighted maximum likelihood: :math:`\arg\max_\theta\sum_i W_i\log q_\theta(z_i)`, and the root of ``Cov_W``.

    Normal bases: weighted mean and the scale of the weighted covariance, where that has a closed form. Others: L-BFGS
    in coordinates whitened by the present parameters; convex in :math:`(C^{-1}, C^{-1}\nu)` for log-concave bases. The
    covariance root ``[d, d]`` is None where the weighted covariance is singular.
    """
    mean = weights @ z
    centred = z - mean
    covariance = (weights[:, None] * centred).mT @ centred
    root, info = torch.linalg.cholesky_ex(covariance)
    root_or_none = root if int(info) == 0 else None
    if isinstance(family.law, Normal) and not isinstance(family.pattern, LowRank):
        scale = family.pattern.from_covariance(covariance)
        return {"loc": mean, "scale": start["scale"] if scale is None else scale}, root_or_none
    matrix = family.matrix(start["scale"])

    def at(x: torch.Tensor) -> Parameters:
        return family.around(start, matrix, x)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(x).requires_grad_()
        value = -(weights * family.log_prob(z, at(leaf))).sum()
        (gradient,) = torch.autograd.grad(value, leaf)
        return float(value.detach()), gradient.numpy()

    options = {"maxiter": 200, "maxcor": 40, "gtol": 1e-12, "ftol": 0.0}
    result = optimize.minimize(loss, np.zeros(family.size), jac=True, method="L-BFGS-B", options=options)
    x, _ = _newton(loss, np.asarray(result.x), family.dim)
    return {name: v.detach() for name, v in at(torch.from_numpy(x)).items()}, root_or_none
