"""Samples with targets whose behaviour under a group is known: the base of all data here."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from ...groups import Action, Group


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(ABC):
    """Samples ``[B, ...]`` with inputs, targets, and the actions that move both.

    To implement one, write a frozen dataclass whose tensors have the samples first, and give ``inputs``, ``targets``,
    ``rho_in``, ``rho_out``. ``spectrum(model, data.inputs, group, 3, rho_in=data.rho_in(group))`` and
    ``equivariance_error(model, data.inputs, group, data.rho_in(group), data.rho_out(group))`` then need no more.
    """

    groups: Tensor
    """Which of the ``names`` a sample belongs to, long ``[B]``: samples of one group are alike."""
    names: tuple[str, ...]

    @property
    @abstractmethod
    def inputs(self) -> dict[str, Tensor]:
        """What the model takes by keyword, samples first."""

    @property
    @abstractmethod
    def targets(self) -> Any:
        """A tensor ``[B, ...]``, or a dict of them."""

    @abstractmethod
    def rho_in(self, group: Group) -> dict[str, Action | None]:
        """The action on each input; None where the group leaves it as it is."""

    @abstractmethod
    def rho_out(self, group: Group) -> Any:
        """The action on the targets, in the structure of :attr:`targets`."""

    @property
    def shapes(self) -> Any:
        """Shape of one target: what the models here take as ``outputs``."""
        if isinstance(self.targets, dict):
            return {name: tuple(target.shape[1:]) for name, target in self.targets.items()}
        return tuple(self.targets.shape[1:])

    @property
    def scales(self) -> Any:
        """Root of the mean square of the targets' components: a number, or a dict of them; what models scale by."""
        if isinstance(self.targets, dict):
            return {name: _size(target) for name, target in self.targets.items()}
        return _size(self.targets)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._sizes()})"

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: Tensor | slice | Sequence[int]) -> Self:
        """The samples at ``index``: a slice, a list, a tensor of positions or of booleans."""
        if isinstance(index, int):
            index = slice(index, index + 1 or None)
        chosen = index if isinstance(index, slice) else torch.as_tensor(index, device=self.groups.device)
        return self._with({name: value[chosen] for name, value in self._tensors().items()})

    def to(self, place: torch.device | str | torch.dtype) -> Self:
        """On another device or in another floating dtype (integers and masks keep theirs)."""
        moved = {}
        for name, value in self._tensors().items():
            exact = isinstance(place, torch.dtype) and not value.is_floating_point()
            moved[name] = value if exact else value.to(place)
        return self._with(moved)

    def split(
        self, fractions: Sequence[float] = (0.8, 0.2), *, by_group: bool = False, seed: int = 0
    ) -> tuple[Self, ...]:
        """Disjoint random parts of these sizes.

        Args:
            fractions: of the samples, positive, at most 1 in sum (what is left over is left out).
            by_group: keep all samples of a group (all conformers of a molecule) in one part, and take fractions of
                the groups; otherwise every part has samples of every group.
            seed: of the shuffle.
        """
        parts = [float(f) for f in fractions]
        if not parts or min(parts) <= 0 or sum(parts) > 1 + 1e-9:
            raise ValueError(
                f"expected positive fractions with a sum of at most 1, got {list(fractions)}; try (0.8, 0.2)"
            )
        generator = torch.Generator().manual_seed(seed)
        groups = self.groups.cpu()
        if by_group:
            known = groups.unique()
            pieces = _pieces(known[torch.randperm(len(known), generator=generator)], parts)
            chosen = [torch.isin(groups, piece).nonzero().flatten() for piece in pieces]
        else:
            collected: list[list[Tensor]] = [[] for _ in parts]
            for group in groups.unique():
                members = (groups == group).nonzero().flatten()
                for k, piece in enumerate(_pieces(members[torch.randperm(len(members), generator=generator)], parts)):
                    collected[k].append(piece)
            chosen = [torch.cat(pieces).sort().values for pieces in collected]
        if any(len(piece) == 0 for piece in chosen):
            raise ValueError(
                f"expected parts with at least one sample, got sizes {[len(p) for p in chosen]} of {len(self)}; "
                "try other fractions or more samples"
            )
        return tuple(self[piece.to(self.groups.device)] for piece in chosen)

    def _with(self, fields: dict[str, Any]) -> Self:
        return replace(self, **fields)

    def _sizes(self) -> str:
        """How much there is of what, in a line."""
        return f"{len(self)} samples"

    @abstractmethod
    def _tensors(self) -> dict[str, Tensor]:
        """The fields with samples on their first axis."""


def _pieces(items: Tensor, fractions: Sequence[float]) -> list[Tensor]:
    edges = [0]
    for k in range(len(fractions)):
        edges.append(round(sum(fractions[: k + 1]) * len(items)))
    return [items[a:b] for a, b in itertools.pairwise(edges)]


def _size(target: Tensor) -> float:
    return float(target.double().square().mean().sqrt()) or 1.0
