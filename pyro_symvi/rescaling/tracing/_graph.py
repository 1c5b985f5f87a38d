"""The graph of a network's operations, read without leaving a trace on the network."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import fx, nn

from ...groups import UnsupportedError

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode and without hooks, as it was afterwards."""
    modules = list(network.modules())
    modes = [m.training for m in modules]
    hooks = [{name: getattr(m, name) for name in _HOOKS} for m in modules]
    attributes, buffers = set(network.__dict__), set(network._buffers)
    try:
        for m in modules:
            m.training = False
            for name in _HOOKS:
                object.__setattr__(m, name, type(getattr(m, name))())
        yield
    finally:
        for name in set(network.__dict__) - attributes:  # torch.fx keeps constants there
            delattr(network, name)
        for name in set(network._buffers) - buffers:
            del network._buffers[name]
        for m, mode, kept in zip(modules, modes, hooks, strict=True):
            m.training = mode
            for name, value in kept.items():
                object.__setattr__(m, name, value)


class _Tracer(fx.Tracer):
    """Arguments of forward beyond the inputs that are given keep their defaults."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        function, args = super().create_args_for_root(root_fn, is_module, concrete_args)
        parameters = list(inspect.signature(root_fn).parameters.values())
        for i, parameter in enumerate(parameters[: len(args)]):
            if i > self.inputs and parameter.default is not parameter.empty and isinstance(args[i], fx.Proxy):
                self.graph.erase_node(args[i].node)
                args[i] = parameter.default
        return function, args


def symbolic_graph(network: nn.Module, inputs: int = 1) -> fx.GraphModule:
    """The operations of the forward pass (torch.fx); it shares modules and parameters with the network.

    Raises:
        UnsupportedError: A forward pass whose way depends on values, or that torch.fx cannot follow.
    """
    try:
        return fx.GraphModule(network, _Tracer(inputs).trace(network), type(network).__name__)
    except Exception as error:
        text = re.sub(r"\s+", " ", str(error))
        raise UnsupportedError(
            f"expected a forward pass that takes the same way for every input, got {type(network).__name__}, which "
            f"torch.fx cannot follow ({type(error).__name__}: {text}); try to move what depends on values or on sizes "
            "out of forward, or into a function marked by torch.fx.wrap"
        ) from error
