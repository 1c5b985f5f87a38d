"""Following hidden units through a traced network: what every reading of an operation stands on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..._layout import Layout
from .._activations import read_activation
from . import _operations as ops
from ._signals import Candidate, Claims, Signal

#: Modules whose parameters belong to the units that enter them.
_UNITLESS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.PReLU)


class NetworkTracer(fx.Tracer):
    """Opens every module but those of torch.nn and the activations that are known."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # read before tracing, which replaces how modules are called
        self._known = {id(m) for m in network.modules() if read_activation(m) is not None}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return id(m) in self._known or super().is_leaf_module(m, module_qualified_name)


def is_transposition(node: fx.Node) -> bool:
    """Whether a node is the transpose of a matrix that is read from the module."""
    inputs = node.all_input_nodes
    if len(inputs) != 1 or inputs[0].op != "get_attr":
        return False
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] in ("T", "mT")
    if node.op != "call_method" and node.target not in (torch.t, torch.transpose):
        return False
    swapped = sorted(str(a) for a in node.args[1:])
    return ops.name_of(node.target) == "t" or (
        ops.name_of(node.target) == "transpose" and swapped in (["0", "1"], ["-1", "-2"])
    )


class Following(fx.Interpreter):
    """Runs a traced network on a few rows; ``candidates`` holds the layers of units met so far."""

    def __init__(self, network: nn.Module, layout: Layout) -> None:
        graph = NetworkTracer(network).trace(network)
        super().__init__(fx.GraphModule(network, graph))
        self.layout = layout
        self.candidates: list[Candidate] = []
        self._units = 0
        self._signals: dict[fx.Node, Signal] = {}
        self._names = {id(p): name for name, p in network.named_parameters()}
        self._uses: Counter[int] = Counter()
        for node in graph.nodes:
            if node.op == "call_module":
                self._uses.update(id(p) for p in self.fetch_attr(node.target).parameters())
            elif node.op == "get_attr" and isinstance(found := self.fetch_attr(node.target), nn.Parameter):
                self._uses[id(found)] += sum(len(user.users) if is_transposition(user) else 1 for user in node.users)

    def unused(self, network: nn.Module) -> list[str]:
        """Names of trainable parameters that the network never uses."""
        return [name for name, p in network.named_parameters() if p.requires_grad and not self._uses[id(p)]]

    def _opaque(self, n: fx.Node, inputs: list[Signal], reason: str, *, harmless: bool = False) -> Signal | None:
        """Give up on all units that enter an operation; its result carries none."""
        claims = {s: c for signal in inputs for s, c in signal.claims.items()}
        for number in claims:
            self.candidates[number].spoil(reason, harmless=harmless)
        found: list[Any] = []
        if n.op == "call_module":
            module = self.fetch_attr(str(n.target))
            if not (inputs and isinstance(module, _UNITLESS)):
                found = [name for name, p in module.named_parameters() if p.requires_grad]
        found += [a.target for a in n.all_input_nodes if a.op == "get_attr" and self._trainable(str(a.target))]
        if found:
            self._new(str(n.target) if n.op == "call_module" else str(found[0]), 0).spoil(reason, harmless=harmless)
            claims[len(self.candidates) - 1] = Claims()
        return Signal(None, claims) if claims else None

    # -- helpers ---------------------------------------------------------------------------------------------------
    def _new(self, name: str, units: int) -> Candidate:
        candidate = Candidate(name, self._units, units)
        self._units += units
        self.candidates.append(candidate)
        return candidate

    def _parameter(self, node: Any) -> tuple[Tensor, bool] | None:
        """The parameter that a node reads, and whether it is transposed; None where it is computed."""
        transposed = isinstance(node, fx.Node) and is_transposition(node)
        node = node.all_input_nodes[0] if transposed else node
        if not (isinstance(node, fx.Node) and node.op == "get_attr"):
            return None
        found = self.fetch_attr(str(node.target))
        return (found, transposed) if isinstance(found, nn.Parameter) else None

    def _trainable(self, target: str) -> bool:
        found = self.fetch_attr(target)
        return isinstance(found, nn.Parameter) and found.requires_grad

    def _shared(self, parameter: Tensor) -> bool:
        return self._uses[id(parameter)] > 1

    def _index(self, parameter: Tensor) -> Tensor | None:
        """Places of the entries in the flat vector, in the parameter's shape; None where it is frozen."""
        name = self._names.get(id(parameter))
        if name is None or name not in self.layout.slices:
            return None
        place = self.layout.slices[name]
        return torch.arange(place.start, place.stop).reshape(parameter.shape)

    def _columns(self, candidate: Candidate, labels: Tensor) -> Tensor | None:
        """Places of the units among the labels, ``[h, r]``; None where the units have different numbers of places."""
        mine = (labels >= candidate.start) & (labels < candidate.start + candidate.units)
        places = mine.nonzero()[:, 0]
        if places.numel() == 0:
            return places
        unit = labels[places] - candidate.start
        counts = torch.bincount(unit, minlength=candidate.units)
        if bool((counts != counts[0]).any()):
            return None
        return places[unit.argsort(stable=True)].reshape(candidate.units, -1)
