"""What a symmetry pins, computed from the fixed subspaces of its linear parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...groups import LinearAction

_MOST_SECOND = 16
_ZERO = 1e-9


@dataclass(frozen=True)
class _Restricted(LinearAction):
    """An action on the coordinates that it moves, and one that it does not."""

    action: LinearAction
    index: tuple[int, ...]

    @property
    def group(self):  # type: ignore[no-untyped-def]
        return self.action.group

    @property
    def dim(self) -> int:
        return len(self.index)

    def _matrix(self, g: Tensor) -> Tensor:
        index = torch.tensor(self.index)
        return self.action.matrix(g)[..., index[:, None], index]

    def _frame(self) -> Tensor | None:
        frame = self.action._frame()
        if frame is None:
            return None
        index = torch.tensor(self.index)
        return frame[index[:, None], index]


@dataclass(frozen=True)
class Pins:
    """What an invariant law cannot choose freely, if the moments exist.

    Attributes:
        means: Coordinates whose mean is determined.
        contrasts: Number of independent linear combinations of the mean that are determined.
        correlations: Pairs whose correlation is determined.
        zero: Those of them whose covariance is zero.
        equal_means: Sets of coordinates with one common mean that is left open.
        free_covariances: Numbers left free in the covariance of the moved coordinates; None where not computed.
    """

    means: tuple[int, ...]
    contrasts: int
    correlations: tuple[tuple[int, int], ...] = ()
    zero: tuple[tuple[int, int], ...] = ()
    equal_means: tuple[tuple[int, ...], ...] = ()
    free_covariances: int | None = None
    apart: bool = False

    @property
    def rank(self) -> tuple[int, int, int]:
        """For ranking: combinations of the mean, then means, then correlations."""
        return (self.contrasts, len(self.means), len(self.correlations))

    def words(self, names: Sequence[str]) -> str:
        """In words, with the coordinates' names."""
        parts = []
        if self.means:
            parts.append(f"mean of {_listed(self.means, names)}")
        parts += [f"equal means of {_listed(block, names)}" for block in self.equal_means[:3]]
        others = self.contrasts - len(self.means) - sum(len(b) - 1 for b in self.equal_means)
        if others > 0:
            parts.append(f"{others} linear combination{'s' if others > 1 else ''} of the mean")
        full = [p for p in self.correlations if p not in self.zero]
        if full:
            parts.append(f"{len(full)} correlation{'s' if len(full) > 1 else ''}")
        if self.zero:
            parts.append(f"{len(self.zero)} covariance{'s' if len(self.zero) > 1 else ''} zero")
        if self.apart:
            parts.append("no covariance with the other coordinates")
        return "; ".join(parts) if parts else "no mean or correlation"


def _listed(indices: Sequence[int], names: Sequence[str]) -> str:
    shown = [names[i] for i in indices]
    return ", ".join(shown) if len(shown) <= 4 else f"{shown[0]}, ..., {shown[-1]} ({len(shown)})"


def pins_of(action: LinearAction, moved: tuple[int, ...], dim: int) -> Pins:
    """Computed on the moved coordinates and, where there are others, one of those.

    Coordinates that the centre depends on (of a conditional reflection) count as involved.
    """
    involved = set(moved)
    matrices = action.generator_matrices()
    for row in moved:
        involved |= set((matrices[:, row].abs() > 1e-12).any(0).nonzero()[:, 0].tolist())
    outside = [i for i in range(dim) if i not in involved]
    index = tuple(sorted(involved)) + tuple(outside[:1])
    restricted = _Restricted(action, index)
    fixed = restricted.fixed_subspace()
    zero_rows = fixed.abs().amax(-1) < _ZERO if fixed.shape[1] else torch.ones(len(index), dtype=torch.bool)
    means = tuple(i for i, z in zip(index, zero_rows.tolist(), strict=True) if z)
    contrasts = len(index) - fixed.shape[1]
    equal = _equal_rows(fixed, index, means)
    if len(index) > _MOST_SECOND + 1:
        return Pins(means, contrasts, equal_means=equal)
    basis = restricted.symmetric_square_fixed_subspace()
    correlations, zero = _correlations(basis, index, set(involved))
    apart = bool(outside) and bool((basis[:, -1, :-1].abs() < _ZERO).all()) if len(basis) else bool(outside)
    return Pins(means, contrasts, correlations, zero, equal, len(basis), apart)


def _equal_rows(fixed: Tensor, index: tuple[int, ...], means: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    left = [k for k, i in enumerate(index) if i not in means]
    found = []
    while left:
        first = left[0]
        alike = [k for k in left if float((fixed[k] - fixed[first]).abs().max()) < _ZERO]
        left = [k for k in left if k not in alike]
        if len(alike) > 1:
            found.append(tuple(index[k] for k in alike))
    return tuple(found)


def _correlations(
    basis: Tensor, index: tuple[int, ...], involved: set[int]
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    determined, zero = [], []
    for b in range(len(index)):
        for a in range(b):
            if not {index[a], index[b]} <= involved:
                continue
            entries = torch.stack([basis[:, a, a], basis[:, b, b], basis[:, a, b]], -1)
            if float(entries[:, 2].abs().max() if len(basis) else 0.0) < _ZERO:
                determined.append((index[a], index[b]))
                zero.append((index[a], index[b]))
            elif int((torch.linalg.svdvals(entries) > _ZERO).sum()) == 1:
                determined.append((index[a], index[b]))
    return tuple(determined), tuple(zero)
