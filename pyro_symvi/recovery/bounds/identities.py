r"""Exact identities for the mean of an odd function under a density that is only nearly symmetric.

P has density :math:`p`; g is an involution with \|det\| = 1 (a reflection about c, say), h is odd, h(gz) = -h(z);
:math:`r(z) = \log p(gz) - \log p(z)`; :math:`P_a = (p + p\circ g)/2`, :math:`\bar P\propto\sqrt{p\;p\circ g}`. All are
stated and proved here. Estimators take log weights towards the law that is named, self-normalised.

Two traps. :math:`E_p h = \tfrac12E_p[h(1-e^r)]` is true and useless: it overflows, and its variance may be infinite.
And under a Gaussian guide fitted by reverse KL, about its own mean, every first-order estimate of the asymmetry
(:math:`E_q\nabla r`, :math:`\mathrm{Cov}_q(z, r)`) is zero whatever the error: expectations must be the target's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ._orbits import normalised


def odd_terms(h: Tensor, residual: Tensor) -> Tensor:
    r"""I2: ``-h tanh(r/2)``, whose mean under P, or under :math:`P_a`, is :math:`E_p h`.

    Proof: given the orbit {z, gz}, h has mean :math:`h(z)\frac{p(z)-p(gz)}{p(z)+p(gz)} = -h\tanh(r/2)`. The multiplier
    is bounded, the variance never larger than that of h, and zero where the symmetry is exact.

    Args:
        h: ``[n, ...]``.
        residual: r, ``[n]``; infinite values are allowed.
    """
    _check(h, residual)
    return -h * torch.tanh(residual / 2).reshape(-1, *[1] * (h.ndim - 1))


def odd_mean(h: Tensor, residual: Tensor, log_weights: Tensor) -> Tensor:
    """I2: :math:`-E[h tanh(r/2)]`, by log weights ``[n]`` towards P or towards the average of p and its image."""
    return _mean(odd_terms(h, residual), normalised(log_weights))


def odd_mean_by_average(h: Tensor, residual: Tensor, log_weights: Tensor) -> Tensor:
    r"""I3: :math:`-E_{\bar P}[h\sinh(r/2)]/E_{\bar P}\cosh(r/2)`, log weights towards :math:`\bar P`.

    In log space: :math:`\bar p\cosh(r/2)\propto P_a`, so the weights take up the cosh and I2 is left. For even f,
    :math:`E_pf = E_{\bar P}[f\cosh]/E_{\bar P}\cosh` by the same weights. ``h``: ``[n, ...]``; the others ``[n]``.
    """
    half = residual.abs() / 2
    return odd_mean(h, residual, log_weights + half + torch.log1p((-2 * half).exp()))


def odd_mean_by_path(h: Tensor, residual: Tensor, log_weights: Tensor, nodes: int = 12) -> Tensor:
    r"""I4: :math:`-\tfrac12\int_0^1\mathrm{Cov}_{p_s}(h, r)\,ds`, :math:`p_s\propto\bar P e^{-sr/2}`, so p_1 = P.

    ``h`` ``[n, ...]``, ``residual`` r ``[n]``, log weights ``[n]`` towards :math:`\bar P`; Gauss-Legendre in s.
    """
    _check(h, residual)
    points, shares = np.polynomial.legendre.leggauss(nodes)
    total = torch.zeros_like(h[0])
    for s, share in zip((points + 1) / 2, shares / 2, strict=True):
        weights = normalised(log_weights - float(s) * residual / 2)
        r = residual - weights @ residual
        total = total + float(share) * _mean((h - _mean(h, weights)) * r.reshape(-1, *[1] * (h.ndim - 1)), weights)
    return -total / 2


def score_mean(scatter: Tensor, scores: Tensor, log_weights: Tensor) -> Tensor:
    r"""I5: :math:`E_p z - \nu = -S\,E_p s`, :math:`s = \nabla\log(q/p)`, q = N(nu, S), any nu and S.

    Needs :math:`E_p\nabla\log p = 0`: no boundary.

    Args:
        scatter: S, ``[d, d]``.
        scores: s, ``[n, d]``.
        log_weights: Towards P, ``[n]``.
    """
    return -scatter @ _mean(scores, normalised(log_weights))


def score_split(
    scatter: Tensor, gradient: Tensor, odd_score: Tensor, residual: Tensor, log_weights: Tensor, guide_gradient: Tensor
) -> Tensor:
    r"""I6: :math:`E_pz-\nu = -S\{\tfrac12(E_p-E_q)\nabla r - E_p[s_o\tanh(r/2)]\}`, at a reverse-KL optimum.

    The even part of s about nu is :math:`\tfrac12\nabla r`, the odd part :math:`s_o`, and :math:`E_qs = 0` there. Each
    term is an asymmetry times a misfit: why fitted means are far better than bounds of one factor.

    Args:
        scatter: S, ``[d, d]``.
        gradient: Of r at draws weighted to P, ``[n, d]``.
        odd_score: ``[n, d]``, at the same draws.
        residual: ``[n]``.
        log_weights: Towards P (both integrands may be evaluated under it), ``[n]``.
        guide_gradient: :math:`E_q\nabla r`, ``[d]``.
    """
    weights = normalised(log_weights)
    even = (_mean(gradient, weights) - guide_gradient) / 2
    return -scatter @ (even + _mean(odd_terms(odd_score, residual), weights))


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return torch.tensordot(weights, values, 1)


def _check(h: Tensor, residual: Tensor) -> None:
    if residual.ndim != 1 or h.shape[:1] != residual.shape:
        raise ValueError(
            f"expected h[n, ...] and residual[n], got {tuple(h.shape)} and {tuple(residual.shape)}, because each draw "
            "has one residual; try residual.reshape(-1)"
        )
