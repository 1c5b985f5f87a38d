r"""Bounds from curvature: B1, from a lower bound M on the Hessian of -log p; B2, from the Hessian itself.

Sharper than B0 they never were on any target tried; they need no second moments, and M turns Fisher information into
distance. r is the residual of a reflection, U = -log p, :math:`\|v\|_{M^{-1}}^2=v^\top M^{-1}v`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...density import LogDensity
from ...density._importance import RELIABLE, WeightedDraws
from ..analysis import Analysis
from ..theorems import SUPPORT
from ..verdicts import Evidence, Premise
from ._bound import Bound, judged, refused
from ._orbits import Mirrored, mirrored, normalised, orbit_weights, reflected, weighted_mean

B1, B1Q, B2 = "curvature bound B1", "curvature bound B1 from the guide's draws", "Brascamp-Lieb bound B2"


def strong_concavity(analysis: Analysis) -> tuple[float, Premise]:
    """The modulus m of ``-Hess log p >= m I`` that static analysis proved, and the premise; 0 where it proved none.

    The curvature at the mode is no such number: for a logistic or Poisson regression it is no lower bound elsewhere.
    """
    found = analysis.concavity
    modulus = float(found.modulus) if found is not None and analysis.is_plain else 0.0
    if modulus > 0:
        text = f"-log p is strongly convex with modulus {modulus:.4g}: by static analysis"
        return modulus, Premise("strong concavity", Evidence.PROVED, text)
    return 0.0, Premise("strong concavity", Evidence.UNKNOWN, "no positive modulus was proved")


def residual_gradient(density: LogDensity, z: Tensor, center: Tensor, coordinates: Sequence[int]) -> Tensor:
    r""":math:`\nabla r(z)=\nabla U(z)-A\nabla U(gz)`, ``[n, d]``; A = diag(+-1) is the linear part."""
    here, there = (density.value_and_grad(points)[1] for points in (z, reflected(z, center, coordinates)))
    return -here + _signs(density.dim, coordinates) * there


def fisher_bound(fisher: Tensor | float, precision: Tensor) -> Tensor:
    r"""B1 in absolute units, ``[d]``: :math:`\tfrac12\sqrt{(M^{-1})_{jj}}\sqrt{E\|\nabla r\|^2_{M^{-1}}}`.

    Proof: Bakry-Emery's criterion gives the logarithmic Sobolev inequality :math:`\mathrm{KL}\le\tfrac12I` in the
    metric M; Otto-Villani :math:`W_2^2\le2\,\mathrm{KL}`; :math:`\nabla\log(p/\bar p)=-\tfrac12\nabla r`; and the mean
    of :math:`\bar P\propto\sqrt{p\;p\circ g}` is c.

    Args:
        fisher: :math:`E\|\nabla r\|^2_{M^{-1}}`; under P if M bounds the Hessian of :math:`-\log\bar p`, under P or
            :math:`\bar P` if it bounds that of U (and A M A = M). Its supremum makes the bound deterministic.
        precision: M, ``[d, d]``.
    """
    return torch.linalg.inv(precision).diagonal().sqrt() * torch.as_tensor(fisher, dtype=torch.float64).sqrt() / 2


def curvature_bound(
    density: LogDensity,
    draws: WeightedDraws,
    center: Tensor,
    coordinates: Sequence[int],
    precision: Tensor,
    premise: Premise,
) -> Bound:
    """B1 for the coordinates reflected, from weighted draws: the smaller of its two forms, each plus three errors.

    Args:
        density: The target.
        draws: Weighted draws.
        center: ``[d]``.
        coordinates: Those reflected.
        precision: M with ``Hess U >= M``, ``[d, d]``.
        premise: What that rests on; unless PROVED, VERIFIED or ASSUMED the bound is withheld.
    """
    precision = _invariant(precision, coordinates)
    points = mirrored(density, draws.z, center, coordinates, draws.log_p)
    squares = _norms(residual_gradient(density, draws.z, center, coordinates), precision)
    log_w, k = orbit_weights(draws, points)
    if not max(k, draws.k) < RELIABLE:
        return refused(B1, coordinates, f"importance weights are unreliable (Pareto k-hat {max(k, draws.k):.2f})")
    fisher = min(_upper(normalised(log_w), squares), _upper(normalised(_average_weights(draws, points)), squares))
    index = torch.tensor(tuple(coordinates))
    values = fisher_bound(fisher, precision)[index] / draws.sd_low[index]
    return judged(B1, coordinates, values, (premise, _seen(k, draws)), "weighted draws")


def guide_curvature_bound(
    density: LogDensity,
    location: Tensor,
    root: Tensor,
    coordinates: Sequence[int],
    precision: Tensor,
    upper: Tensor,
    sds: Tensor,
    premise: Premise,
    generator: torch.Generator,
    num_draws: int = 4096,
) -> Bound:
    r"""B1 with expectations under a Gaussian guide q, which costs a second term that must not be dropped.

    .. math:: \sqrt{E_{\bar P}\|\nabla r\|^2_{M^{-1}}}\le\sqrt{E_q\|\nabla r\|^2_{M^{-1}}}
        +\Lambda\sqrt{E_q\|\nabla\log(q/\bar p)\|^2_{M^{-1}}},

    :math:`\Lambda` the Lipschitz constant of :math:`M^{-1/2}\nabla r` in the metric M; with
    :math:`M\le\nabla^2U\le L`, at most the largest eigenvalue of :math:`M^{-1/2}(L-M)M^{-1/2}`. (The function's
    Lipschitz constant times :math:`W_2(q,\bar P)`, which the argument of B1 bounds.)

    Args:
        density: The target.
        location: Guide's mean and centre of the reflection, ``[d]``.
        root: Guide's lower scale, ``[d, d]``.
        coordinates: Those reflected.
        precision: M, ``[d, d]``.
        upper: L, ``[d, d]``.
        sds: Posterior sds, on the low side, ``[d]``.
        premise: What ``M <= Hess U <= L`` rests on.
        generator: Random state.
        num_draws: Draws of the guide.

    Raises:
        ValueError: for an upper bound below the precision.
    """
    precision = _invariant(precision, coordinates)
    noise = torch.randn(num_draws, density.dim, dtype=torch.float64, generator=generator)
    z = location + noise @ root.mT
    here = density.value_and_grad(z)[1]
    gradient = residual_gradient(density, z, location, coordinates)
    average = here + gradient / 2  # grad log p-bar = grad log p + grad r / 2
    score = -torch.linalg.solve_triangular(root.mT, noise.mT, upper=True).mT - average
    even = torch.full((num_draws,), 1 / num_draws, dtype=torch.float64)
    first, second = (_upper(even, _norms(v, precision)) for v in (gradient, score))
    white = torch.linalg.inv(torch.linalg.cholesky(precision))
    lipschitz = float(torch.linalg.eigvalsh(white @ (upper - precision) @ white.mT)[-1])
    if lipschitz < 0:
        raise ValueError("expected upper >= precision, got less, because both bound one Hessian; try swapping them")
    fisher = (first**0.5 + lipschitz * second**0.5) ** 2
    index = torch.tensor(tuple(coordinates))
    values = fisher_bound(fisher, precision)[index] / sds[index]
    sampled = Premise("guide draws", Evidence.VERIFIED, f"means over {num_draws} draws of the guide, plus three errors")
    return judged(B1Q, coordinates, values, (premise, sampled), "draws of the guide")


def brascamp_lieb_bound(
    density: LogDensity,
    draws: WeightedDraws,
    center: Tensor,
    coordinates: Sequence[int],
    premise: Premise,
    num_draws: int = 1024,
    nodes: int = 5,
) -> Bound:
    r"""B2: :math:`|E z_j-c_j|\le\tfrac12\int_0^1\mathrm{sd}_s(z_j)\sqrt{E_s[\nabla r^\top H_s^{-1}\nabla r]}\,ds`.

    :math:`p_s\propto\sqrt{p\;p\circ g}\,e^{-sr/2}`, whose Hessian is
    :math:`H_s=\tfrac12(1+s)\nabla^2U(z)+\tfrac12(1-s)A\nabla^2U(gz)A`. From the identity
    :math:`E_ph=-\tfrac12\int\mathrm{Cov}_s(h,r)ds` and the Brascamp-Lieb inequality (1976).
    U must be strictly convex (``premise``); no global M is needed. ``center``: c, ``[d]``.
    """
    z, log_q = draws.z[:num_draws], draws.log_proposal(draws.z[:num_draws])
    points = mirrored(density, z, center, coordinates, draws.log_p[:num_draws])
    sign = _signs(density.dim, coordinates)
    gradient = residual_gradient(density, z, center, coordinates)
    here, there = -density.hessian(z), -density.hessian(points.image) * sign[:, None] * sign
    index = torch.tensor(tuple(coordinates))
    total = torch.zeros(len(index), dtype=torch.float64)
    for x, share in zip(*np.polynomial.legendre.leggauss(nodes), strict=True):
        s = float(x + 1) / 2
        factor, info = torch.linalg.cholesky_ex((1 + s) / 2 * here + (1 - s) / 2 * there)
        if bool((info != 0).any()):
            return refused(B2, coordinates, "the Hessian is not positive definite at some draws: log p is not concave")
        white = torch.linalg.solve_triangular(factor, gradient[..., None], upper=False)[..., 0]
        weights = normalised((points.log_p + points.log_image - s * points.residual) / 2 - log_q)
        mean = weights @ z[:, index]
        spread, spread_se = weighted_mean(weights, (z[:, index] - mean).square())
        energy, energy_se = weighted_mean(weights, white.square().sum(-1))
        total += float(share) / 2 * ((spread + 3 * spread_se) * (energy + 3 * energy_se)).sqrt()
    _, k = orbit_weights(draws, mirrored(density, draws.z, center, coordinates, draws.log_p))
    if not max(k, draws.k) < RELIABLE:
        return refused(B2, coordinates, f"importance weights are unreliable (Pareto k-hat {max(k, draws.k):.2f})")
    values = total / 2 / draws.sd_low[index]
    return judged(B2, coordinates, values, (premise, _seen(k, draws)), f"{len(z)} weighted draws with Hessians")


def _average_weights(draws: WeightedDraws, points: Mirrored) -> Tensor:
    """Log weights towards sqrt(p p o g), for even functions."""
    proposal = torch.logaddexp(draws.log_proposal(points.z), draws.log_proposal(points.image))
    return (points.log_p + points.log_image) / 2 - proposal


def _signs(dim: int, coordinates: Sequence[int]) -> Tensor:
    signs = torch.ones(dim, dtype=torch.float64)
    signs[torch.tensor(tuple(coordinates))] = -1.0
    return signs


def _invariant(precision: Tensor, coordinates: Sequence[int]) -> Tensor:
    """M, if the reflection keeps it: its blocks between J and the rest must vanish."""
    precision = precision.to(torch.float64)
    sign = _signs(len(precision), coordinates)
    if not torch.allclose(precision * sign[:, None] * sign, precision, atol=1e-12 * float(precision.abs().max())):
        raise ValueError(
            "expected a precision without entries between reflected and other coordinates, got some, because the "
            "mirror image must be as concave; try its least eigenvalue times the identity"
        )
    return precision


def _norms(vectors: Tensor, precision: Tensor) -> Tensor:
    low = torch.linalg.cholesky(precision)
    return torch.linalg.solve_triangular(low, vectors.mT, upper=False).square().sum(0)


def _upper(weights: Tensor, squares: Tensor) -> float:
    mean, se = weighted_mean(weights, squares)
    return float(mean + 3 * se)


def _seen(k: float, draws: WeightedDraws) -> Premise:
    worst = max(k, draws.k)
    return Premise(SUPPORT, Evidence.VERIFIED, f"Pareto k-hat {worst:.2f} < {RELIABLE} on {len(draws.z)} draws")
