"""Facts on single operations: whether they write in place, where their weights come from, why they are refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from ._signal import Signal, Weights

_CURVED: tuple[str, ...] = (
    "gelu",
    "silu",
    "elu",
    "celu",
    "selu",
    "mish",
    "softplus",
    "relu6",
    "hardtanh",
    "tanh",
    "sigmoid",
    "softmax",
)
_CURVED += ("log_softmax", "logsoftmax", "hardswish", "hardsigmoid", "logsigmoid", "softsign", "glu", "exp", "log")


def why_refused(name: str) -> str:
    """Why an operation of this name is refused."""
    short = name.lower()
    if short in _CURVED:
        return f"{short}(c x) is not c {short}(x)"
    return "it does not commute with positive scaling, or is not known here"


def unread(handler: Callable[..., Any] | None, flow: Any, args: Any, kwargs: Any) -> str:
    """Which arguments a handler does not take, in words; empty where it takes all."""
    if handler is None:
        return ""
    try:
        inspect.signature(handler).bind(flow, *args, **kwargs)
    except TypeError as error:
        return f"its arguments are not read here ({error})"
    return ""


def blank(value: Any) -> Any:
    if isinstance(value, Signal):
        return torch.zeros(value.units.shape)
    return torch.zeros(value.entries.shape) if isinstance(value, Weights) else value


def writes(node: fx.Node | None, function: Any, kwargs: Any) -> bool:
    """Whether an operation works in place."""
    if isinstance(function, nn.Module):
        return bool(getattr(function, "inplace", False))
    name = node.target if node is not None and isinstance(node.target, str) else getattr(function, "__name__", "")
    in_place = (name.endswith("_") and not name.endswith("__")) or name in _IN_PLACE
    return in_place or bool(kwargs.get("inplace")) or "out" in kwargs


_IN_PLACE = ("iadd", "isub", "imul", "itruediv", "__iadd__", "__isub__", "__imul__", "__itruediv__")


def runner(module: nn.Module) -> Callable[..., Any]:
    """A module as a function of its inputs and of parameters that it does not look at."""

    def run(inputs: Any, _: Any, **options: Any) -> Any:
        dtype = next((p.dtype for p in module.parameters()), torch.float32)
        return module(*(x.to(dtype) if isinstance(x, Tensor) else x for x in inputs), **options)

    return run


def computed(module: nn.Module) -> str:
    """Why the weights of a layer are not its parameters; empty where they are."""
    if parametrize.is_parametrized(module):
        return "its weights are computed by a parametrization; try torch.nn.utils.parametrize.remove_parametrizations"
    for name in ("weight", "bias"):
        value = getattr(module, name, None)
        if isinstance(value, Tensor) and name not in module._parameters and name not in module._buffers:
            return f"its {name} is computed by a hook (weight_norm, pruning); try the remove function of that hook"
    return ""
