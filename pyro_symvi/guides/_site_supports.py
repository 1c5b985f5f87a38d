"""The support of a site in a whole plate, from a run that saw a part of it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.distributions.constraints import Constraint


def in_full(support: Any, plates: Iterable[Any], event_dim: int, name: str) -> Any:
    """The support with its bounds taken as one for all members of each subsampled plate.

    Args:
        support: As met in a run.
        plates: The plates around the site in that run.
        event_dim: Event dimensions of the site's value.
        name: The site's, for messages.

    Raises:
        ValueError: The bounds differ between members, or one member alone was seen, so that this can't be told.
    """
    for plate in plates:
        full_size = plate.full_size or plate.size
        if plate.vectorized and 0 < plate.size < full_size:
            support = _narrowed(support, plate.dim - event_dim, f"site '{name}' in plate '{plate.name}'")
    return support


def _narrowed(support: Any, dim: int, where: str) -> Any:
    """A copy whose tensors have size 1 in a dimension along which they are constant."""
    if isinstance(support, Tensor):
        if support.ndim < -dim:
            return support
        if support.shape[dim] == 1 or bool((support != support.narrow(dim, 0, 1)).any()):
            raise ValueError(
                f"expected one support for all members at {where}, got one that depends on the member (or a minibatch "
                "of one, where this can't be told), because the guide's parameters are those of the whole plate; try "
                "the full plate"
            )
        return support.narrow(dim, 0, 1)
    if isinstance(support, Constraint) and vars(support):
        found = copy.copy(support)
        for key, value in vars(support).items():
            setattr(found, key, _narrowed(value, dim, where))
        return found
    if isinstance(support, list | tuple):
        return type(support)(_narrowed(value, dim, where) for value in support)
    return support
