"""What becomes of the units of a network on the way through it, operation by operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from ...groups import UnsupportedError
from ._units import FIXED, UnitTable


@dataclass(frozen=True)
class Signal:
    """The unit behind each entry of an activation.

    Attributes:
        units: unit numbers in the shape of the activation for one sample, ``[1, ...]``: moves of entries (reshape,
            permute, concatenate) act on it as they act on the activation.
        degree: k, where the entry scales as c^k.
    """

    units: Tensor
    degree: float = 1.0


@dataclass
class Use:
    """How one parameter is scaled: unit numbers that broadcast to its shape."""

    enters: Tensor
    leaves: Tensor
    degree: float = 1.0


class UnitFlow(fx.Interpreter):
    """Runs a traced network on unit numbers in place of activations."""

    def __init__(self, graph: fx.GraphModule, table: UnitTable, names: dict[int, str]) -> None:
        super().__init__(graph, garbage_collect_values=False)
        self.table = table
        self.names = names  # id of a parameter to its name
        self.uses: dict[str, Use] = {}

    def use(self, parameter: Tensor | None, enters: Tensor, leaves: Tensor, degree: float = 1.0) -> None:
        """The parameter leads from units into units; a second use of it ties the units of both."""
        if parameter is None:
            return
        name = self.names[id(parameter)]
        known = self.uses.get(name)
        if known is None:
            self.uses[name] = Use(enters, leaves, degree)
        else:
            self.table.tie(known.enters, enters)
            self.table.tie(known.leaves, leaves)

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Signal:
        value: Tensor = super().placeholder(target, args, kwargs)
        return Signal(torch.full(value.shape, FIXED))

    def output(self, target: Any, args: Any, kwargs: Any) -> Any:
        (signal,) = args
        self.table.pin("output", signal.units, "it is an output of the network")
        return signal

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module, signal = self.fetch_attr(str(target)), args[0]
        if isinstance(module, nn.Linear):
            return self._linear(module, str(target), signal)
        if isinstance(module, nn.ReLU | nn.Identity | nn.Dropout):
            return signal
        if isinstance(module, nn.Flatten):
            return Signal(module(signal.units), signal.degree)
        raise UnsupportedError(f"expected layers that are known, got {type(module).__name__} at {target!r}")

    def _linear(self, module: nn.Linear, name: str, signal: Signal) -> Signal:
        rows = signal.units.reshape(-1, module.in_features)
        self.table.tie(rows, rows[0])
        units = self.table.fresh(name, module.out_features)
        self.use(module.weight, units[:, None], rows[0][None, :], signal.degree)
        self.use(module.bias, units, torch.tensor(FIXED))
        return Signal(units.expand(*signal.units.shape[:-1], -1))
