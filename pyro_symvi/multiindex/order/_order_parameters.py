"""How far the units of draws have specialised on those of a reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ._align import align_units, check_draws
from ._overlap import overlap_matrix


@dataclass(frozen=True, eq=False)
class OrderParameters:
    r"""Overlaps Q of aligned draws with a reference, averaged over draws after alignment; see `order_parameters`.

    With Q = q_d I + (q_a / p) 1 1^T in mind: the diagonal is q_d + q_a / p and an off-diagonal entry q_a / p.

    Attributes:
        diagonal: Mean diagonal overlap of aligned units. Near 1: each unit of a draw is one of the reference.
        off_diagonal: Mean of the other entries (0 for one unit).
        specialisation: ``diagonal - off_diagonal``, the q_d of the ansatz: 0 when all units of a draw are alike.
        invariant4: Mean over draws of sum_kl Q_kl^4 / p, which needs no alignment: 1 when each unit of a draw is one of
            an orthonormal reference, p times the fourth power of the common overlap when all are alike.
        overlaps: Mean of Q over draws, ``[p, p]``: draw's unit, reference's unit.
        aligned: The aligned draws ``[*draws, p, d]``.
        diagonals: Mean diagonal of each draw, ``[*draws]``, for intervals.
    """

    diagonal: float
    off_diagonal: float
    invariant4: float
    overlaps: Tensor = field(repr=False)
    aligned: Tensor = field(repr=False)
    diagonals: Tensor = field(repr=False)

    @property
    def specialisation(self) -> float:
        """Diagonal minus off-diagonal."""
        return self.diagonal - self.off_diagonal


def order_parameters(weights: Tensor, reference: Tensor, group: Any, *, normalise: bool = True) -> OrderParameters:
    """Order parameters of draws ``[*draws, p, d]`` against a reference ``[p, d]``, modulo the group on the units.

    The reference is a teacher, where there is one, or one of the draws. Each draw is aligned first (`align_units`), the
    overlaps are averaged after. Never average raw weights over draws: all units of the mean are then alike, and it
    looks unspecialised whatever each draw is.

    Alignment takes the best of p! (or 2^p p!) labellings, so ``diagonal`` is above zero by chance: for unrelated units
    in d dimensions by sqrt(2 log p / d) at most, with signs by sqrt(2 / (pi d)) at least. Read it against that, or take
    ``invariant4``, 3 p / d^2 by chance.

    Args:
        weights: Draws, batch dimensions first, or one ``[p, d]``.
        reference: ``[p, d]``.
        group: As `symmetry_of` gives it.
        normalise: Whether overlaps are cosines; see `overlap_matrix`.

    Raises:
        TypeError: ``group`` exchanges no units.
        ValueError: Shapes that do not go together; no draws; entries that are not finite; a group on another
            number of units.

    Example:
        >>> import torch
        >>> from pyro_symvi.groups import SignedPermutations
        >>> teacher = torch.eye(2, 3, dtype=torch.float64)
        >>> draws = torch.stack([teacher, teacher.flip(0), -teacher])  # one committee of even units, three labellings
        >>> found = order_parameters(draws, teacher, SignedPermutations(2))
        >>> found.diagonal, found.off_diagonal, found.invariant4
        (1.0, 0.0, 1.0)
    """
    check_draws(weights, reference)
    if weights.numel() == 0:
        raise ValueError(f"expected draws, got shape {list(weights.shape)}, because averages need at least one")
    aligned = align_units(weights, reference, group, normalise=normalise)
    q = overlap_matrix(aligned, reference.to(aligned), normalise=normalise)
    units = q.shape[-1]
    own = q.diagonal(dim1=-2, dim2=-1)
    rest = q.sum((-2, -1)) - own.sum(-1)
    return OrderParameters(
        diagonal=float(own.mean()),
        off_diagonal=float(rest.mean()) / max(units * (units - 1), 1),
        invariant4=float((q**4).sum((-2, -1)).mean()) / units,
        overlaps=q.reshape(-1, units, units).mean(0),
        aligned=aligned,
        diagonals=own.mean(-1),
    )
