"""Operations that move entries or repeat them: they are run on the unit numbers themselves."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from ._signal import Signal, Weights, signals, weights
from ._units import FIXED, ZERO

if TYPE_CHECKING:
    from ._flow import UnitFlow


def moving(function: Callable[..., Any], as_float: bool = False) -> Callable[..., Any]:
    """The handler of an operation that moves entries; padding gives zeros."""

    def handler(flow: UnitFlow, *args: Any, **kwargs: Any) -> Any:
        found, parameters = signals((args, kwargs)), weights((args, kwargs))
        if parameters and not found:
            numbers = pytree.tree_map(lambda v: v.entries if isinstance(v, Weights) else v, (args, kwargs))
            name = parameters[0].name
            return pytree.tree_map(lambda t: Weights(t, name), function(*numbers[0], **numbers[1]))
        degree = _degree(flow, found, parameters, args)
        numbers = pytree.tree_map(lambda v: _numbers(flow, v, as_float), (args, kwargs))
        result = function(*numbers[0], **numbers[1])
        return pytree.tree_map(lambda t: Signal(t.round().long(), degree) if torch.is_tensor(t) else t, result)

    return handler


def _degree(flow: UnitFlow, found: list[Signal], parameters: list[Weights], args: Any) -> float:
    from ._sums import common_degree

    terms = [*found, *(flow.signal(p) for p in parameters)] if parameters else found
    return common_degree(flow, *terms)[0].degree


def _numbers(flow: UnitFlow, value: Any, as_float: bool) -> Any:
    if isinstance(value, Signal | Weights):
        units = flow.signal(value).units
        return units.double() if as_float else units
    return value


def joining(function: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of concatenations, where constants are entries without scale."""
    move = moving(function)

    def handler(flow: UnitFlow, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        return move(flow, [flow.signal(t) for t in tensors], *args, **kwargs)

    return handler


def method(name: str) -> Callable[..., Any]:
    """A method of tensors as a function."""
    if name.startswith("view"):  # repeated numbers lie in memory in their own way
        return lambda this, *args, **kwargs: getattr(this.contiguous(), name)(*args, **kwargs)
    return lambda this, *args, **kwargs: getattr(this, name)(*args, **kwargs)


def pad(flow: UnitFlow, input: Any, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    """Zeros fit every scale; any other number fixes nothing but itself."""
    if mode != "constant":
        return moving(F.pad, as_float=True)(flow, input, pad, mode)
    edge = ZERO if value is None or value == 0 else FIXED
    return moving(lambda x: F.pad(x, pad, value=edge))(flow, input)


def same(flow: UnitFlow, input: Any, *_: Any, **__: Any) -> Any:
    """Another dtype, device or memory: the entries stay."""
    return input


def attribute(flow: UnitFlow, input: Any, name: str, *default: Any) -> Any:
    """``getattr`` on a tensor."""
    if isinstance(input, tuple):  # what max along an axis gives
        return input[("values", "indices").index(name)]
    if name in ("T", "mT", "data", "H", "mH"):
        return moving(lambda x: getattr(x, name))(flow, input)
    numbers = input.units if isinstance(input, Signal) else input.entries
    if name == "dtype":
        return flow.dtype
    return getattr(numbers, name, *default)


def item(flow: UnitFlow, input: Any, index: Any) -> Any:
    """Indexing of tensors and of lists of them."""
    if isinstance(input, Signal | Weights):
        if signals(index):
            flow.refuse("an index that depends on the input is not followed", (input, index))
            return Signal.fixed(flow.signal(input).units.shape)
        return moving(lambda x: x[index])(flow, input)
    return input[index]


def nothing(flow: UnitFlow, input: Any, *_: Any, **__: Any) -> Signal:
    """Zeros in the shape of the input."""
    return Signal(torch.full_like(flow.signal(input).units, ZERO))


def constant(flow: UnitFlow, input: Any, *_: Any, **__: Any) -> Signal:
    """Numbers in the shape of the input."""
    return Signal.fixed(flow.signal(input).units.shape)


def made(number: int) -> Callable[..., Any]:
    """The handler of ``x.new_zeros(shape)`` and ``x.new_ones(shape)``."""

    def handler(flow: UnitFlow, input: Any, *shape: Any, **_: Any) -> Signal:
        sizes = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return Signal(torch.full(tuple(sizes), number))

    return handler


def size(flow: UnitFlow, input: Any, *args: Any) -> Any:
    """Sizes are those of the numbers."""
    return (input.units if isinstance(input, Signal) else input.entries).size(*args)


_NAMES: tuple[str, ...] = (
    "reshape",
    "flatten",
    "unflatten",
    "permute",
    "transpose",
    "swapaxes",
    "swapdims",
    "movedim",
    "moveaxis",
    "t",
)
_NAMES += ("squeeze", "unsqueeze", "chunk", "split", "tensor_split", "unbind", "narrow", "select", "flip", "roll")
_NAMES += ("tile", "repeat_interleave", "tril", "triu", "diagonal", "adjoint", "ravel", "rot90", "fliplr", "flipud")
_SAME = ("contiguous", "clone", "detach", "to", "float", "double", "half", "type", "type_as", "cpu", "cuda")
_METHODS = ("view", "expand", "repeat", "unfold", "view_as", "expand_as", "reshape_as")
FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{getattr(torch, name): moving(getattr(torch, name)) for name in _NAMES},
    **{getattr(torch, name): joining(getattr(torch, name)) for name in ("cat", "concat", "stack", "hstack", "vstack")},
    **{f: moving(f) for f in (F.pixel_shuffle, F.pixel_unshuffle, F.channel_shuffle)},
    F.pad: pad,
    **{f: same for f in (torch.clone, torch.detach)},
    getattr: attribute,
    operator.getitem: item,
    torch.zeros_like: nothing,
    torch.ones_like: constant,
}
METHODS: dict[str, Callable[..., Any]] = {
    **{name: moving(method(name)) for name in (*_NAMES, *_METHODS)},
    **{name: same for name in _SAME},
    "size": size,
    "dim": lambda flow, x: size(flow, x).__len__(),
    "__getitem__": item,
    "new_zeros": made(ZERO),
    "new_ones": made(FIXED),
    "numel": lambda flow, x: size(flow, x).numel(),
}


def _as_module(flow: UnitFlow, module: nn.Module, input: Any) -> Any:
    return moving(module)(flow, input)


def _padding_module(flow: UnitFlow, module: Any, input: Any) -> Any:
    mode = next((m for m in ("reflect", "replicate", "circular") if m in type(module).__name__.lower()), None)
    return pad(flow, input, module.padding, mode or "constant", getattr(module, "value", 0))


MODULES: dict[type, Callable[..., Any]] = {
    **{kind: _as_module for kind in (nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle)},
    **{
        getattr(nn, f"{kind}Pad{d}d"): _padding_module
        for kind in ("Zero", "Constant", "Reflection", "Replication", "Circular")
        for d in (1, 2, 3)
    },
}
