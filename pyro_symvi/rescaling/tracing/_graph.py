"""The graph of a network's operations, read without leaving a trace on the network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import fx, nn

from ...groups import UnsupportedError
from ._tracers import InputTracer, SizedTracer

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


def symbolic_graph(network: nn.Module, shapes: Sequence[tuple[int, ...]]) -> fx.GraphModule:
    """The operations of the forward pass (torch.fx); it shares modules and parameters with the network.

    Where forward asks for sizes to choose its way (``x.dim() == 4``), these are numbers: those of a batch of one.

    Raises:
        UnsupportedError: A forward pass whose way depends on values, or that torch.fx cannot follow.
    """
    try:
        try:
            traced = InputTracer(len(shapes)).trace(network)
        except Exception:  # forward may raise anything
            traced = SizedTracer(shapes).trace(network)
        return fx.GraphModule(network, traced, type(network).__name__)
    except Exception as error:
        text = re.sub(r"\s+", " ", str(error))
        advice = "move what depends on values out of forward, or into a function marked by torch.fx.wrap"
        if "item assignment" in text:
            advice = "torch.cat, torch.stack or torch.nn.functional.pad in place of x[...] = y"
        raise UnsupportedError(
            f"expected a forward pass that takes the same way for every input, got {type(network).__name__}, which "
            f"torch.fx cannot follow ({type(error).__name__}: {text}); try {advice}"
        ) from error
