"""What runs through the graph in place of activations and of parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ._units import FIXED


@dataclass(frozen=True)
class Signal:
    """The unit behind each entry of an activation.

    Attributes:
        units: unit numbers in the shape of the activation for one sample, ``[1, ...]``: moves of entries (reshape,
            permute, concatenate) act on it as they act on the activation.
        degree: k, where the entry scales as c^k.
        after: numbers of the operations before it that do not commute with scaling.
    """

    units: Tensor
    degree: float = 1.0
    after: frozenset[int] = frozenset()

    @staticmethod
    def fixed(shape: tuple[int, ...] | torch.Size) -> Signal:
        """A signal without a scale of its own."""
        return Signal(torch.tensor(FIXED).expand(shape))


@dataclass(frozen=True)
class Weights:
    """The parameter behind each entry of a tensor made of parameters alone.

    Attributes:
        entries: 1 + place in the flat vector, 0 for an entry that is zero.
        name: of the parameter.
    """

    entries: Tensor
    name: str


def signals(values: Any) -> list[Signal]:
    """All signals in nested arguments."""
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Signal)]


def weights(values: Any) -> list[Weights]:
    """All tensors of parameters in nested arguments."""
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Weights)]


def stand_in(value: Any) -> Any:
    """A tensor without content (on the meta device) of the shape of a signal or parameter; anything else as it is."""
    if isinstance(value, Signal):
        return torch.empty(value.units.shape, device="meta")
    if isinstance(value, Weights):
        return torch.empty(value.entries.shape, device="meta")
    return value.to(device="meta") if isinstance(value, Tensor) else value
