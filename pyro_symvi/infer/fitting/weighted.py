"""A divergence as a fixed point of weighted maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy import optimize

from ...distributions import Normal
from ...divergences import Divergence
from ...divergences.weights import pareto_k
from ...families import LocationScale, LowRank, Parameters
from ._steps import newton
from .chart import ACCEPTED, Chart, Outcome, Report
from .result import FitStatus
from .reweighting import maximize_student, reweights
from .standard_errors import weighted_errors
from .whole_orbits import Orbits

Draw = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
_FEWEST = 50
_PATIENCE = 40
"""Steps in a row with fewer effective draws, after which none will come."""
RELIABLE = 0.7
"""Pareto k-hat below which self-normalised estimates are usable (Vehtari et al., 2024)."""


def minimize_weighted(
    chart: Chart,
    divergence: Divergence,
    proposal: LocationScale,
    noise: torch.Tensor,
    labels: torch.Tensor,
    max_steps: int,
    tolerance: float,
    report: Report,
    start: tuple[Parameters, torch.Tensor] | None = None,
    orbits: Orbits | None = None,
) -> Outcome:
    r"""Iterate :math:`\theta \leftarrow \arg\max_\theta \sum_i W_i \log q_\theta(z_i)`, ``W`` the escort weights.

    Draws are :math:`z_i = \nu + T\xi_i` with the current location and T the root of the last weighted covariance;
    :math:`\log W = \alpha\log p + (1-\alpha)\log q - \log r` with r the proposal's density. Since the draws follow the
    centre, a reflection of the target that the noise is closed under fixes the centre exactly. Steps are over-relaxed
    by 1/alpha, which for Gaussians is the exact step; where they grow, the relaxation is cut. ``labels [n]`` say which
    draws form an orbit: the standard error and the tail index of the weights are those of orbit sums. ``start`` is a
    first guess of the parameters and of T; by default the chart's reference and twice its root, as the mode's
    curvature may miss much mass. With ``orbits``, T T^T is averaged over their group and each draw's offset
    :math:`T\xi` joined by all its images (of the same density, as the base of the proposal is spherical).
    """
    density, log_noise = chart.density, proposal.log_base(noise)

    if orbits is not None:
        log_noise, labels = log_noise.repeat(orbits.copies), labels.repeat(orbits.copies)

    def draw(loc: torch.Tensor, root: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        if orbits is not None:
            root = orbits.invariant_root(root)
        offsets = noise @ root.mT
        z = loc + (offsets if orbits is None else orbits.spread(offsets))
        return z, density(z).detach(), log_noise - root.diagonal().log().sum()

    root = torch.diag(chart.root) if chart.root.ndim == 1 else chart.root
    first = start if start is not None else (chart.reference, 2 * root)
    return _fixed_point(chart.family, divergence.alpha, draw, labels, first, max_steps, tolerance, report)


def minimize_on_draws(
    chart: Chart,
    divergence: Divergence,
    z: torch.Tensor,
    log_proposal: torch.Tensor,
    max_steps: int,
    tolerance: float,
    report: Report,
    start: tuple[Parameters, torch.Tensor],
    labels: torch.Tensor | None = None,
) -> Outcome:
    """`minimize_weighted` on draws ``z [n, d]`` that stay, of log density ``log_proposal [n]``.

    They are independent, or come in orbits numbered by ``labels [n]``.
    """
    log_p = chart.density(z).detach()

    def draw(loc: torch.Tensor, root: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return z, log_p, log_proposal

    labels = torch.arange(len(z)) if labels is None else labels
    return _fixed_point(chart.family, divergence.alpha, draw, labels, start, max_steps, tolerance, report)


def _fixed_point(
    family: LocationScale,
    alpha: float,
    draw: Draw,
    labels: torch.Tensor,
    start: tuple[Parameters, torch.Tensor],
    max_steps: int,
    tolerance: float,
    report: Report,
) -> Outcome:
    """The iteration; ``draw(loc, root)`` gives draws, their log target and their log proposal."""
    parameters, root = start
    count, hopeless = len(labels), 0
    history: list[float] = []
    change, previous, effective = float("inf"), float("inf"), float(count)
    relaxation = 1 / min(alpha, 1.0)
    for _ in range(max_steps):
        z, log_p, log_r = draw(parameters["loc"], root)
        log_w = alpha * log_p + (1 - alpha) * family.log_prob(z, parameters) - log_r
        log_w = torch.where(torch.isnan(log_w), -torch.inf, log_w)
        if not torch.isfinite(log_w).any():
            return Outcome(parameters, FitStatus.NOT_FINITE, history, float("nan"), 0.0, "no draw has finite density")
        weights = torch.softmax(log_w, 0)
        effective = float(1 / weights.square().sum())
        updated, second = _attempted(family, z, weights, parameters)
        if updated is None:
            details = f"maximum likelihood on {effective:.1f} effective of {count} particles has no solution"
            return Outcome(
                parameters, FitStatus.FEW_EFFECTIVE_PARTICLES, history, float("nan"), effective, details, root=root
            )
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
        hopeless = hopeless + 1 if effective < _FEWEST else 0
        if change < tolerance or hopeless > _PATIENCE:
            break
    tail = float(pareto_k(_orbit_log_weights(log_w, labels)))
    if effective < _FEWEST or effective < 2 * family.dim:
        status = FitStatus.FEW_EFFECTIVE_PARTICLES
    elif tail > RELIABLE:
        status = FitStatus.HEAVY_WEIGHTS
    elif change < max(tolerance, ACCEPTED):
        status = FitStatus.CONVERGED
    else:
        status = FitStatus.MAX_STEPS
    details = f"last change {change:.1e} scales; {effective:.0f} effective of {count} particles, k-hat {tail:.2f}"
    errors = partial(weighted_errors, family, parameters, z, weights, labels, alpha)
    return Outcome(parameters, status, history, change, effective, details, tail, root=root, errors=errors)


def _attempted(
    family: LocationScale, z: torch.Tensor, weights: torch.Tensor, start: Parameters
) -> tuple[Parameters | None, torch.Tensor | None]:
    """`maximize_likelihood`, with None for parameters that do not exist: a scale that shrinks onto one heavy draw."""
    try:
        updated, root = maximize_likelihood(family, z, weights, start)
    except (ValueError, np.linalg.LinAlgError):  # of laws and solvers that were given nan
        return None, None
    sound = all(family.complaint(name, value) is None for name, value in updated.items())
    return (updated if sound else None), root


def _orbit_log_weights(log_weights: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Logarithms of the orbits' total weights."""
    top = log_weights.max()
    total = torch.zeros(int(labels.max()) + 1, dtype=log_weights.dtype)
    return total.index_add_(0, labels, (log_weights - top).exp()).log() + top


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

    Normal bases: weighted mean and the scale of the weighted covariance, where that has a closed form. Student-t bases
    of fixed df: iterative reweighting (`maximize_student`). Others: L-BFGS in coordinates whitened by the present
    parameters; convex in :math:`(C^{-1}, C^{-1}\nu)` for log-concave bases. The covariance root ``[d, d]`` is None
    where the weighted covariance is singular.
    """
    mean = weights @ z
    centred = z - mean
    covariance = (weights[:, None] * centred).mT @ centred
    root, info = torch.linalg.cholesky_ex(covariance)
    root_or_none = root if int(info) == 0 else None
    if isinstance(family.law, Normal) and not isinstance(family.pattern, LowRank):
        scale = family.pattern.from_covariance(covariance)
        return {"loc": mean, "scale": start["scale"] if scale is None else scale}, root_or_none
    if reweights(family):
        return {**start, **maximize_student(family, z, weights, start)}, root_or_none
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
    x, _ = newton(loss, np.asarray(result.x), family.dim)
    return {name: v.detach() for name, v in at(torch.from_numpy(x)).items()}, root_or_none
