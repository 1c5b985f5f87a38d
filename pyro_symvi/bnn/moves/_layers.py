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


@torch.no_grad()
def check_function(target: Target, symmetry: Symmetry, move: object) -> None:
    """Raise where a move changes what the network computes, at random weights: the symmetry is then of another one."""
    posterior = posterior_of(target, symmetry, type(move).__name__)
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(4, posterior.dim, generator=generator, dtype=torch.float64).to(posterior.x)
    rows = torch.randn(8, *posterior.x.shape[1:], generator=generator, dtype=torch.float64).to(posterior.x)
    x = torch.cat([posterior.x[:8], rows])
    generators = [torch.Generator(posterior.x.device).manual_seed(i) for i in range(len(theta))]
    moved, _ = move._move(posterior, theta, torch.zeros_like(theta), generators)  # type: ignore[attr-defined]
    before, after = posterior.outputs(theta, x), posterior.outputs(moved, x)
    change = float(((after - before).abs().amax((1, 2)) / before.abs().amax((1, 2)).clamp_min(1e-30)).max())
    if not change < 10 * torch.finfo(posterior.dtype).eps ** 0.5:
        raise ValueError(
            f"expected the symmetry of the network of the posterior, got one under which its outputs change by "
            f"{change:.1e} of their size, because the move would leave another law invariant; try "
            "NetworkSymmetry.of(posterior)"
        )


def places(layer: UnitLayer, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices of weights into (bias included) and out of each unit, ``[h, p]`` and ``[h, q]``."""
    return layer.units.incoming_index.to(device), layer.units.outgoing_index.to(device)
