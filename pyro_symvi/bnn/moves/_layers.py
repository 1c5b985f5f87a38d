"""What moves need to know of the symmetry of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ...groups import HiddenLayer
from .._posterior import NetworkPosterior
from ..samplers import Target


class UnitLayer(Protocol):
    """One layer of hidden units and what may be done to them."""

    @property
    def name(self) -> str: ...

    @property
    def units(self) -> HiddenLayer: ...

    @property
    def degree(self) -> float | None:
        """K of the rescaling (incoming times c, outgoing times c^-k), None where there is none."""

    @property
    def odd(self) -> bool:
        """Whether all signs of a unit may be flipped."""

    @property
    def permutable(self) -> bool:
        """Whether units may be permuted."""


class Symmetry(Protocol):
    """A ``NetworkSymmetry`` is one."""

    @property
    def layers(self) -> Sequence[UnitLayer]: ...


def posterior_of(target: Target, symmetry: Symmetry, move: str) -> NetworkPosterior:
    """The target, if it is the posterior of a network that the symmetry is of."""
    if not isinstance(target, NetworkPosterior):
        raise TypeError(f"expected a NetworkPosterior as the target of {move}, got {type(target).__name__}")
    dims = {layer.units.dim for layer in symmetry.layers}
    if not dims <= {target.layout.dim, target.layout.network_dim}:
        raise ValueError(
            f"expected the symmetry of a network with {target.layout.network_dim} weights, got one with "
            f"{sorted(dims)}; try NetworkSymmetry.from_module(network) on the network of the posterior"
        )
    return target


def places(layer: UnitLayer, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices of weights into (bias included) and out of each unit, ``[h, p]`` and ``[h, q]``."""
    return layer.units.incoming_index.to(device), layer.units.outgoing_index.to(device)
