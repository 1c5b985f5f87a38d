"""Operations that act on each hidden unit alone, and what they leave of its symmetry."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

#: (degree, odd, linear) of an elementwise function.
Kind = tuple[float | None, bool, bool]

KEEP: Kind = (1.0, True, True)
PLAIN: Kind = (None, False, False)
_RELU: Kind = (1.0, False, False)
_ODD: Kind = (None, True, False)

#: Elementwise functions and methods by name, whatever namespace they are called in.
ELEMENTWISE: dict[str, Kind] = {
    **dict.fromkeys(("relu", "relu_", "leaky_relu", "leaky_relu_", "abs", "absolute"), _RELU),
    **dict.fromkeys(
        ("tanh", "tanh_", "sin", "atan", "arctan", "asinh", "arcsinh", "sinh", "erf", "softsign", "tanhshrink"), _ODD
    ),
    **dict.fromkeys(("neg", "negative", "identity", "clone", "contiguous", "detach", "double", "float", "alias"), KEEP),
    **dict.fromkeys(
        (
            *("sigmoid", "sigmoid_", "softplus", "gelu", "silu", "elu", "selu", "celu", "mish", "exp", "cos", "expm1"),
            *("hardtanh", "relu6", "hardswish", "hardsigmoid", "logsigmoid", "clamp", "log1p", "cosh"),
            *("softmax", "log_softmax"),  # over units or positions alike: they move with the units
        ),
        PLAIN,
    ),
    "square": (2.0, False, False),
}

#: Modules of torch.nn that act elementwise and are not in the table of activations.
ELEMENTWISE_MODULES: dict[type[nn.Module], Kind] = {
    **dict.fromkeys(
        (nn.Hardtanh, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.LogSigmoid, nn.Threshold, nn.Softmax, nn.LogSoftmax),
        PLAIN,
    ),
    **dict.fromkeys((nn.Softshrink, nn.Hardshrink), _ODD),
}

#: Operations that only move entries about; they are applied to the labels themselves.
MOVES = {
    *("flatten", "reshape", "view", "permute", "transpose", "squeeze", "unsqueeze", "swapaxes", "movedim", "getitem"),
    *("chunk", "split", "unflatten", "narrow", "select", "index_select", "t", "unbind"),
}

MAX_POOLS = tuple(f"{a}max_pool{n}d" for a in ("", "adaptive_") for n in (1, 2, 3))
MEAN_POOLS = tuple(f"{a}avg_pool{n}d" for a in ("", "adaptive_") for n in (1, 2, 3))
MAX_POOL_MODULES = tuple(getattr(nn, f"{a}MaxPool{n}d") for a in ("", "Adaptive") for n in (1, 2, 3))
MEAN_POOL_MODULES = tuple(getattr(nn, f"{a}AvgPool{n}d") for a in ("", "Adaptive") for n in (1, 2, 3))
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
ADDITIONS = {"add", "iadd", "sub", "isub"}
PRODUCTS = {"mul", "imul", "multiply"}


_ALIASES: dict[object, str] = {
    operator.truediv: "div",
    operator.pow: "pow",
    operator.matmul: "matmul",
    functional.linear: "linear",
}


def name_of(target: object) -> str:
    """The bare name of a function or method: ``relu`` for ``torch.relu``, ``F.relu`` and ``Tensor.relu``."""
    if isinstance(target, str):
        return target
    aliases: dict[object, str] = {
        operator.truediv: "div",
        operator.pow: "pow",
        operator.matmul: "matmul",
        functional.linear: "linear",
    }
    return aliases.get(target) or str(getattr(target, "__name__", target)).strip("_").removeprefix("boolean_dispatch")


def pool_function(target: object) -> str | None:
    """``max`` or ``mean`` for pooling functions, else None (torch hides some behind a dispatcher)."""
    for names, kind in ((MAX_POOLS, "max"), (MEAN_POOLS, "mean")):
        for name in names:
            if target is getattr(functional, name, None) or target is getattr(torch, name, None):
                return kind
    return None


def channel_labels(labels: Tensor) -> Tensor | None:
    """Labels ``[channels]`` of a feature map ``[n, channels, *positions]`` whose channels are of one unit each."""
    if labels.ndim < 2:
        return None
    spread = labels.transpose(0, 1).flatten(1)
    first = spread[:, 0]
    return first if bool((spread == first[:, None]).all()) else None


def feature_labels(labels: Tensor) -> Tensor | None:
    """Labels ``[features]`` of a tensor ``[*, features]`` whose last dimension alone tells the unit."""
    rows = labels.reshape(-1, labels.shape[-1])
    return rows[0] if bool((rows == rows[0]).all()) else None


def reduced_labels(labels: Tensor, reduce: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor | None:
    """Labels after a mean or a sum over dimensions along which they do not change."""
    dims = args[0] if args else kwargs.get("dim")
    if dims is None:
        return None
    keep = bool(args[1] if len(args) > 1 else kwargs.get("keepdim", False))
    low, high = labels.amin(dims, keepdim=keep), labels.amax(dims, keepdim=keep)
    return low if bool((low == high).all()) else None
