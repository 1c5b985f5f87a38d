"""The graph of a network's operations, read without leaving a trace on the network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from torch import fx, nn

from ...groups import UnsupportedError

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode and without hooks, as it was afterwards."""
    modules = list(network.modules())
    modes = [m.training for m in modules]
    hooks = [{name: getattr(m, name) for name in _HOOKS} for m in modules]
    try:
        for m in modules:
            m.training = False
            for name in _HOOKS:
                object.__setattr__(m, name, type(getattr(m, name))())
        yield
    finally:
        for m, mode, kept in zip(modules, modes, hooks, strict=True):
            m.training = mode
            for name, value in kept.items():
                object.__setattr__(m, name, value)


def symbolic_graph(network: nn.Module) -> fx.GraphModule:
    """The operations of the forward pass (torch.fx); it shares modules and parameters with the network.

    Raises:
        UnsupportedError: A forward pass whose way depends on values, or that torch.fx cannot follow.
    """
    try:
        return fx.symbolic_trace(network)
    except Exception as error:
        text = re.sub(r"\s+", " ", str(error))
        raise UnsupportedError(
            f"expected a forward pass that takes the same way for every input, got {type(network).__name__}, which "
            f"torch.fx cannot follow ({type(error).__name__}: {text}); try to move what depends on values or on sizes "
            "out of forward, or into a function marked by torch.fx.wrap"
        ) from error
