"""What a posterior asks of data and module before any work is done."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parameters_to_vector

from ._kernels import Kernel
from ._streams import stream


def check_rows(x: Any, y: Any) -> None:
    """Inputs as a float tensor of two dimensions or more, targets as a tensor."""
    if not isinstance(x, Tensor):
        raise ValueError(
            f"expected inputs as a tensor of floats [n, ...], got {type(x).__name__}; try torch.as_tensor(x) "
            "(of a data frame, x.to_numpy())"
        )
    if not x.is_floating_point() or x.ndim < 2:
        hint = "x.float()" if not x.is_floating_point() else "x[:, None]"
        raise ValueError(f"expected inputs as floats [n, ...], got {x.dtype} of shape {list(x.shape)}; try {hint}")
    if not isinstance(y, Tensor):
        raise TypeError(f"expected targets as a tensor, got {type(y).__name__}; try torch.as_tensor(y)")


def check_dtype(dtype: Any) -> torch.dtype:
    """A dtype of real floats."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"expected a dtype of floats, got {dtype!r}; try torch.float64")
    return dtype


def check_inputs(x: Any, like: Tensor) -> Tensor:
    """Other inputs in the dtype and on the device of the data's."""
    if not isinstance(x, Tensor) or x.ndim != like.ndim:
        got = f"shape {list(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(
            f"expected inputs as a tensor [n, {', '.join(map(str, like.shape[1:]))}] like the data, got {got}; try "
            "torch.as_tensor(x), and x[None] for one row"
        )
    return x.to(like)


def check_module(network: nn.Module) -> None:
    """Parameters that exist, and no layer that is random or mixes rows in its present mode."""
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if is_lazy(tensor):
            raise ValueError(
                f"expected a network with parameters of known shape, got {name!r} of a lazy layer; try to call the "
                "network once on a row of x"
            )
        if tensor.is_meta:
            raise ValueError(f"expected a network with numbers in it, got {name!r} on meta; try network.to_empty()")
    for name, module in network.named_modules():
        random = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
        batched = isinstance(module, nn.modules.batchnorm._NormBase) and not (
            isinstance(module, nn.modules.instancenorm._InstanceNorm)
        )
        if module.training and (random or batched):
            raise ValueError(
                f"expected a deterministic function of weights and one row, got {type(module).__name__} at {name!r} in "
                "training mode, because a density needs the same answer twice; try network.eval()"
            )
        if batched and module.running_mean is None:
            raise ValueError(
                f"expected a function of one row at a time, got {type(module).__name__} at {name!r} without running "
                "statistics, because it mixes rows in every mode; try track_running_stats=True, or nn.LayerNorm"
            )


def count_outputs(network: nn.Module, x: Tensor) -> int:
    """Number of outputs of the network, found on one row."""
    row = x[:1] if len(x) else x.new_zeros(1, *x.shape[1:])
    with torch.no_grad():
        try:
            outputs = network(row)
        except Exception as error:
            raise ValueError(
                f"expected inputs that the network takes, got rows of shape {list(x.shape[1:])}, because it says: "
                f"{error}"
            ) from error
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != 1:
        got = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(f"expected a network that maps [1, ...] to [1, outputs], got {got}; try nn.Flatten()")
    return outputs.shape[1]


def check_function(network: nn.Module, kernel: Kernel, x: Tensor) -> None:
    """That the kernel gives equal outputs twice, and for a row alone what it gives for it among others.

    Tried on at most three rows at weights near those of the module, up to rounding.
    """
    rows = x[:3]
    if not len(rows):
        return
    weights = parameters_to_vector([p for p in network.parameters() if p.requires_grad]).detach()
    weights = weights + 0.3 * torch.randn(weights.shape, generator=stream(0, 0), dtype=weights.dtype).to(weights)
    kind = type(network).__name__
    with torch.no_grad():
        try:
            first, second = kernel.outputs(torch.stack([weights, weights]), rows)
            alone = torch.cat([kernel.outputs(weights[None], row[None])[0] for row in rows])
        except Exception as error:
            raise ValueError(
                f"expected a module that is a function of weights and rows, got {kind}, with which "
                f"torch.func.functional_call fails, because: {error}; try a module without scripts or hooks"
            ) from error
    tolerance = 100 * torch.finfo(first.dtype).eps ** 0.75 * (1 + first.abs().amax())
    if bool((first - second).abs().amax() > tolerance):
        raise ValueError(
            f"expected a deterministic function of weights and one row, got {kind}, which gives two answers at the "
            "same weights, because something in it is random; try network.eval(), or to leave the noise out"
        )
    if bool((first - alone).abs().amax() > tolerance):
        raise ValueError(
            f"expected a function of one row at a time, got {kind}, whose output for a row depends on the rows beside "
            "it, because rows are independent given the weights; try batch_first=True, or a normalisation of each row"
        )
