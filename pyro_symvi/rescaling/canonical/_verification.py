"""Whether permuting units leaves the function of a network as it is, tried on numbers."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..tracing import TracedNetwork
from ._interchangeable import cycle_and_swap, interchangeable
from ._relabelling import Relabelling, UnitClass

_TOLERANCE = 1e-9
"""Of the largest output: what rounding in another order of summation may make."""

_INPUTS = 16
"""Random inputs, so that few units are dead at all of them."""


@dataclass(frozen=True)
class Unsorted:
    """Units that are left where they are.

    Attributes:
        units: their free scales.
        reason: why.
    """

    units: tuple[int, ...]
    reason: str


def permutable_units(network: TracedNetwork) -> tuple[Relabelling, tuple[UnitClass, ...], tuple[Unsorted, ...]]:
    """The entries by units, the classes of units that may be permuted, and the candidates that may not."""
    table = Relabelling.of(network)
    candidates = interchangeable(table)
    if not candidates:
        return table, (), ()
    trial = PermutationTrial(network, table)
    refusals = [trial.refusal(one) for one in candidates]
    kept = tuple(one for one, refusal in zip(candidates, refusals, strict=True) if not refusal)
    left = [
        Unsorted(tuple(np.unique(one.members).tolist()), refusal)
        for one, refusal in zip(candidates, refusals, strict=True)
        if refusal
    ]
    return table, kept, tuple(left)


class PermutationTrial:
    """A copy of a network in float64 and evaluation mode, with random parameters, buffers and inputs."""

    def __init__(self, network: TracedNetwork, table: Relabelling, *, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.network, self.table = network, table
        self.graph = copy.deepcopy(network.graph).double().cpu().eval()
        for buffer in self.graph.buffers():
            if buffer.is_floating_point():  # running statistics that differ from unit to unit
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator, dtype=torch.float64))
        values = {}
        for name, shape in zip(network.layout.names, network.layout.shapes, strict=True):
            spread = math.sqrt(2 / max(1, math.prod(shape[1:]))) if len(shape) > 1 else 0.5
            values[name] = spread * torch.randn(shape, generator=generator, dtype=torch.float64)
        self.theta = network.layout.flatten(values)
        self.inputs = [
            torch.randn(_INPUTS, *shape[1:], generator=generator, dtype=torch.float64) for shape in network.input_shapes
        ]
        self.outputs = self._outputs(self.theta)

    def refusal(self, one: UnitClass) -> str:
        """Why a class may not be permuted; empty where it may."""
        sources = []
        for order in cycle_and_swap(one.count):
            source = self.table.source(self.table.images([one], [order]))
            if source is None:
                return "the shapes of its weights do not allow it"
            sources.append(torch.from_numpy(source))
            if not self._change(self.theta[sources[-1]]) <= _TOLERANCE:
                return "the function changes: weights at scale one, or running statistics, would have to move along"
        into = torch.from_numpy(np.isin(self.table.heads, one.members))
        half = torch.where(into, self.theta[sources[0]], self.theta)  # a cycle of what leads into them alone
        if not self._change(half) > 1e3 * _TOLERANCE:
            return "nothing depends on its units where it was tried, so that nothing is shown"
        return ""

    def _change(self, theta: Tensor) -> float:
        """The largest change of an output, relative to the largest output."""
        change = (self._outputs(theta) - self.outputs).abs().max()
        return float(change / self.outputs.abs().max())

    def _outputs(self, theta: Tensor) -> Tensor:
        """One row a sample; samples go through one by one, since a graph may hold the batch size it was traced with."""
        parameters = self.network.layout.unflatten(theta)
        rows = []
        with torch.no_grad():
            for sample in zip(*self.inputs, strict=True):
                found = torch.func.functional_call(self.graph, parameters, tuple(x[None] for x in sample))
                rows.append(torch.cat([t.flatten() for t in _tensors(found)]))
        return torch.stack(rows)


def _tensors(found: object) -> list[Tensor]:
    if isinstance(found, Tensor):
        return [found]
    values = found.values() if isinstance(found, dict) else found
    return [t for one in values for t in _tensors(one)]  # type: ignore[attr-defined]
