r"""Bound B3: deterministic, from the data of a logistic or Poisson regression alone. No draws.

Premises: U = -log p is convex; in coordinates :math:`z = c + S^{1/2}x`, on the ball :math:`\|x\|\le\rho`, its Hessian
is at least m and its third derivative at most K; :math:`\gamma = \|S^{1/2}\nabla U(c)\|`,
:math:`\sigma = m\rho - \gamma > 0`. With the radial law :math:`\pi(x)\propto x^{d-1}e^{-mx^2/2+\gamma x}` on
:math:`[0,\rho]`,

.. math:: \frac{|E_p a^\top(z - c)|}{\sqrt{a^\top S a}} \le \frac1m\sqrt{E_\pi(\gamma + \tfrac12Kx^2)^2}
    + \frac{\int_\rho^\infty x^d e^{-\sigma(x-\rho)}dx}{\int_0^\rho x^{d-1}e^{m(\rho^2-x^2)/2-\gamma(\rho-x)}dx}.

Proof. p restricted to the ball and its mirror average are m-strongly log-concave there, so the Bakry-Emery and
Otto-Villani inequalities bound the distance between them by the relative Fisher information, whose integrand is at most
:math:`(\gamma + Kx^2/2)^2`. Along each ray the potential's slope is at least :math:`mx-\gamma`, so the radius is
dominated by :math:`\pi` in likelihood ratio; outside the ball it is at least :math:`\sigma`, which bounds the tail.
(Bakry & Emery, 1985; Otto & Villani, 2000; the localisation is stated and proved here.)
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import special
from torch import Tensor

from ..verdicts import Evidence, Premise
from ._bound import Bound, judged, refused
from .regression import Regression

NAME = "localised curvature B3"
_ROUNDING = 1e-8
"""Share by which every constant is moved to the safe side."""
_HUGE = 1e100
_MULTIPLES = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)
_NODES = 400


def ball_constants(model: Regression, center: Tensor, root: Tensor, rho: float) -> tuple[float, float, float]:
    r"""m, K and gamma of a regression on the ball :math:`\|S^{-1/2}(z-c)\| \le\rho`, moved to the safe side.

    With :math:`\tilde x_i = S^{1/2}x_i`, the linear predictor i stays within :math:`\eta_i\pm\rho\|\tilde x_i\|` on the
    ball; m is the least eigenvalue of :math:`S^{1/2}(P + \sum_i w_i\min\beta''x_ix_i^\top)S^{1/2}`, and
    :math:`K = \max_i\|\tilde x_i\|\;\lambda_{\max}(\sum_i w_i\max|\beta'''|\tilde x_i\tilde x_i^\top)`.

    Args:
        model: The regression.
        center: c, ``[d]``.
        root: :math:`S^{1/2}`, any square root, ``[d, d]``.
        rho: Radius.
    """
    eta = model.design @ center + model.offset
    scaled = model.design @ root
    lengths = scaled.norm(dim=-1)
    radius = rho * lengths * (1 + _ROUNDING)
    low = model.weight * model.least_curvature(eta, radius)
    third = model.weight * model.greatest_third(eta, radius)
    inside = root.mT @ model.precision @ root + (scaled.mT * low) @ scaled
    steep = (scaled.mT * third) @ scaled
    if not (float(inside.abs().max()) < _HUGE and float(steep.abs().max()) < _HUGE):  # nan too
        return 0.0, math.inf, math.inf
    size = float(torch.linalg.matrix_norm(inside, 2))
    m = float(torch.linalg.eigvalsh(inside)[0]) - _ROUNDING * size
    K = float(lengths.max()) * float(torch.linalg.eigvalsh(steep)[-1]) * (1 + _ROUNDING)
    gradient = root.mT @ model.gradient(center)
    sizes = model.precision.abs() @ center.abs() + model.linear.abs()
    gross = root.mT.abs() @ (sizes + model.design.abs().mT @ (model.weight * model._mean(eta)))
    gamma = float(gradient.norm()) * (1 + _ROUNDING) + 1e-12 * float(gross.norm())
    return m, K, gamma


def localised_distance(dim: int, m: float, K: float, gamma: float, rho: float) -> float:
    """The right-hand side of B3; infinite where its premises fail."""
    sigma = m * rho - gamma
    if not (m > 0 and sigma > 0 and math.isfinite(K + gamma)):
        return math.inf
    x, w = np.polynomial.legendre.leggauss(_NODES)
    x, w = rho * (x + 1) / 2, rho * w / 2
    with np.errstate(divide="ignore"):
        log_law = (dim - 1) * np.log(x) - m * x * x / 2 + gamma * x + np.log(w)
    law = np.exp(log_law - special.logsumexp(log_law))
    inner = math.sqrt(float(law @ (gamma + K * x * x / 2) ** 2)) / m
    log_tail = _log_gamma_tail(dim + 1, sigma * rho) + sigma * rho - (dim + 1) * math.log(sigma)
    log_ball = float(special.logsumexp(log_law)) + m * rho * rho / 2 - gamma * rho
    return (inner + math.exp(min(log_tail - log_ball, 700.0))) * (1 + _ROUNDING)


def _log_gamma_tail(n: int, x: float) -> float:
    """Log of the upper incomplete gamma function of an integer n >= 1: ``(n-1)! e^-x sum_{k<n} x^k/k!``."""
    k = np.arange(n)
    return math.lgamma(n) - x + float(special.logsumexp(k * math.log(x) - special.gammaln(k + 1)))


def localised_bound(
    model: Regression, center: Tensor, metric: Tensor | None = None, sds: Tensor | None = None
) -> Bound:
    """B3 at a fitted location, for all coordinates, over the best of several radii.

    The form is PROVED where `read_regression` gave it. The number is the value of closed formulas and one-dimensional
    integrals in float64, every constant moved to the safe side by 1e-8. It bounds the error in the coordinate's own
    units; dividing by a posterior sd that was estimated from draws is what ``sds`` does, so the unit is VERIFIED.

    Args:
        model: The regression.
        center: Fitted location ``[d]``.
        metric: S, ``[d, d]``, positive definite; by default the inverse Hessian at the centre.
        sds: Lower estimates of the posterior sds, ``[d]``.

    Raises:
        ValueError: ``metric`` is not positive definite.
    """
    coordinates = tuple(range(model.dim))
    center = center.to(torch.float64)
    if metric is None:
        hessian = model.hessian(center)
        factor, info = torch.linalg.cholesky_ex(hessian)
        if int(info) != 0 or not bool(torch.isfinite(hessian).all()):
            return refused(NAME, coordinates, "the Hessian at the fitted value is singular")
        root = torch.linalg.solve_triangular(factor.mT, torch.eye(model.dim, dtype=torch.float64), upper=True)
    else:
        root, failed = torch.linalg.cholesky_ex(metric.to(torch.float64))
        if int(failed) != 0:
            raise ValueError("expected a positive definite metric, got another, because it is a squared length")
    rows = root.square().sum(-1).sqrt()
    best, radius = math.inf, 0.0
    for multiple in _MULTIPLES:
        rho = multiple * math.sqrt(model.dim)
        m, K, gamma = ball_constants(model, center, root, rho)
        found = localised_distance(model.dim, m, K, gamma, rho)
        if found < best:
            best, radius = found, rho
    if not math.isfinite(best):
        return refused(NAME, coordinates, "no ball has curvature enough to hold the posterior")
    premises: tuple[Premise, ...] = (
        model.premise,
        Premise(
            "curvature",
            Evidence.PROVED,
            f"least curvature and greatest third derivative on a ball of radius {radius:.3g}, from the data",
        ),
    )
    if sds is None:
        unit = rows
        premises += (Premise("unit", Evidence.ASSUMED, "the metric's own lengths stand for posterior sds"),)
    else:
        unit = sds
        premises += (Premise("unit", Evidence.VERIFIED, "posterior sds, on the low side, are from weighted draws"),)
    return judged(NAME, coordinates, best * rows / unit, premises, f"deterministic, ball of radius {radius:.3g}")
