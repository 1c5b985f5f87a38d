"""Calling a user's activation: on any device and precision, without changing it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ._named import activation_named

Function = Callable[[Tensor], Tensor]


def resolved(activation: object, name: str | None) -> tuple[Function, str]:
    """The function and name of an activation given as a name, a callable or a module.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(activation, str):
        return activation_named(activation), name or activation.strip().lower().replace("-", "_")
    if isinstance(activation, nn.Module):
        return _Module(activation), name or type(activation).__name__
    if inspect.isclass(activation):
        raise TypeError(
            f"expected an activation: a name, a function of a tensor or a torch module, got the class "
            f"{activation.__name__}; try {activation.__name__}()"
        )
    if callable(activation):
        own = getattr(activation, "__name__", None) or type(activation).__name__
        return activation, name or ("activation" if own == "<lambda>" else own)
    raise TypeError(
        f"expected an activation: a name, a function of a tensor or a torch module, got {type(activation).__name__}"
    )


class _Module:
    """A copy of a module in evaluation mode, frozen, in the precision and on the device of what it is given."""

    def __init__(self, module: nn.Module) -> None:
        self._module = copy.deepcopy(module).eval().requires_grad_(False)
        self._copies: dict[tuple[torch.dtype, torch.device], nn.Module] = {}

    def __call__(self, z: Tensor) -> Tensor:
        key = (z.dtype, z.device)
        if key not in self._copies:
            self._copies[key] = copy.deepcopy(self._module).to(dtype=z.dtype, device=z.device)
        out: Tensor = self._copies[key](z)
        return out


def checked(function: Function, name: str) -> Function:
    """The function under no_grad, in float64, one number for each: else an error that says what came."""

    def call(z: Tensor) -> Tensor:
        try:
            with torch.no_grad():
                out = function(z)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"expected {name} to work on a float64 tensor of shape {list(z.shape)}, got {type(error).__name__}: "
                f"{error}; try {_remedy(str(error))}"
            ) from error
        if not isinstance(out, Tensor) or out.shape != z.shape:
            got = f"shape {list(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(
                f"expected {name} to give one number for each, shape {list(z.shape)}, got {got}, because an "
                "activation acts on each entry alone; try a function such as torch.tanh"
            )
        if out.dtype != torch.float64:
            raise ValueError(
                f"expected {name} to give float64 for float64, got {str(out.dtype).removeprefix('torch.')}, because "
                + (
                    "rounding would pass for a coefficient; try it without the conversion"
                    if out.dtype.is_floating_point
                    else "moments are taken of real numbers; try .to(z.dtype) at its end"
                )
            )
        if not bool(torch.isfinite(out).all()):
            at = float(z[~torch.isfinite(out)][0])
            raise ValueError(
                f"expected finite values of {name} on [-14, 14], got {float(out[~torch.isfinite(out)][0])} at "
                f"z = {at:.6g}; try a bounded version of it"
            )
        return out

    return call


def _remedy(error: str) -> str:
    if any(word in error for word in ("Double", "double", "dtype")):
        return "the module itself in place of a function that calls it, or its .double()"
    if "shape" in error:
        return "a function that adds and removes the axis of features: lambda z: net(z[..., None])[..., 0]"
    return "torch functions that act on each entry (torch.tanh, and torch.where in place of if)"


def require_entrywise(function: Function, name: str) -> None:
    """The same values at some of the points, in another order, as at all of them.

    Raises:
        ValueError: for what mixes entries (softmax, layer norm), draws at random, or changes from call to call.
    """
    z = torch.linspace(-3.1, 3.3, 64, dtype=torch.float64)
    every, some = function(z), function(z.flip(0)[:20])
    gap = (every.flip(0)[:20] - some).abs()
    if bool((gap > 1e-9 * (every.abs().flip(0)[:20] + every.abs().mean())).any()):
        raise ValueError(
            f"expected {name} to act on each entry alone and alike at each call, got values that differ by "
            f"{float(gap.max()):.3g} when other entries are left out, because a unit sees its own index only; try "
            "a function without random draws, memory or normalisation across entries"
        )
