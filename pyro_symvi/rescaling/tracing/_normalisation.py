"""Normalisation: the units before it lose their scale, its own factors and shifts enter new ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._signal import Signal, Weights
from ._units import FIXED
from ._windows import spread

if TYPE_CHECKING:
    from ._flow import UnitFlow


def barrier(flow: UnitFlow, signal: Signal, weight: Any, bias: Any, axes: tuple[int, ...], reason: str) -> Signal:
    """Units before it are fixed; factor and shift (over these axes) enter new units."""
    flow.table.pin(signal.units, f"{flow.where()}: {reason}")
    shape = signal.units.shape
    if not isinstance(weight, Weights):
        from ._sums import add

        fixed = Signal.fixed(shape)
        return fixed if bias is None else add(flow, fixed, _placed(bias, shape, axes))
    units = flow.fresh(weight, weight.entries.numel()).reshape(weight.entries.shape)
    flow.use(weight, units)
    if isinstance(bias, Weights):
        flow.use(bias, units)
    elif bias is not None:
        flow.table.pin(units, f"{flow.where()}: its shift is a constant")
    return Signal(_placed(units, shape, axes))


def _placed(value: Any, shape: torch.Size, axes: tuple[int, ...]) -> Any:
    """A tensor over these axes in the place of an activation of this shape."""
    if isinstance(value, Weights):
        return Weights(_placed(value.entries, shape, axes), value.name)
    view = [shape[a] if a in axes else 1 for a in range(len(shape))]
    return value.reshape(view).expand(shape)


def batch_norm(
    flow: UnitFlow,
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    *_: Any,
    **__: Any,
) -> Signal:
    """A barrier, or in evaluation mode an affine map with a mean that has the scale of its unit ("folded")."""
    signal = flow.signal(input)
    if flow.batch_norm == "folded" and not training and isinstance(running_mean, Tensor) and signal.degree == 1:
        axes = tuple(a for a in range(signal.units.ndim) if a != 1)
        units = flow.table.merge(signal.units, axes, f"normalised together in {flow.where()}").reshape(-1)
        flow.use(weight, torch.tensor(FIXED))
        out = Signal(spread(units, signal.units.shape, 1))
        if isinstance(bias, Weights):
            flow.use(bias, units)
        name = flow.buffer_name(running_mean)
        if name is None or (bias is not None and not isinstance(bias, Weights)):
            flow.table.pin(units, f"{flow.where()}: its running mean cannot be rescaled")
        else:
            flow.table.tie(flow.buffers.setdefault(name, units), units, f"{name} is used at several places")
        return out
    return barrier(flow, signal, weight, bias, (1,), "batch statistics absorb the scale before it, in training only")


def layer_norm(
    flow: UnitFlow, input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Signal:
    """A barrier over the last axes; ``F.rms_norm`` too."""
    signal = flow.signal(input)
    axes = tuple(range(signal.units.ndim - len(normalized_shape), signal.units.ndim))
    return barrier(flow, signal, weight, bias, axes, "statistics of the layer absorb the scale before it")


def rms_norm(flow: UnitFlow, input: Any, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Signal:
    """A barrier over the last axes."""
    return layer_norm(flow, input, normalized_shape, weight)


def group_norm(
    flow: UnitFlow, input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Signal:
    """A barrier with factors by channel."""
    reason = "statistics of the group absorb the scale before it"
    return barrier(flow, flow.signal(input), weight, bias, (1,), reason)


def instance_norm(
    flow: UnitFlow,
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *_: Any,
    **__: Any,
) -> Signal:
    """A barrier with factors by channel."""
    reason = "statistics of the image absorb the scale before it"
    return barrier(flow, flow.signal(input), weight, bias, (1,), reason)


def batch_norm_module(flow: UnitFlow, module: Any, input: Any) -> Signal:
    """``F.batch_norm`` as a module."""
    mean, var = module.running_mean, module.running_var
    return batch_norm(flow, input, mean, var, flow.lift(module.weight), flow.lift(module.bias), mean is None)


def layer_norm_module(flow: UnitFlow, module: Any, input: Any) -> Signal:
    """``F.layer_norm`` and ``F.rms_norm`` as modules."""
    bias = flow.lift(getattr(module, "bias", None))
    return layer_norm(flow, input, module.normalized_shape, flow.lift(module.weight), bias)


def group_norm_module(flow: UnitFlow, module: nn.GroupNorm, input: Any) -> Signal:
    """``F.group_norm`` as a module."""
    return group_norm(flow, input, module.num_groups, flow.lift(module.weight), flow.lift(module.bias))


def instance_norm_module(flow: UnitFlow, module: Any, input: Any) -> Signal:
    """``F.instance_norm`` as a module."""
    return instance_norm(flow, input, None, None, flow.lift(module.weight), flow.lift(module.bias))


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    F.batch_norm: batch_norm,
    F.layer_norm: layer_norm,
    F.rms_norm: rms_norm,
    F.group_norm: group_norm,
    F.instance_norm: instance_norm,
}
METHODS: dict[str, Callable[..., Any]] = {}
MODULES: dict[type, Callable[..., Any]] = {
    **{kind: batch_norm_module for kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)},
    **{kind: layer_norm_module for kind in (nn.LayerNorm, nn.RMSNorm)},
    nn.GroupNorm: group_norm_module,
    **{kind: instance_norm_module for kind in (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)},
}
