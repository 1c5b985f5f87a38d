r"""Bounds from the misfit of a Gaussian guide to a strongly log-concave target, BM and BM-kappa; no symmetry."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...density import LogDensity
from ...divergences import Divergence, ReverseKL
from ..verdicts import Evidence, Premise
from ._bound import Bound, judged, refused

BM, BM_KAPPA = "misfit bound BM", "misfit bound BM-kappa"
STATIONARY = "stationary"


def misfit_limit(fisher: float, modulus: float, upper: float = math.inf, gradient: float = 0.0) -> float:
    r"""BM and BM-kappa in absolute units, from :math:`I=E_q\|\nabla\log(q/p)\|^2` and :math:`mI\le H\le LI`.

    .. math:: \mathrm{BM}=\sqrt I/m,\qquad\mathrm{BM}_\kappa=\frac{L-m}{L+m}\,\frac{\sqrt I}m+\frac{2e}{L+m},\quad
        e=\|E_q\nabla\log p\|.

    BM: Bakry-Emery, Otto-Villani. The factor: for the optimal coupling (X, Y) of P and q,
    :math:`E[\tilde H(X-Y)]=-E_q\nabla U` with :math:`m\le\tilde H\le L`; subtract :math:`\tfrac{m+L}2E(X-Y)`. It needs
    :math:`E_q\nabla U=0`, the location's optimality under *reverse* KL, up to e. An infinite L gives BM.

    Args:
        fisher: I.
        modulus: m > 0.
        upper: L >= m.
        gradient: e.

    Raises:
        ValueError: unless ``0 < m <= L`` and the moments are not negative.
    """
    if not (modulus > 0 and upper >= modulus and fisher >= 0 and gradient >= 0):
        raise ValueError(
            f"expected 0 < m <= L, fisher >= 0 and gradient >= 0, got {modulus}, {upper}, {fisher}, {gradient}, "
            "because they bound one Hessian; try the modulus that static analysis proves"
        )
    distance = math.sqrt(fisher) / modulus
    if math.isinf(upper):
        return distance
    return min(distance, (upper - modulus) / (upper + modulus) * distance + 2 * gradient / (upper + modulus))


def misfit_bound(
    density: LogDensity,
    location: Tensor,
    root: Tensor,
    modulus: float,
    sds: Tensor,
    premise: Premise,
    generator: torch.Generator,
    upper: float = math.inf,
    divergence: Divergence | None = None,
    num_draws: int = 4096,
) -> Bound:
    r"""BM, or BM-kappa where an upper curvature L is known, for all coordinates, from draws of the guide alone.

    Means over independent draws of the guide, plus three standard errors: VERIFIED even where m is PROVED. With L the
    guide must have been fitted by reverse KL; its residual gradient is measured and counted, and other divergences
    are refused: their optimum has another condition, and the factor would understate.

    Args:
        density: The target.
        location: Guide's mean ``[d]``.
        root: Guide's lower scale ``[d, d]``.
        modulus: m with ``Hess U >= m I``.
        sds: Posterior sds, on the low side, ``[d]``.
        premise: What m (and L) rest on.
        generator: Random state.
        upper: L with ``Hess U <= L I``.
        divergence: What the guide was fitted by.
        num_draws: Draws of the guide.
    """
    name = BM if math.isinf(upper) else BM_KAPPA
    coordinates = tuple(range(density.dim))
    premises: tuple[Premise, ...] = (premise,)
    if not math.isinf(upper) and not isinstance(divergence, ReverseKL):
        reason = f"the guide was fitted by {divergence!r}, and the factor holds for reverse KL only"
        return refused(name, coordinates, reason, (premise, Premise(STATIONARY, Evidence.REFUTED, reason)))
    noise = torch.randn(num_draws, density.dim, dtype=torch.float64, generator=generator)
    score_q = -torch.linalg.solve_triangular(root.mT, noise.mT, upper=True).mT
    score_p = density.value_and_grad(location + noise @ root.mT)[1]
    squares = (score_q - score_p).square().sum(-1)
    if not bool(torch.isfinite(squares).all()):
        return refused(name, coordinates, "the gradient of log p is not finite at some draws of the guide", premises)
    fisher = float(squares.mean() + 3 * squares.std() / math.sqrt(num_draws))
    # E_q score_q = 0, so score_p - score_q has the same mean as score_p, with less noise near an optimum
    mean, error = (score_p - score_q).mean(0), (score_p - score_q).std(0) / math.sqrt(num_draws)
    gradient = float((mean.abs() + 3 * error).norm())
    value = misfit_limit(fisher, modulus, upper, gradient)
    premises += (Premise("guide draws", Evidence.VERIFIED, f"means over {num_draws} draws of it, plus three errors"),)
    if not math.isinf(upper):
        text = f"E_q grad log p = 0 at a reverse-KL optimum, up to {gradient:.2g}, which is counted"
        premises += (Premise(STATIONARY, Evidence.VERIFIED, text),)
    return judged(name, coordinates, value / sds, premises, "draws of the guide")
