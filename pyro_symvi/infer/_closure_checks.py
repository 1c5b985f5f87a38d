"""What closing base samples under a group asks of the group, of the base law and of the scale."""

from __future__ import annotations

import torch
from torch import Tensor

from ..families import BlockDiagonal, Fixed, LocationScale, LowRank
from ..families._structure import are_orthogonal, are_sign_flips, are_signed_permutations
from ..families.scales import Diagonal, Full, Isotropic
from ..groups import AffineAction, LinearAction

LARGEST_GROUP = 1024
"""Orbits are listed whole; larger groups are refused in favour of a subgroup that pins as much."""


def is_finite_linear(action: object) -> bool:
    """Whether it is a linear action of a finite group, its dimension known or not."""
    if not isinstance(action, LinearAction):
        return False
    if isinstance(action, AffineAction) and action.dim is None:
        try:  # the size of the group may depend on the dimension; whether it is finite does not
            dim = 2 if action.coordinates is None else max(action.coordinates) + 1
            return action.bind(dim, center=0.0).group.is_finite
        except ValueError:
            return False  # a shape is open: rotations
    return action.group.is_finite


def element_matrices(action: LinearAction, dim: int, what: str) -> Tensor:
    """Linear parts of all elements about any centre, float64 ``[order, dim, dim]``; ``what`` names the space."""
    if isinstance(action, AffineAction):
        action = action.bind(dim, center=torch.zeros(dim, dtype=torch.float64))
    if action.dim != dim:
        raise ValueError(
            f"expected an action on the {dim} unconstrained coordinates of the {what}, got {action!r}, because it "
            f"moves the latent vector; try one with dim={dim}"
        )
    return action.matrix(action.group.elements(dtype=torch.float64))


def wrong_base(symmetry: object) -> ValueError:
    """The refusal of a base law that the group does not leave as it is."""
    return ValueError(
        f"expected a base law that is invariant under {symmetry!r}, got one that is not, because images "
        'of its draws would follow another law; try base="normal", or a permutation'
    )


def wrong_scale(symmetry: object) -> ValueError:
    """The refusal of a scale that does not commute with the group at symmetric parameters."""
    return ValueError(
        f"expected a scale that commutes with {symmetry!r}, got one that depends on the order of the "
        "coordinates, because the closed noise would not make the objective symmetric; try scale='diagonal', "
        "'isotropic', Tied(action), or for a full scale its symmetric root Tied(PointReflection())"
    )


def require_invariant(family: LocationScale, matrices: Tensor, symmetry: object) -> None:
    r"""Refuse a family for which closed samples would not make a symmetric objective.

    :math:`z=\nu+C\xi` with samples closed under :math:`A`: the objective is unchanged by
    :math:`(\nu, C)\mapsto(A\nu, ACA^T)`, if the base law is invariant and :math:`ACA^T` is in the pattern again. For a
    Cholesky factor it is for sign flips only; for a diagonal, low-rank or tied scale (a symmetric root) for signed
    permutations or whatever normalises the tie.

    Raises:
        ValueError: The base law is not invariant; the scale's pattern is not kept.
    """
    if not are_orthogonal(matrices) or not (family.spherical or are_signed_permutations(matrices)):
        raise wrong_base(symmetry)
    if not _keeps_pattern(family, matrices):
        raise wrong_scale(symmetry)


def _keeps_pattern(family: LocationScale, matrices: Tensor) -> bool:
    """Whether A C A^T is in the pattern for all its C."""
    pattern = family.pattern
    if isinstance(pattern, Fixed):
        c = family.matrix(pattern.initial(family.dim, 1.0, matrices))
        return bool(torch.allclose(matrices @ c @ matrices.mT, c, rtol=1e-10, atol=1e-12 * float(c.abs().max())))
    if isinstance(pattern, (Full, BlockDiagonal)):
        return are_sign_flips(matrices)
    if isinstance(pattern, Isotropic):
        return True
    if isinstance(pattern, (Diagonal, LowRank)):
        return are_signed_permutations(matrices)
    return bool(pattern.closure(matrices, spherical=True))  # symmetric matrices that commute with another group
