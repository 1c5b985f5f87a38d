"""What each operation of a network does to sums over paths, by the name of the function or method."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...groups import UnsupportedError
from ._pools import adaptive_average_pool, adaptive_sum_pool, average_pool, sum_pool
from ._squares import Squares, affine, aligned, product

if TYPE_CHECKING:
    from ._squared import SquaredNetwork

Handler = Callable[..., Any]
"""``(network, plain, args, kwargs, where)``: the operation ``plain`` on arguments some of which are sums over paths."""

POINTWISE = frozenset(
    "relu relu6 leaky_relu prelu rrelu threshold abs absolute clamp clamp_min clamp_max clip hardtanh hardswish "
    "hardsigmoid hardshrink softshrink identity dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout "
    "feature_alpha_dropout elu selu celu gelu silu mish softplus softsign tanhshrink tanh sigmoid logsigmoid sin exp "
    "log_sigmoid erf softmax log_softmax softmin contiguous clone detach to float double half bfloat16 type_as cpu "
    "cuda type".split()
)
"""Paths go through these as if they were active with slope one; the others keep units at scale one."""

MOVES = frozenset(
    "reshape reshape_as flatten unflatten permute transpose swapaxes swapdims adjoint movedim moveaxis t squeeze "
    "unsqueeze expand expand_as broadcast_to repeat tile repeat_interleave getitem chunk split tensor_split unbind cat "
    "concat concatenate stack hstack vstack dstack pixel_shuffle pixel_unshuffle channel_shuffle roll flip fliplr "
    "native_channel_shuffle flipud rot90 narrow select index_select ravel unfold diagonal tril triu".split()
)
"""Entries go elsewhere, or to several places, or away."""

SHAPE = frozenset("size dim ndim shape dtype device numel is_contiguous data_ptr get_device ndimension".split())
"""Questions about a tensor that is no sum."""


def tensors_of(value: Any) -> list[Squares]:
    """All sums over paths in arguments."""
    if isinstance(value, Squares):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [found for one in value for found in tensors_of(one)] if isinstance(value, list | tuple) else []


def replaced(value: Any, tensors: list[Tensor]) -> Any:
    """Arguments with their sums taken from a list, in order."""
    if isinstance(value, Squares):
        return tensors.pop(0)
    if isinstance(value, dict):
        return {key: replaced(one, tensors) for key, one in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return type(value)(replaced(one, tensors) for one in value)
    return value


def _move(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Any:
    found = tensors_of((args, kwargs))
    tensors, like = aligned(found)
    args, kwargs = replaced((args, kwargs), tensors)
    return _wrapped(plain(*args, **kwargs), like)


def _view(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Any:
    return _move(net, plain, (args[0].moved(args[0].tensor.contiguous()), *args[1:]), kwargs, where)


def _wrapped(value: Any, like: Squares) -> Any:
    if isinstance(value, Tensor):
        return like.moved(value)
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return tuple(_wrapped(one, like) for one in value)
    return value


def _getattr(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Any:
    value = getattr(args[0].tensor, args[1])
    return args[0].moved(value) if isinstance(value, Tensor) else value


def _keep(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Any:
    return args[0] if args else kwargs["input"]


def _add(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    first, second = (net.lift(value) for value in args[:2])
    alpha = kwargs.get("alpha", 1)
    if alpha != 1:
        second = product(operator.mul, second, net.lift(alpha), where=where)
    (a, b), like = aligned([first, second])
    return like.moved(a + b).settled()


def _times(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    return product(operator.mul, *(net.lift(value) for value in args[:2]), where=where)


def _divide(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    if (isinstance(args[1], Squares) and (args[1].signal or args[1].names)) or kwargs.get("rounding_mode"):
        raise UnsupportedError(
            f"expected division by constants, got a division by an activation or a parameter at {where}, because the "
            "output is then no sum over paths; try criterion='l2' or 'range'"
        )
    divisor = net.lift(args[1])
    inverse = Squares(1 / divisor.tensor, -divisor.exponent)
    return product(operator.mul, net.lift(args[0]), inverse, where=where)


def _matmul(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    return product(plain, *(net.lift(value) for value in args), where=where)


def _einsum(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    factors = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
    return product(lambda *tensors: torch.einsum(args[0], *tensors), *(net.lift(one) for one in factors), where=where)


def _addmm(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    bias, a, b = (net.lift(value) for value in args)
    return affine(lambda x, w, c: torch.matmul(x, w) + (0 if c is None else c), a, b, bias, where)


def _layer(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    """Linear maps and convolutions ``(input, weight, bias, ...)``."""
    given = dict(zip(("input", "weight", "bias"), args, strict=False)) | kwargs
    rest = {key: value for key, value in kwargs.items() if key not in ("input", "weight", "bias")}
    x, weight = net.lift(given["input"]), net.lift(given["weight"])
    bias = None if given.get("bias") is None else net.lift(given["bias"])
    return affine(lambda a, w, b: plain(a, w, b, *args[3:], **rest), x, weight, bias, where)


def _sum(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    return _move(net, plain, args, kwargs, where).settled()


def _mean(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    x = args[0] if args else kwargs["input"]
    result = _move(net, plain, args, kwargs, where)
    count = x.tensor.numel() / max(result.tensor.numel(), 1)
    return result.moved(result.tensor * count ** (1 - net.power)).settled()


def _largest(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Any:
    """Maxima and minima: the largest sum alone, or the sum of all (see ``max_pool``)."""
    two = [value for value in (*args, *kwargs.values()) if isinstance(value, Squares)]
    if len(two) == 2:
        (a, b), like = aligned(two)
        return like.moved(a + b if net.max_pool == "sum" else torch.maximum(a, b)).settled()
    if net.max_pool == "max":
        others: dict[str, Any] = {"min": torch.max, "amin": torch.amax}
        largest = others.get(where, plain)
        return _move(net, largest, args, kwargs, where)
    dims = args[1] if len(args) > 1 else kwargs.get("dim", ())
    keep = args[2] if len(args) > 2 else kwargs.get("keepdim", False)
    x = args[0]
    total = x.moved(x.tensor.sum(dims if dims != () else None, keepdim=keep)).settled()
    return total if where in ("amax", "amin") or dims == () else (total, None)


def _where(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Any:
    """One of two, as in a maximum; the condition is no part of any path."""
    given = dict(zip(("condition", "input", "other"), args, strict=False)) | kwargs
    return _largest(net, plain, (net.lift(given["input"]), net.lift(given["other"])), {}, "maximum")


def _pool(make: Callable[[int, float], Callable[..., Tensor]], dims: int) -> Handler:
    def handler(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
        return _move(net, make(dims, net.power), args, kwargs, where).settled()

    return handler


def _max_pool(total: Callable[[int], Callable[..., Tensor]], dims: int) -> Handler:
    def handler(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Any:
        if net.max_pool == "max":
            return _move(net, plain, args, kwargs, where)
        result = _move(net, total(dims), args, kwargs, where).settled()
        return (result, None) if kwargs.get("return_indices") else result

    return handler


def _pad(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    x, pad, mode, value = (*args, *(None,) * 4)[:4]
    pad, mode, value = kwargs.get("pad", pad), kwargs.get("mode", mode) or "constant", kwargs.get("value", value)
    if mode != "constant":
        return x.moved(F.pad(x.tensor, pad, mode))
    moved = F.pad(x.tensor, pad)
    if not value:
        return x.moved(moved)
    frame = 1 - F.pad(torch.ones_like(x.tensor), pad)
    (a, b), like = aligned([x.moved(moved), Squares.of(frame * abs(float(value)) ** net.power)])
    return like.moved(a + b)


def _interpolate(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Any:
    mode = kwargs.get("mode", args[3] if len(args) > 3 else "nearest")
    if "nearest" not in mode:
        raise UnsupportedError(
            f"expected upsampling that copies entries, got mode={mode!r} at {where}, because its weights are not those "
            "of a path norm that is known here; try mode='nearest', or criterion='l2' or 'range'"
        )
    return _move(net, plain, args, kwargs, where)


def _batch_norm(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    given = dict(zip(names, args, strict=False)) | kwargs
    return net.batch_norm(
        given["input"], given["running_mean"], given["running_var"], given.get("weight"), given.get("bias"),
        given.get("eps", 1e-5), where,
    )  # fmt: skip


def _norm(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    """Layer, group and instance norms: their input ends all paths, their output begins new ones."""
    x = args[0] if args else kwargs["input"]
    return net.cut(x, kwargs.get("weight"), kwargs.get("bias"), where)


def _layer_norm(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    names = ("input", "normalized_shape", "weight", "bias", "eps")
    given = dict(zip(names, args, strict=False)) | kwargs
    return net.cut(given["input"], given.get("weight"), given.get("bias"), where)


def _group_norm(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    given = dict(zip(("input", "num_groups", "weight", "bias", "eps"), args, strict=False)) | kwargs
    return net.cut(given["input"], given.get("weight"), given.get("bias"), where, channels=True)


def _instance_norm(net: SquaredNetwork, plain: Handler, args: Any, kwargs: Any, where: str) -> Squares:
    names = ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")
    given = dict(zip(names, args, strict=False)) | kwargs
    return net.cut(given["input"], given.get("weight"), given.get("bias"), where, channels=True)


OPERATIONS: dict[str, Handler] = {
    **dict.fromkeys(POINTWISE, _keep),
    **dict.fromkeys(("neg", "pos", "negative", "positive"), _keep),
    **dict.fromkeys(MOVES, _move),
    **dict.fromkeys(SHAPE, _move),
    **dict.fromkeys(("add", "iadd", "radd", "sub", "isub", "rsub", "subtract"), _add),
    **dict.fromkeys(("mul", "imul", "rmul", "multiply"), _times),
    **dict.fromkeys(("div", "truediv", "itruediv", "divide", "true_divide"), _divide),
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "imatmul"), _matmul),
    **dict.fromkeys(("addmm", "baddbmm"), _addmm),
    **dict.fromkeys(("max", "amax", "maximum", "min", "amin", "minimum"), _largest),
    **dict.fromkeys(("gt", "ge", "lt", "le", "greater", "less"), _keep),
    "where": _where,
    "zeros_like": lambda net, plain, args, kwargs, where: torch.zeros_like(args[0].tensor),
    "view": _view,
    "view_as": _view,
    "getattr": _getattr,
    "einsum": _einsum,
    "linear": _layer,
    **{f"conv{t}{d}d": _layer for t in ("", "_transpose") for d in (1, 2, 3)},
    "sum": _sum,
    "mean": _mean,
    "pad": _pad,
    **{f"avg_pool{d}d": _pool(average_pool, d) for d in (1, 2, 3)},
    **{f"adaptive_avg_pool{d}d": _pool(adaptive_average_pool, d) for d in (1, 2, 3)},
    **{f"max_pool{d}d": _max_pool(sum_pool, d) for d in (1, 2, 3)},
    **{f"adaptive_max_pool{d}d": _max_pool(adaptive_sum_pool, d) for d in (1, 2, 3)},
    **dict.fromkeys(("interpolate", "upsample"), _interpolate),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
}


def operation(name: str) -> Handler | None:
    """The handler of a function or method name, in-place forms (``relu_``) included."""
    return OPERATIONS.get(name) or OPERATIONS.get(name.strip("_"))
