r"""B4: a reflection of some coordinates x about a centre c(y) that depends on the others, which stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...density import LogDensity
from ...density._importance import RELIABLE, WeightedDraws
from ..theorems import SUPPORT
from ..verdicts import Evidence, Premise
from ._bound import Bound, judged, refused
from ._orbits import mirrored, normalised, orbit_weights, weighted_mean
from .log_concave import residual_gradient
from .reflection import ReflectionBound, reflection_bound

NAME = "partial curvature bound B4"
Function = Callable[[Tensor], Tensor]


def conditional_reflection_bound(
    density: LogDensity, draws: WeightedDraws, center: Function, coordinates: Sequence[int]
) -> ReflectionBound:
    r"""B0 for :math:`E_p[x-c(y)]`, the reflection x to 2 c(y) - x, y kept: an involution of determinant one.

    It bounds the distance of E x from :math:`E_pc(y)`, not from a fitted value; :math:`E c(y)-\nu` is to be added, by
    quadrature where y is one coordinate (`conditional_gaussian_moments`).

    Args:
        density: The target.
        draws: Weighted draws.
        center: From ``z[n, d]`` to centres ``[n, d]`` (only the coordinates J of them are read); a function of y.
        coordinates: J, the coordinates of x.
    """
    return reflection_bound(density, draws, _free(center, draws.z, coordinates), coordinates)


def partial_curvature_bound(
    density: LogDensity,
    draws: WeightedDraws,
    center: Tensor,
    coordinates: Sequence[int],
    precision: Function,
    premise: Premise,
) -> Bound:
    r"""B4 for a constant centre: concavity in x alone, given y.

    .. math:: |E_p(x_j-c_j)|\le\tfrac12\sqrt{E_p(M(y)^{-1})_{jj}}\,\sqrt{E_p\|\nabla_xr\|^2_{M(y)^{-1}}}

    if the Hessian of -log p in x is at least M(y) for every x. B1 given y, and Cauchy-Schwarz over y; log p need not be
    concave in all coordinates together. VERIFIED at best.

    Args:
        density: The target.
        draws: Weighted draws.
        center: ``[d]``.
        coordinates: J, the coordinates of x.
        precision: From ``z[n, d]`` to M(y) ``[n, |J|, |J|]``; a function of y.
        premise: What M rests on.
    """
    index = torch.tensor(tuple(coordinates))
    points = mirrored(density, draws.z, center, coordinates, draws.log_p)
    log_w, k = orbit_weights(draws, points)
    worst = max(k, draws.k)
    if not worst < RELIABLE:
        return refused(NAME, coordinates, f"importance weights are unreliable (Pareto k-hat {worst:.2f})")
    inverse = torch.linalg.inv(_free(precision, draws.z, coordinates))
    gradient = residual_gradient(density, draws.z, center, coordinates)[:, index]
    weights = normalised(log_w)
    energy, energy_se = weighted_mean(weights, torch.einsum("ni,nij,nj->n", gradient, inverse, gradient))
    spread, spread_se = weighted_mean(weights, inverse.diagonal(dim1=-2, dim2=-1))
    values = ((spread + 3 * spread_se) * (energy + 3 * energy_se)).sqrt() / 2 / draws.sd_low[index]
    text = f"Pareto k-hat {worst:.2f} < {RELIABLE} on {len(draws.z)} draws"
    return judged(NAME, coordinates, values, (premise, Premise(SUPPORT, Evidence.VERIFIED, text)), "weighted draws")


def _free(function: Function, z: Tensor, coordinates: Sequence[int]) -> Tensor:
    """Its values, if they do not change with the coordinates reflected."""
    moved = z.clone()
    moved[:, torch.tensor(tuple(coordinates))] += 1.0
    values = function(z)
    if not torch.equal(values, function(moved)):
        raise ValueError(
            "expected a function of the coordinates that stay, got one that changes with those reflected, because the "
            "map must be an involution; try a constant"
        )
    return values
