"""Divergences of densities on the nodes of a rule, and their minimisers, for targets in one or two dimensions.

A rule is a pair of nodes ``[n, d]`` and logarithms of weights ``[n]``: the integral of f is the sum of weights times f.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

Rule = tuple[Tensor, Tensor]
Objective = Callable[[Tensor], Tensor]

_TOO_FAR = 1e10
"""What stands for an infinite value inside a line search."""


def vector(*values: float) -> Tensor:
    """A float64 tensor ``[n]``."""
    return torch.tensor(values, dtype=torch.float64)


def line(low: float, high: float, nodes: int = 2001) -> Rule:
    """The trapezoidal rule: for smooth integrands that vanish at both ends its error is beyond all powers of a step."""
    z = torch.linspace(low, high, nodes, dtype=torch.float64)
    return z[:, None], torch.full_like(z, math.log((high - low) / (nodes - 1)))


def panels(edges: Sequence[float], nodes: int = 20) -> Rule:
    """Gauss-Legendre on each panel between edges: kinks and jumps of the integrand belong on edges."""
    x, w = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(nodes))
    a, b = vector(*edges[:-1])[:, None], vector(*edges[1:])[:, None]
    return ((a + b) / 2 + (b - a) / 2 * x).reshape(-1, 1), ((b - a) / 2 * w).log().reshape(-1)


def hermite(nodes: int = 30) -> Rule:
    """Gauss-Hermite, as a rule for Lebesgue measure: for integrands that are a normal density times a smooth one."""
    x, w = (torch.from_numpy(array) for array in np.polynomial.hermite_e.hermegauss(nodes))
    return x[:, None], w.log() + x.square() / 2


def joined(*rules: Rule) -> Rule:
    """The rules of disjoint pieces, as one."""
    return torch.cat([rule[0] for rule in rules]), torch.cat([rule[1] for rule in rules])


def plane(first: Rule, second: Rule) -> Rule:
    """The product of two rules on the line: nodes ``[n m, 2]``."""
    a, b = first[0][:, 0], second[0][:, 0]
    z = torch.stack(torch.meshgrid(a, b, indexing="ij"), -1).reshape(-1, 2)
    return z, (first[1][:, None] + second[1][None, :]).reshape(-1)


def divergence(alpha: float, log_p: Tensor, log_q: Tensor, log_weights: Tensor) -> Tensor:
    r"""D_alpha(P || Q) of densities ``[n]`` at nodes: :math:`(1 - \int p^\alpha q^{1-\alpha}) / (\alpha (1 - \alpha))`.

    At 0 it is KL(Q || P), at 1 KL(P || Q). Points where the weighting density is zero do not count.
    """
    if alpha in (0.0, 1.0):
        inner, outer = (log_p, log_q) if alpha == 1.0 else (log_q, log_p)
        mass = (log_weights + inner).exp()
        seen = mass > 0
        return (mass[seen] * (inner - outer)[seen]).sum()
    power = alpha * log_p
    seen = power > -torch.inf if alpha > 0 else torch.ones_like(log_p, dtype=torch.bool)
    affinity = torch.logsumexp((power + (1 - alpha) * log_q + log_weights)[seen], 0).exp()
    return (1 - affinity) / (alpha * (1 - alpha))


def minimum(function: Objective, start: Sequence[float], slope: float = 1e-9) -> tuple[np.ndarray, float]:
    """The local minimum that quasi-Newton steps reach from a start, and its value; a start on a plateau stays there.

    Args:
        function: Of a vector ``[k]``.
        start: ``[k]``.
        slope: Steps end where no slope is larger.
    """
    if len(start) == 0:
        return np.zeros(0), float(function(torch.zeros(0, dtype=torch.float64)))

    def with_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(np.array(x)).requires_grad_()
        value = function(leaf)
        if not value.requires_grad:  # constant
            return float(value), np.zeros_like(x)
        gradient = torch.autograd.grad(value, leaf)[0]
        if not bool(value.isfinite() & gradient.isfinite().all()):
            return _TOO_FAR, np.zeros_like(x)
        return float(value.detach()), gradient.numpy()

    found = optimize.minimize(with_gradient, np.array(start, float), jac=True, method="BFGS", options={"gtol": slope})
    return np.asarray(found.x), float(found.fun)


__all__ = ["Objective", "Rule", "divergence", "hermite", "joined", "line", "minimum", "panels", "plane", "vector"]
