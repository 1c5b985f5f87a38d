"""The linear action by which a group moves the units."""

from __future__ import annotations

from typing import Any

import torch

from ...groups import (
    AffineAction,
    CoordinatePermutation,
    LinearAction,
    PermutationLike,
    SignedCoordinatePermutation,
    SignedPermutations,
)


def action_on(group: Any, size: int, name: str) -> LinearAction:
    """The action of a group on a unit axis of this length; a linear action is taken as it is.

    Raises:
        TypeError: A group that acts on no list of units.
        ValueError: Another length; an action that is not orthogonal about zero.
    """
    if isinstance(group, LinearAction):
        _require_linear(group)
        action, wanted = group, group.dim
    elif isinstance(group, SignedPermutations):
        action, wanted = SignedCoordinatePermutation(group.n), group.n
    elif isinstance(group, PermutationLike):
        action, wanted = CoordinatePermutation(group.degree, permutations=group), group.degree
    else:
        raise TypeError(
            f"expected a group of permutations or signed permutations of units, got {group!r}, because others act on "
            "no list of units; try a linear action of it, as NaturalAction(group)"
        )
    if wanted != size:
        raise ValueError(
            f"expected a unit axis of length {wanted} for {group!r}, got {size} at {name!r}; try axes={{{name!r}: ...}}"
        )
    return action


def _require_linear(action: LinearAction) -> None:
    """Orthogonal about zero: then the projections are orthogonal, and zero is where the parts meet."""
    if isinstance(action, AffineAction) and not (action.is_bound and not bool(torch.as_tensor(action.center).any())):
        raise ValueError(
            f"expected an action about zero on a space of known dimension, got {action!r}, because parts are taken of "
            "the parameters themselves; try .bind(dim, 0.0) and parameters relative to the centre"
        )
    matrices = action.generator_matrices()
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    if len(matrices) and float((matrices.mT @ matrices - identity).abs().max()) > 1e-9:
        raise ValueError(
            f"expected an action by orthogonal matrices, got {action!r}, because the Hessian's parts are orthogonal "
            "for these alone; try parameters in which it is orthogonal"
        )


def without_signs(action: LinearAction) -> CoordinatePermutation:
    """The permutation of the same units or blocks, signs left out."""
    return CoordinatePermutation(action.dim or 0, getattr(action, "blocks", None))
