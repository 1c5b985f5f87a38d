"""Divergences on the nodes of a quadrature rule, and their minimisers: the divergence under test does the arithmetic.

Every estimator takes particles of equal weight. A rule with masses ``m_k`` (of the guide q at its nodes) is folded in:

- alpha not 0 or 1: ``mean_k exp(alpha l'_k) = sum_k m_k exp(alpha l_k)`` with ``l'_k = l_k + log(K m_k) / alpha``;
- alpha = 0: the objective is linear in l, so ``l'_k = K m_k l_k``;
- alpha = 1: ``score_surrogate(l + log m, log q)`` is ``-E_p log q``, the cross-entropy: KL(P || Q) + H(P).

Nodes may lie still (masses then move with the guide) or move with it (``z = nu + C xi``, masses of the base law).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from pyro_symvi.divergences import Divergence
from pyro_symvi.families import LocationScale


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def objective(divergence: Divergence, log_p: Tensor, log_q: Tensor, log_mass: Tensor) -> Tensor:
    """``divergence.objective`` with the masses of a rule; at alpha = 1 the cross-entropy."""
    l, log_mass = (log_p - log_q).flatten(), log_mass.flatten()
    alpha = divergence.alpha
    if alpha == 0.0:
        return divergence.objective(len(l) * log_mass.exp() * l)
    if alpha == 1.0:
        return divergence.score_surrogate(l + log_mass, log_q.flatten())
    return divergence.objective(l + (log_mass + math.log(len(l))) / alpha)


def alpha_value(divergence: Divergence, found: float) -> float:
    """D_alpha of a normalised target from its objective; 0 < alpha < 1."""
    alpha = divergence.alpha
    return -math.expm1(alpha * (alpha - 1.0) * found) / (alpha * (1.0 - alpha))


# rules: nodes and log of the step or weight


def trapezoid(low: float, high: float, nodes: int) -> tuple[Tensor, Tensor]:
    """For smooth integrands that vanish at both ends the error is beyond all powers of the step."""
    z = torch.linspace(low, high, nodes, dtype=torch.float64)
    return z, torch.full_like(z, math.log((high - low) / (nodes - 1)))


def panels(edges: Sequence[float], nodes: int = 20) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre on each panel: kinks and jumps belong on the edges."""
    x, w = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(nodes))
    a, b = t(*edges[:-1])[:, None], t(*edges[1:])[:, None]
    return ((a + b) / 2 + (b - a) / 2 * x).flatten(), ((b - a) / 2 * w).log().flatten()


def plane(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The product of two rules: nodes ``[n m, 2]`` and log weights ``[n m]``."""
    z = torch.stack(torch.meshgrid(first[0], second[0], indexing="ij"), -1).reshape(-1, 2)
    return z, (first[1][:, None] + second[1][None, :]).flatten()


def moving(
    divergence: Divergence,
    family: LocationScale,
    log_p: Callable[[Tensor], Tensor],
    rule: tuple[Tensor, Tensor],
    parameters: dict[str, Tensor],
) -> Tensor:
    """The objective at parameters, the rule being one for the base law: nodes ``[n, d]``."""
    noise, log_weight = rule
    log_base = family.log_base(noise, parameters)
    z = parameters["loc"] + family.apply(parameters["scale"], noise)
    return objective(divergence, log_p(z), log_base - family.log_det(parameters["scale"]), log_base + log_weight)


def still(
    divergence: Divergence,
    family: Any,
    log_p: Callable[[Tensor], Tensor],
    rule: tuple[Tensor, Tensor],
    parameters: dict[str, Tensor],
) -> Tensor:
    """The objective at parameters, the nodes ``[n, d]`` being fixed points of the space."""
    z, log_weight = rule
    log_q = family.log_prob(z, parameters)
    return objective(divergence, log_p(z), log_q, log_q + log_weight)


def minimize(function: Callable[[Tensor], Tensor], start: Sequence[float], newton: int = 3) -> tuple[np.ndarray, float]:
    """A local minimum of a scalar function of a vector: BFGS, then Newton steps to rounding level."""

    def with_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(np.array(x)).requires_grad_()
        value = function(leaf)
        gradient = torch.autograd.grad(value, leaf)[0]
        if not bool(value.isfinite() & gradient.isfinite().all()):  # a line search went too far
            return 1e10, np.zeros_like(x)
        return float(value.detach()), gradient.numpy()

    result = optimize.minimize(with_gradient, np.array(start, float), jac=True, method="BFGS", options={"gtol": 1e-8})
    x = np.asarray(result.x)
    for _ in range(newton):
        step = np.linalg.solve(hessian(function, x), with_gradient(x)[1])
        x = x - step
        if np.abs(step).max() < 1e-11:
            break
    return x, with_gradient(x)[0]


def hessian(function: Callable[[Tensor], Tensor], x: Any) -> np.ndarray:
    return torch.autograd.functional.hessian(function, torch.as_tensor(x, dtype=torch.float64)).numpy()
