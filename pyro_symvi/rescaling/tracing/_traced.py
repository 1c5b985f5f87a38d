"""A network as a graph, with the action of positive scalings on its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn

from ..._layout import Layout
from ...groups import NetworkRescaling
from ._flow import Refusal, UnitFlow
from ._graph import evaluating, symbolic_graph
from ._units import FIXED


@dataclass(frozen=True)
class UnitBlock:
    """The units that one layer makes.

    Attributes:
        name: of the layer.
        scales: index of the free scale of each unit ``[count]``, -1 where it is fixed to one.
        reason: why units are fixed; empty where none is.
    """

    name: str
    scales: Tensor
    reason: str = ""

    @property
    def fixed(self) -> int:
        """How many of the units have scale one."""
        return int((self.scales < 0).sum())


@dataclass(frozen=True)
class TracedNetwork:
    """What tracing found.

    Attributes:
        graph: the traced network; it shares modules (and so parameters) with the network given.
        input_shapes: shapes of the inputs, batch axis of one included.
        layout: places of the parameters in the flat vector.
        action: positive scalings on the flat vector.
        blocks: the units, layer by layer.
        batch_norm: how batch normalisation was read, "barrier" or "folded".
        buffers: buffers that have a scale (running means, where folded): name to the index of the free scale of each
            entry, -1 where it has none.
        refused: operations that do not commute with scaling, whose inputs were left at scale one.
        shared: parameters that are used more than once.
    """

    graph: fx.GraphModule
    input_shapes: tuple[tuple[int, ...], ...]
    layout: Layout
    action: NetworkRescaling
    blocks: tuple[UnitBlock, ...]
    batch_norm: str = "barrier"
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()
    shared: tuple[str, ...] = ()


def _used(flow: UnitFlow) -> Tensor:
    """The index of each unit's free scale, -1 where it has none; scales that move no parameter are not counted."""
    scales, count = flow.table.compressed()
    moved = torch.zeros(count + 1, dtype=torch.bool)
    for units in (flow.enters, flow.leaves):
        moved[scales[torch.clamp(units[1:], min=FIXED)]] = True
    moved[-1] = False  # -1 reads the last one
    return torch.where(moved, torch.cumsum(moved, 0) - 1, -1)[scales]


def trace_network(
    network: nn.Module,
    input_shapes: tuple[tuple[int, ...], ...],
    *,
    batch_norm: str = "barrier",
    unsupported: str = "raise",
) -> TracedNetwork:
    """Follow the units of a network from its inputs (shapes with a batch axis of one) to its outputs."""
    with evaluating(network):
        graph = symbolic_graph(network, input_shapes)
        layout = Layout.of(network, frozen=True)
        flow = UnitFlow(graph, layout, batch_norm=batch_norm, skip=unsupported == "skip")
        with torch.no_grad():
            flow.run(*(torch.zeros(shape) for shape in input_shapes))
    scales = _used(flow)
    free = int(scales.max()) + 1
    enters, leaves = (scales[torch.clamp(t[1:], min=FIXED)] for t in (flow.enters, flow.leaves))
    degrees = torch.where(leaves >= 0, flow.degrees[1:], 1.0)
    action = NetworkRescaling(enters, leaves, free, None if bool((degrees == 1).all()) else degrees)
    reasons = flow.table.reasons()
    blocks = tuple(
        UnitBlock(name, scales[start : start + count], "; ".join(reasons[start]))
        for name, start, count in flow.table.blocks
    )
    return TracedNetwork(
        graph,
        input_shapes,
        layout,
        action,
        blocks,
        batch_norm,
        {name: scales[units] for name, units in flow.buffers.items() if bool((scales[units] >= 0).any())},
        tuple(flow.refusals),
        tuple(name for name, count in flow.uses.items() if count > 1),
    )
