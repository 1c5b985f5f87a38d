"""Reading a module as a chain of linear maps and activations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from .._value import Value
from ._activations import IDENTITY, Activation, read_activation


@dataclass(frozen=True, eq=False, repr=False)
class LinearStage(Value):
    """One linear map h -> W h + b, then an activation; ``weight`` ``[outputs, inputs]`` and ``bias`` are names."""

    weight: str
    bias: str | None
    inputs: int
    outputs: int
    activation: Activation


@dataclass(frozen=True, eq=False, repr=False)
class Perceptron(Value):
    """A multilayer perceptron: its stages, first to last; the last has the identity as activation."""

    stages: Sequence[LinearStage]

    @property
    def widths(self) -> tuple[int, ...]:
        """Inputs, hidden widths, outputs."""
        return (self.stages[0].inputs, *(stage.outputs for stage in self.stages))

    @staticmethod
    def of(network: nn.Module) -> Perceptron | None:
        """The perceptron that a module is, or None where it is something else (or not known to be one).

        Read: ``torch.nn.Linear`` alone, and (nested) ``torch.nn.Sequential`` of linear layers and activations, with
        ``torch.nn.Flatten`` before the first. All parameters must be trainable and none may be shared.
        """
        stages: list[LinearStage] = []
        pending: tuple[str, nn.Linear] | None = None
        seen: set[int] = set()
        for name, module in _chain(network, ""):
            if type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1) and pending is None:
                continue
            if type(module) is nn.Linear:
                parameters = list(module.parameters())
                if any(id(p) in seen or not p.requires_grad for p in parameters) or hasattr(module, "parametrizations"):
                    return None
                seen.update(id(p) for p in parameters)
                if pending is not None:
                    stages.append(_stage(*pending, IDENTITY))
                pending = (name, module)
                continue
            activation = read_activation(module)
            if activation is None or pending is None:
                return None
            stages.append(_stage(*pending, activation))
            pending = None
        if pending is None:
            return None
        stages.append(_stage(*pending, IDENTITY))
        for before, after in itertools.pairwise(stages):
            if before.outputs != after.inputs:
                return None
        return Perceptron(tuple(stages))


def _stage(name: str, module: nn.Linear, activation: Activation) -> LinearStage:
    prefix = f"{name}." if name else ""
    bias = None if module.bias is None else f"{prefix}bias"
    return LinearStage(f"{prefix}weight", bias, module.in_features, module.out_features, activation)


def _chain(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """Modules in the order they are applied, nested sequences opened."""
    if type(module) is nn.Sequential:
        for key, child in module.named_children():
            yield from _chain(child, f"{name}.{key}" if name else key)
    else:
        yield name, module
