"""Run someone else's code in float64, without touching it and without leaving a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pyro
import torch
from torch.overrides import TorchFunctionMode

_LOW = (torch.float16, torch.bfloat16, torch.float32)


def _promote(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.double() if value.dtype in _LOW else value
    if isinstance(value, (list, tuple)) and any(isinstance(v, (torch.Tensor, list, tuple)) for v in value):
        promoted = [_promote(v) for v in value]
        return type(value)(*promoted) if hasattr(value, "_fields") else type(value)(promoted)
    return value


class PromoteToDouble(TorchFunctionMode):
    """Cast every low-precision tensor that enters a torch function to float64.

    Needed where a model holds float32 data that type promotion does not reach: ``X @ beta`` with float32 ``X`` and
    float64 ``beta`` is an error in torch. The data keep the values they were stored with.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call ``func`` on promoted arguments."""
        kwargs = {k: _promote(v) for k, v in (kwargs or {}).items()}
        if kwargs.get("dtype") in _LOW:
            kwargs["dtype"] = torch.float64
        return func(*_promote(tuple(args)), **kwargs)


@contextmanager
def float64_default() -> Iterator[None]:
    """Default dtype float64, restored on exit."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def double_precision(promote: bool = False) -> Iterator[None]:
    """Default dtype float64 and argument validation off, both restored on exit.

    Validation is off because it branches on values, which ``torch.func.vmap`` can't follow; supports are followed by
    `LogDensity` itself. With ``promote`` float32 tensors met on the way are cast as well (about 1 ms a call).
    """
    with float64_default(), pyro.validation_enabled(False), PromoteToDouble() if promote else nullcontext():
        yield
