"""Layers with weights: each output is a new unit, and each weight leads from a unit of the input into one of those."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._signal import Signal, Weights, stand_in
from ._windows import channels_alike, pad_like, per_dim, spread, windows

if TYPE_CHECKING:
    from ._flow import UnitFlow

SHARED = "one weight reads several units"


def linear(flow: UnitFlow, input: Any, weight: Any, bias: Any = None) -> Signal:
    """Rows of units that share a weight are tied; ``out`` new units, whatever the position."""
    signal = flow.signal(input)
    rows = signal.units.reshape(-1, signal.units.shape[-1])
    if isinstance(weight, Signal):
        return _between_signals(flow, F.linear, input, weight, bias)
    if not isinstance(weight, Weights):
        mixed = flow.table.merge(signal.units, (-1,), f"{flow.where()} mixes units by constant weights")
        return _biased(flow, Signal(mixed.expand(*signal.units.shape[:-1], len(weight)), signal.degree), bias)
    leaves = flow.table.merge(rows, (0,), SHARED)
    units = flow.fresh(weight, weight.entries.shape[0]) if weight.entries.ndim == 2 else None
    if units is None:  # one row, no output axis
        units = flow.fresh(weight, 1)
        flow.use(weight, units, leaves[0], signal.degree)
        return _biased(flow, Signal(units[0].expand(signal.units.shape[:-1])), bias)
    flow.use(weight, units[:, None], leaves, signal.degree)
    return _biased(flow, Signal(units.expand(*signal.units.shape[:-1], -1)), bias)


def _biased(flow: UnitFlow, signal: Signal, bias: Any) -> Signal:
    from ._sums import add

    return signal if bias is None else add(flow, signal, bias)


def _between_signals(flow: UnitFlow, function: Callable[..., Tensor], *values: Any) -> Signal:
    """A product of two signals, of which one has no scale: a mixture of the other by constants."""
    from ._sums import product_partner

    signal = product_partner(flow, values[0], values[1])
    shape = function(*(stand_in(v) for v in values)).shape
    one = flow.table.merge(signal.units, tuple(range(signal.units.ndim)), f"{flow.where()} mixes units by a signal")
    return _biased(flow, Signal(one.reshape(()).expand(shape), signal.degree), values[2] if len(values) > 2 else None)


def matmul(flow: UnitFlow, input: Any, other: Any) -> Signal:
    """A product of matrices: ``linear`` where one is a parameter matrix."""
    if isinstance(other, Weights) and other.entries.ndim <= 2 and isinstance(input, Signal):
        return linear(flow, input, Weights(other.entries.mT if other.entries.ndim == 2 else other.entries, other.name))
    if isinstance(input, Weights) and input.entries.ndim == 2 and isinstance(other, Signal) and other.units.ndim > 1:
        result = linear(flow, Signal(other.units.mT, other.degree), input)
        return Signal(result.units.mT, result.degree)
    if isinstance(other, Tensor) and other.ndim == 2 and isinstance(input, Signal):
        return linear(flow, input, other.mT)
    if isinstance(input, Weights) or isinstance(other, Weights):
        flow.refuse("products of stacks of matrices with parameters are not read", (input, other))
        return Signal.fixed(torch.matmul(stand_in(input), stand_in(other)).shape)
    return _between_signals(flow, torch.matmul, input, other)


def addmm(flow: UnitFlow, input: Any, mat1: Any, mat2: Any) -> Signal:
    """``input + mat1 @ mat2``."""
    return _biased(flow, matmul(flow, mat1, mat2), input)


def convolution(dims: int, transposed: bool = False) -> Callable[..., Signal]:
    """The handler of ``F.conv1d`` to ``F.conv_transpose3d``."""
    real = getattr(F, f"conv_transpose{dims}d" if transposed else f"conv{dims}d")

    def forward(
        flow: UnitFlow,
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Signal:
        signal = flow.signal(input)
        if isinstance(weight, Signal):
            return _between_signals(
                flow, lambda *v: real(*v[:2], None, stride, padding, dilation, groups), input, weight
            )
        shape = real(stand_in(signal), stand_in(weight), None, stride, padding, dilation, groups).shape
        size = tuple(weight.entries.shape if isinstance(weight, Weights) else weight.shape)
        reads = _reads(flow, signal.units, size, shape, stride, padding, dilation)
        if not isinstance(weight, Weights):
            flat = reads.flatten(1).reshape(groups, -1)
            mixed = flow.table.merge(flat, (1,), f"{flow.where()} mixes units by constant weights")[:, 0]
            units = mixed.repeat_interleave(size[0] // groups)
        else:
            units = flow.fresh(weight, size[0])
            reads = reads.reshape(groups, 1, -1, *reads.shape[1:]).expand(-1, size[0] // groups, *(-1,) * (dims + 1))
            flow.use(weight, units.reshape(-1, *(1,) * (dims + 1)), reads.flatten(0, 1), signal.degree)
        out = Signal(spread(units, shape, -dims - 1), 1.0 if isinstance(weight, Weights) else signal.degree)
        return _biased(flow, out, _along_channels(bias, dims))

    def backward(
        flow: UnitFlow,
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Signal:
        signal = flow.signal(input)
        options = (None, stride, padding, output_padding, groups, dilation)
        shape = real(stand_in(signal), stand_in(weight), *options).shape
        if not isinstance(weight, Weights):
            one = flow.table.merge(signal.units, tuple(range(signal.units.ndim)), f"{flow.where()} mixes units")
            return _biased(flow, Signal(one.reshape(()).expand(shape), signal.degree), _along_channels(bias, dims))
        axes = tuple(a for a in range(signal.units.ndim) if a != signal.units.ndim - dims - 1)
        leaves = flow.table.merge(signal.units, axes, SHARED).reshape(-1)
        size = weight.entries.shape
        units = flow.fresh(weight, size[1] * groups)
        enters = units.reshape(groups, 1, -1).expand(-1, size[0] // groups, -1).flatten(0, 1)
        ones = (1,) * dims
        flow.use(weight, enters.reshape(*enters.shape, *ones), leaves.reshape(-1, 1, *ones), signal.degree)
        return _biased(flow, Signal(spread(units, shape, -dims - 1)), _along_channels(bias, dims))

    return backward if transposed else forward


def _reads(
    flow: UnitFlow, units: Tensor, size: Sequence[int], shape: torch.Size, stride: Any, padding: Any, dilation: Any
) -> Tensor:
    """The unit that each input channel and place of the kernel reads, ``[C, *kernel]``, tied by shared weights."""
    kernel = tuple(size[2:])
    dims = len(kernel)
    alike = channels_alike(units, dims)
    if alike is not None:
        batched = alike.reshape(-1, alike.shape[-1])
        return flow.table.merge(batched, (0,), SHARED)[0].reshape(-1, *(1,) * dims).expand(-1, *kernel)
    steps, gaps = per_dim(stride, dims), per_dim(dilation, dims)
    if isinstance(padding, str):
        total = [g * (k - 1) if padding == "same" else 0 for g, k in zip(gaps, kernel, strict=True)]
        pads = tuple(t // 2 for t in total)
    else:
        pads = per_dim(padding, dims)
    view = windows(units, kernel, steps, pads, gaps, shape[-dims:])
    channel = view.ndim - 2 * dims - 1
    axes = (*range(channel), *range(channel + 1, channel + 1 + dims))
    return flow.table.merge(view, axes, SHARED).reshape(-1, *kernel)


def _along_channels(bias: Any, dims: int) -> Any:
    if isinstance(bias, Weights):
        return Weights(bias.entries.reshape(-1, *(1,) * dims), bias.name)
    return bias if bias is None else bias.reshape(-1, *(1,) * dims)


def linear_module(flow: UnitFlow, module: nn.Linear, input: Any) -> Signal:
    """``F.linear`` as a module."""
    return linear(flow, input, flow.lift(module.weight), flow.lift(module.bias))


def convolution_module(flow: UnitFlow, module: Any, input: Any) -> Signal:
    """``F.conv1d`` to ``F.conv3d`` as modules, with the padding mode of the module."""
    dims = len(module.kernel_size)
    signal, padding = flow.signal(input), module.padding
    if module.padding_mode != "zeros":
        reach = module._reversed_padding_repeated_twice
        signal, padding = Signal(pad_like(signal.units, reach, module.padding_mode), signal.degree), 0
    weight, bias = flow.lift(module.weight), flow.lift(module.bias)
    return convolution(dims)(flow, signal, weight, bias, module.stride, padding, module.dilation, module.groups)


def transposed_module(flow: UnitFlow, module: Any, input: Any, output_size: Any = None) -> Signal:
    """``F.conv_transpose1d`` to ``F.conv_transpose3d`` as modules."""
    dims = len(module.kernel_size)
    signal, extra = flow.signal(input), module.output_padding
    if output_size is not None:
        extra = module._output_padding(
            stand_in(signal), output_size, module.stride, module.padding, module.kernel_size, dims, module.dilation
        )
    weight, bias = flow.lift(module.weight), flow.lift(module.bias)
    options = (module.stride, module.padding, extra, module.groups, module.dilation)
    return convolution(dims, transposed=True)(flow, signal, weight, bias, *options)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    F.linear: linear,
    **{f: matmul for f in (torch.matmul, torch.mm, torch.bmm, operator.matmul)},
    torch.addmm: addmm,
    **{
        getattr(home, f"conv{'_transpose' * t}{d}d"): convolution(d, bool(t))
        for home in (F, torch)
        for t in (0, 1)
        for d in (1, 2, 3)
    },
}
METHODS: dict[str, Callable[..., Any]] = {"matmul": matmul, "mm": matmul, "bmm": matmul, "__matmul__": matmul}
MODULES: dict[type, Callable[..., Any]] = {
    nn.Linear: linear_module,
    **{kind: convolution_module for kind in (nn.Conv1d, nn.Conv2d, nn.Conv3d)},
    **{kind: transposed_module for kind in (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)},
}
