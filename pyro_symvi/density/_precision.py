"""Run someone else's code in float64, without touching it and without leaving a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import pyro
import torch
from torch.overrides import TorchFunctionMode

Result = TypeVar("Result")

_LOW = (torch.float16, torch.bfloat16, torch.float32)
_LOWERING = (torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16)


def promote(value: Any) -> Any:
    """``value`` with every low-precision tensor and dtype in it (and in tuples, lists and dicts) made float64."""
    if isinstance(value, torch.Tensor):
        return value.double() if value.dtype in _LOW else value
    if isinstance(value, torch.dtype):
        return torch.float64 if value in _LOW else value
    if type(value) is dict:
        return {key: promote(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)) and has_low_precision(value):
        promoted = [promote(v) for v in value]
        return type(value)(*promoted) if hasattr(value, "_fields") else type(value)(promoted)
    return value


def has_low_precision(value: Any) -> bool:
    """Whether a low-precision tensor or dtype occurs in ``value``, or in tuples, lists and dicts below it."""
    if isinstance(value, torch.Tensor):
        return value.dtype in _LOW
    if isinstance(value, (list, tuple)):
        return any(map(has_low_precision, value))
    if type(value) is dict:
        return any(map(has_low_precision, value.values()))
    return isinstance(value, torch.dtype) and value in _LOW


class WatchPrecision(TorchFunctionMode):
    """Notes in ``low`` whether a low-precision tensor went into or came out of a torch function.

    It need not raise an error to do harm: a float32 vector and a float64 *scalar* give a float32 vector.
    """

    low = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call ``func`` and look."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self.low = self.low or any(map(has_low_precision, (result, tuple(args), tuple(kwargs.values()))))
        return result


class PromoteToDouble(TorchFunctionMode):
    """Cast every low-precision tensor that enters or leaves a torch function to float64.

    Needed where a model holds float32 tensors that type promotion does not reach: ``X @ beta`` with float32 ``X`` and
    float64 ``beta`` is an error in torch. The tensors keep the values they were stored with.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call ``func`` on promoted arguments."""
        func = torch.Tensor.double if func in _LOWERING else func
        return promote(func(*promote(tuple(args)), **promote(dict(kwargs or {}))))


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
def double_precision(promoted: bool = False, validate: bool = False) -> Iterator[None]:
    """Default dtype float64 and argument validation off, both restored on exit.

    Validation is off because it branches on values, which ``torch.func.vmap`` can't follow; with ``validate`` it stays
    as the user has it. With ``promoted`` float32 tensors met on the way are cast as well (about 1 ms a call).
    """
    validation = nullcontext() if validate else pyro.validation_enabled(False)
    with float64_default(), validation, PromoteToDouble() if promoted else nullcontext():
        yield


def retried_in_double(run: Callable[[], Result]) -> Result:
    """What ``run()`` returns; where float64 data meet float32 values, under a float64 default."""
    try:
        return run()
    except RuntimeError as error:
        if "dtype" not in str(error) or torch.get_default_dtype() == torch.float64:
            raise
        with float64_default():
            return run()
