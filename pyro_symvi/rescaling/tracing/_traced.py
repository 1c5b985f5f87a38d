"""A network as a graph, with the action of positive scalings on its parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from ..._layout import Layout
from ...groups import NetworkRescaling
from ._flow import UnitFlow
from ._units import UnitTable


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


@dataclass(frozen=True)
class TracedNetwork:
    """What tracing found.

    Attributes:
        graph: the traced network; it shares modules (and so parameters) with the network given.
        input_shapes: shapes of the inputs, batch axis of one included.
        layout: places of the parameters in the flat vector.
        action: positive scalings on the flat vector.
        blocks: the units, layer by layer.
    """

    graph: fx.GraphModule
    input_shapes: tuple[tuple[int, ...], ...]
    layout: Layout
    action: NetworkRescaling
    blocks: tuple[UnitBlock, ...]


def trace_network(network: nn.Module, input_shapes: tuple[tuple[int, ...], ...]) -> TracedNetwork:
    """Follow the units of a network from its inputs (shapes with a batch axis of one) to its outputs."""
    graph = fx.symbolic_trace(network)
    layout = Layout.of(network, frozen=True)
    table = UnitTable()
    flow = UnitFlow(graph, table, {id(p): name for name, p in network.named_parameters()})
    with torch.no_grad():
        flow.run(*(torch.zeros(shape) for shape in input_shapes))
    scales, free = table.compressed()
    enters, leaves, degrees = [], [], []
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        use = flow.uses[name]
        enters.append(scales[use.enters].expand(shape).reshape(-1))
        leaves.append(scales[use.leaves].expand(shape).reshape(-1))
        degrees.append(torch.full((enters[-1].numel(),), use.degree, dtype=torch.float64))
    degree = torch.cat(degrees)
    action = NetworkRescaling(torch.cat(enters), torch.cat(leaves), free, None if bool((degree == 1).all()) else degree)
    blocks = tuple(UnitBlock(name, scales[start : start + count]) for name, start, count in table.names)
    return TracedNetwork(graph, input_shapes, layout, action, blocks)
