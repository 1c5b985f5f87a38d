"""Layers of ``torch.nn`` in the squared network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import batchnorm, conv, instancenorm

from ...groups import UnsupportedError
from ._squares import affine

if TYPE_CHECKING:
    from ._squared import SquaredNetwork

#: Activations whose class has another name than their function.
ACTIVATIONS = (
    nn.Identity, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.Threshold, nn.ReLU6, nn.Hardtanh, nn.Hardswish, nn.SiLU,
    nn.Hardsigmoid, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.Mish, nn.Softplus, nn.Softsign, nn.Tanh, nn.Tanhshrink,
    nn.Sigmoid, nn.LogSigmoid, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d, nn.Hardshrink, nn.Softshrink,
    nn.modules.dropout._DropoutNd,
)  # fmt: skip
MOVES = (
    nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle, nn.ZeroPad1d, nn.ZeroPad2d,
    nn.ZeroPad3d, nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d, nn.ReplicationPad1d, nn.ReplicationPad2d,
    nn.ReplicationPad3d, nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d, nn.Unfold,
)  # fmt: skip
MAX_POOLS = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d
)  # fmt: skip
POOLS: dict[type[nn.Module], Any] = {
    nn.MaxPool1d: F.max_pool1d,
    nn.MaxPool2d: F.max_pool2d,
    nn.MaxPool3d: F.max_pool3d,
    nn.AvgPool1d: F.avg_pool1d,
    nn.AvgPool2d: F.avg_pool2d,
    nn.AvgPool3d: F.avg_pool3d,
    nn.AdaptiveAvgPool1d: F.adaptive_avg_pool1d,
    nn.AdaptiveAvgPool2d: F.adaptive_avg_pool2d,
    nn.AdaptiveAvgPool3d: F.adaptive_avg_pool3d,
    nn.AdaptiveMaxPool1d: F.adaptive_max_pool1d,
    nn.AdaptiveMaxPool2d: F.adaptive_max_pool2d,
    nn.AdaptiveMaxPool3d: F.adaptive_max_pool3d,
}
SETTINGS = (
    "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices", "count_include_pad",
    "divisor_override", "output_size",
)  # fmt: skip


def run_module(net: SquaredNetwork, module: nn.Module, args: Any, kwargs: Any, where: str) -> Any:
    """One layer on sums over paths."""
    x = args[0] if args else next(iter(kwargs.values()))
    if isinstance(module, nn.Linear | conv._ConvNd):
        return _weighted(net, module, x, args[1:], where)
    if isinstance(module, ACTIVATIONS):
        return x
    if isinstance(module, MOVES):
        return x.moved(module(x.tensor))
    if isinstance(module, nn.ConstantPad1d | nn.ConstantPad2d | nn.ConstantPad3d):
        return net.call("pad", F.pad, (x, module.padding), {"value": module.value}, where)
    if isinstance(module, nn.Upsample):
        sizes = {"size": module.size, "scale_factor": module.scale_factor, "mode": module.mode}
        return net.call("interpolate", F.interpolate, (x,), sizes, where)
    if isinstance(module, instancenorm._InstanceNorm | nn.GroupNorm):
        return net.cut(x, module.weight, module.bias, where, channels=True)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return net.cut(x, module.weight, getattr(module, "bias", None), where)
    if isinstance(module, batchnorm._BatchNorm):
        mean, var = module.running_mean, module.running_var
        return net.batch_norm(x, mean, var, module.weight, module.bias, module.eps, where)
    for kind, function in POOLS.items():
        if isinstance(module, kind):
            given = {key: getattr(module, key) for key in SETTINGS if hasattr(module, key)}
            return net.call(function.__name__, function, (x,), given, where)
    raise UnsupportedError(
        f"expected layers whose effect on paths is known, got {type(module).__name__} at {where!r}; try "
        "criterion='l2' or 'range'"
    )


def _weighted(net: SquaredNetwork, module: Any, x: Any, rest: Any, where: str) -> Any:
    def layer(a: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # by its function: hooks are not called
        if isinstance(module, nn.Linear):
            return F.linear(a, weight, bias)
        if not isinstance(module, conv._ConvTransposeNd):
            return module._conv_forward(a, weight, bias)
        up: Any = module
        dims = len(up.kernel_size)
        function: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[dims - 1]
        extra = up.output_padding
        if rest and rest[0] is not None:
            sizes = (up.stride, up.padding, up.kernel_size, dims, up.dilation)
            extra = up._output_padding(a, list(rest[0]), *sizes)
        return function(a, weight, bias, up.stride, up.padding, extra, up.groups, up.dilation)

    bias = None if module.bias is None else net.lift(module.bias)
    return affine(layer, x, net.lift(module.weight), bias, where)
