"""Units of draws brought into the order (and signs) of a reference."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ._overlap import unit_rows
from ._symmetry import unit_action


def align_units(samples: Tensor, reference: Tensor, group: Any, *, normalise: bool = True) -> Tensor:
    """Draws ``[*draws, p, d]``, each moved by the element of the group that brings it closest to ``reference [p, d]``.

    Closest: largest trace of the `overlap_matrix` (cosines, or products with ``normalise=False``, which is the smallest
    Euclidean distance). By the Hungarian algorithm (Kuhn 1955) for all (signed) permutations, signs by the sign of the
    overlap; by trying all elements for other groups of permutations. The lengths of the units are kept.

    Averages of weights mean something only after this: a posterior that its group leaves invariant has equal means for
    all units, and zero ones under sign flips, whatever was learnt.

    Raises:
        TypeError: ``group`` exchanges no units.
        ValueError: Shapes that do not go together; entries that are not finite; a group on another number of units.
    """
    check_draws(samples, reference)
    units, dim = reference.shape
    action = unit_action(group, units, dim)
    x, y = (unit_rows(samples), unit_rows(reference)) if normalise else (samples, reference)
    g = action.align(x.flatten(-2), y.flatten(-2).to(samples))
    return action.act(g, samples.flatten(-2)).reshape(samples.shape)


def check_draws(samples: Tensor, reference: Tensor) -> None:
    for name, value in (("draws", samples), ("a reference", reference)):
        if not isinstance(value, Tensor):
            raise TypeError(f"expected {name} as a tensor, got {type(value).__name__}; try torch.as_tensor(...)")
    if reference.ndim != 2 or samples.ndim < 2 or samples.shape[-2:] != reference.shape:
        raise ValueError(
            f"expected draws [*draws, p, d] and a reference [p, d], got {list(samples.shape)} and "
            f"{list(reference.shape)}, because each draw is compared with the reference unit by unit"
        )
    for name, values in (("draws", samples), ("reference", reference)):
        bad = int((~values.isfinite()).sum())
        if bad:
            raise ValueError(
                f"expected finite {name}, got {bad} entries that are not, because no unit can be matched with them; "
                "try it without the draws that have them"
            )
