"""Pools and reductions: what is averaged or compared shares one scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._signal import Signal, Weights
from ._windows import channels_alike, merge_windows, per_dim, windows

if TYPE_CHECKING:
    from ._flow import UnitFlow


def pool(dims: int, real: Callable[..., Tensor]) -> Callable[..., Any]:
    """The handler of a pool over windows, with the arguments of ``F.max_pool2d`` and its like."""

    def handler(
        flow: UnitFlow, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, *rest: Any, **options: Any
    ) -> Any:
        if options.get("return_indices"):
            return flow.opaque(lambda x: real(x, kernel_size, stride, padding, *rest, **options), (input,), {}, "")
        signal = flow.signal(input)
        shape = _shape(signal.units, dims, lambda x: real(x, kernel_size, stride, padding, *rest, **options))
        alike = channels_alike(signal.units, dims)
        if alike is not None:
            return replace(signal, units=alike.reshape(*alike.shape, *(1,) * dims).expand(shape))
        gaps = per_dim(options.get("dilation", rest[0] if rest and "max" in real.__name__ else 1), dims)
        kernel = per_dim(kernel_size, dims)
        steps = kernel if stride is None or stride == [] else per_dim(stride, dims)
        view = windows(signal.units, kernel, steps, per_dim(padding, dims), gaps, shape[-dims:])
        return replace(signal, units=merge_windows(flow.table, view, dims, f"pooled in {flow.where()}"))

    return handler


def _shape(units: Tensor, dims: int, real: Callable[[Tensor], Tensor]) -> torch.Size:
    """The shape of a pool's output, found on one channel."""
    lead = units.shape[:-dims]
    return torch.Size((*lead, *real(torch.zeros(1, *units.shape[-dims:])).shape[1:]))


def adaptive(dims: int, real: Callable[..., Tensor]) -> Callable[..., Any]:
    """The handler of pools of a given output size."""

    def handler(flow: UnitFlow, input: Any, output_size: Any, return_indices: bool = False) -> Any:
        signal = flow.signal(input)
        shape = _shape(signal.units, dims, lambda x: real(x, output_size))
        return replace(signal, units=_regions(flow, signal.units, shape, dims))

    return handler


def _regions(flow: UnitFlow, units: Tensor, shape: torch.Size, dims: int) -> Tensor:
    """Merged units of the regions floor(i n / m) to ceil((i + 1) n / m) along each spatial axis in turn."""
    for axis in range(units.ndim - dims, units.ndim):
        n, m = units.shape[axis], shape[axis]
        parts = [units.narrow(axis, i * n // m, -(-(i + 1) * n // m) - i * n // m) for i in range(m)]
        units = torch.cat([flow.table.merge(p, (axis,), f"pooled in {flow.where()}") for p in parts], axis)
    return units


def reduction(pairs: bool = False) -> Callable[..., Any]:
    """The handler of a mean, a sum or a maximum along axes; ``pairs`` where it gives indices too."""

    def handler(flow: UnitFlow, input: Any, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        from ._sums import larger

        if isinstance(dim, Signal | Weights | Tensor):
            return larger(flow, input, dim)
        signal = flow.signal(input)
        keepdim = options.get("keepdims", keepdim)
        axes = range(signal.units.ndim) if dim is None or dim == () else (dim,) if isinstance(dim, int) else dim
        axes = tuple(a % signal.units.ndim for a in axes)
        units = flow.table.merge(signal.units, axes, f"merged by {flow.where()}")
        for axis in sorted(axes, reverse=True) if not keepdim or dim is None else ():
            units = units.squeeze(axis)
        merged = replace(signal, units=units)
        return (merged, Signal.fixed(units.shape)) if pairs and dim is not None else merged

    return handler


def interpolate(
    flow: UnitFlow, input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", *_: Any, **__: Any
) -> Any:
    """Nearest neighbours are moves; any other rule mixes the positions of a channel."""
    signal = flow.signal(input)
    if mode.startswith("nearest"):
        moved = F.interpolate(signal.units.double(), size, scale_factor, mode)
        return replace(signal, units=moved.round().long())
    shape = F.interpolate(torch.zeros(signal.units.shape), size, scale_factor, mode).shape
    axes = tuple(range(2, signal.units.ndim))
    return replace(signal, units=flow.table.merge(signal.units, axes, f"mixed by {flow.where()}").expand(shape))


def _by_attributes(functional: Callable[..., Any], *names: str) -> Callable[..., Any]:
    def handler(flow: UnitFlow, module: nn.Module, input: Any) -> Any:
        return functional(flow, input, **{name: getattr(module, name) for name in names})

    return handler


_MAX = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_AVERAGE = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
FUNCTIONS: dict[Any, Callable[..., Any]] = {torch.mean: reduction(), torch.sum: reduction(), F.interpolate: interpolate}
FUNCTIONS |= {f: reduction() for f in (torch.amax, torch.amin)} | {f: reduction(True) for f in (torch.max, torch.min)}
METHODS: dict[str, Callable[..., Any]] = {name: reduction() for name in ("mean", "sum", "amax", "amin")}
METHODS |= {name: reduction(True) for name in ("max", "min")}
MODULES: dict[type, Callable[..., Any]] = {
    nn.Upsample: _by_attributes(interpolate, "size", "scale_factor", "mode"),
}
for _d in (1, 2, 3):
    _max, _average = pool(_d, getattr(F, f"max_pool{_d}d")), pool(_d, getattr(F, f"avg_pool{_d}d"))
    FUNCTIONS |= {getattr(F, f"max_pool{_d}d"): _max, getattr(torch, f"max_pool{_d}d"): _max}
    FUNCTIONS |= {getattr(F, f"avg_pool{_d}d"): _average}
    MODULES[getattr(nn, f"MaxPool{_d}d")] = _by_attributes(_max, *_MAX)
    MODULES[getattr(nn, f"AvgPool{_d}d")] = _by_attributes(_average, *_AVERAGE)
    for _kind in ("max", "avg"):
        _real = getattr(F, f"adaptive_{_kind}_pool{_d}d")
        FUNCTIONS[_real] = adaptive(_d, _real)
        MODULES[getattr(nn, f"Adaptive{_kind.title()}Pool{_d}d")] = _by_attributes(FUNCTIONS[_real], "output_size")
