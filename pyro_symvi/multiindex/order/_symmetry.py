"""The symmetry of a separable committee, and how it moves a flat weight matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..._value import positive_int
from ...groups import (
    CoordinatePermutation,
    LinearAction,
    PermutationLike,
    SignedPermutations,
    SignedUnitPermutation,
    Symmetric,
)
from ..links import Link


def symmetry_of(activation: str | Callable[[Tensor], Tensor] | Link, units: int) -> Symmetric | SignedPermutations:
    """The group of permutations (and signs) of p units that leaves sum_k sigma(w_k . x) as it is.

    ``SignedPermutations(p)`` for even sigma (to 1e-12 of its size, see `Link.parity`), else ``Symmetric(p)``. An odd
    sigma has no sign symmetry here: sigma(-z) = -sigma(z) changes the sum, for lack of an output weight to absorb it.

    Example:
        >>> symmetry_of("relu", 3), symmetry_of("tanh", 3), symmetry_of("abs", 3)
        (Symmetric(3), Symmetric(3), SignedPermutations(3))
    """
    positive_int(units, "units")
    return SignedPermutations(units) if Link.of(activation).parity == "even" else Symmetric(units)


def unit_action(group: Any, units: int, dim: int) -> LinearAction:
    """The group on weights ``[units, dim]`` flattened row by row: a unit's row moves, and changes sign, as a whole.

    ``CoordinatePermutation`` for a group of permutations, ``SignedUnitPermutation`` for signed ones; serves as the
    action of an ``OrbitMixture`` where the weights are the guide's only site.

    Raises:
        TypeError: ``group`` is neither.
        ValueError: It moves another number of units.
    """
    positive_int(units, "units")
    positive_int(dim, "dim")
    if not isinstance(group, PermutationLike | SignedPermutations):
        raise TypeError(
            f"expected permutations or signed permutations, got {group!r}, because they exchange units; try "
            "symmetry_of(activation, units)"
        )
    degree = group.n if isinstance(group, SignedPermutations) else group.degree
    if degree != units:
        raise ValueError(f"expected a group on {units} units, got {group!r}; try symmetry_of(activation, {units})")
    blocks = [range(k * dim, (k + 1) * dim) for k in range(units)]
    if isinstance(group, SignedPermutations):
        return SignedUnitPermutation(units * dim, blocks)
    return CoordinatePermutation(units * dim, blocks, group)
