r"""Weighted maximum likelihood of Student-t laws by iterative reweighting."""

from __future__ import annotations

import torch

from ...distributions.bases import StudentT
from ...families import LocationScale, LowRank, Parameters

_STEPS = 500
_SETTLED = 1e-13


def reweights(family: LocationScale) -> bool:
    """Whether `maximize_student` applies: a t base of fixed df whose scale has a closed form given the weights."""
    if not isinstance(family.law, StudentT) or family.learns_df or isinstance(family.pattern, LowRank):
        return False
    return family.law.spherical or family.pattern.name == "diagonal"


def maximize_student(family: LocationScale, z: torch.Tensor, weights: torch.Tensor, start: Parameters) -> Parameters:
    r"""Maximise :math:`\sum_i W_i\log q_\theta(z_i)` over location and scale of a Student-t(k) family.

    The t law is a scale mixture of normals; given the present parameters, the mean precision of draw i is

    .. math:: u_i = \frac{k + d}{k + r_i^2}, \qquad r_i = \lVert C^{-1}(z_i - \nu)\rVert,

    and the next location and scale are those of the normal law fitted with weights W u: the EM step, with the scatter
    divided by :math:`\sum_i W_iu_i` (its fixed points are the same, and it is much faster: Kent, Tyler & Vardi, 1994,
    "A curious likelihood identity for the multivariate t-distribution"; Meng & van Dyk, 1997). Every step raises the
    likelihood; for k >= 1 it has one maximum. In a product of univariate laws each coordinate has its own u, with
    d = 1.

    Args:
        family: One that `reweights`.
        z: Draws ``[n, d]``.
        weights: W ``[n]``, of sum one.
        start: Where to begin.

    Returns:
        The parameters where a step moves them by less than 1e-13 scales, or the last ones whose scale exists: where too
        much weight lies in a plane, the likelihood has no maximum and the scale shrinks without end.

    Raises:
        ValueError: Not even the first step has a scale: the weight is all on draws in a plane.
    """
    law, size = family.law, family.dim if family.law.spherical else 1
    df = law.df if isinstance(law, StudentT) else torch.inf
    z, weights = z[weights > 0], weights[weights > 0]
    loc, scale = start["loc"], start["scale"]
    matrix = family.matrix(scale)
    for _ in range(_STEPS):
        square = torch.linalg.solve(matrix, (z - loc).mT).mT.square()
        square = square.sum(-1, keepdim=True) if law.spherical else square
        share = weights[:, None] * (df + size) / (df + square)
        share = share / share.sum(0)
        next_loc = (share * z).sum(0)
        centred = z - next_loc
        scatter = (share * centred).mT @ centred  # its diagonal alone counts in a product
        next_scale = family.pattern.from_covariance(scatter)
        if next_scale is None or any(
            family.complaint(name, value) is not None for name, value in (("loc", next_loc), ("scale", next_scale))
        ):
            if scale is start["scale"]:
                raise ValueError(
                    f"expected weighted draws that span {family.dim} dimensions, got a singular scatter, because "
                    "nearly all weight is on a few of them; try more particles"
                )
            break
        next_matrix = family.matrix(next_scale)
        change = torch.linalg.solve(matrix, torch.cat([next_matrix - matrix, (next_loc - loc)[:, None]], 1))
        loc, scale, matrix = next_loc, next_scale, next_matrix
        if not float(change.abs().max()) > _SETTLED:
            break
    return {"loc": loc, "scale": scale}
