"""Functions of one entry at a time: phi(c x) = c^k phi(x) keeps a unit, any other fixes it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._signal import Signal
from ._units import FIXED, ZERO

if TYPE_CHECKING:
    from ._flow import UnitFlow


def keep(flow: UnitFlow, input: Any, *_: Any, **__: Any) -> Any:
    """Degree one: the units stay."""
    return input


def keep_module(flow: UnitFlow, module: nn.Module, input: Any) -> Any:
    """Degree one, as a module."""
    return input


def prelu(flow: UnitFlow, input: Any, weight: Any) -> Any:
    """A slope below zero that is learnt, and has no scale."""
    flow.use(weight, torch.tensor(FIXED))
    return input


def prelu_module(flow: UnitFlow, module: nn.PReLU, input: Any) -> Any:
    """``prelu`` as a module."""
    return prelu(flow, input, flow.lift(module.weight))


def threshold(flow: UnitFlow, input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """Of degree one at threshold zero with value zero."""
    if threshold == 0 and value == 0:
        return input
    return _refused(flow, input, f"a threshold at {threshold} with value {value} has a scale")


def clamp(flow: UnitFlow, input: Any, min: Any = None, max: Any = None) -> Any:
    """Of degree one where every bound is zero."""
    if all(bound is None or (not isinstance(bound, Tensor | Signal) and bound == 0) for bound in (min, max)):
        return input
    return _refused(flow, (input, min, max), f"bounds {min} and {max} have a scale")


def power(flow: UnitFlow, input: Any, exponent: Any) -> Any:
    """Of degree k, (c x)^k = c^k x^k."""
    if isinstance(input, Signal) and isinstance(exponent, int | float) and exponent > 0:
        return replace(input, degree=input.degree * exponent)
    return _refused(flow, (input, exponent), f"exponent {exponent} is no positive number")


def square(flow: UnitFlow, input: Any) -> Any:
    """Of degree two."""
    return power(flow, input, 2)


def square_root(flow: UnitFlow, input: Any) -> Any:
    """Of degree one half."""
    return power(flow, input, 0.5)


def compare(flow: UnitFlow, input: Any, other: Any) -> Any:
    """Larger or smaller than zero does not depend on the scale; against anything else it does."""
    left, right = flow.signal(input), flow.signal(other)
    if bool((right.units == ZERO).all()) or bool((left.units == ZERO).all()):
        return Signal.fixed(torch.broadcast_shapes(left.units.shape, right.units.shape))
    return _refused(flow, (input, other), "a comparison with something other than zero depends on the scale")


def sign(flow: UnitFlow, input: Any) -> Any:
    """Does not depend on the scale."""
    return Signal.fixed(flow.signal(input).units.shape)


def threshold_module(flow: UnitFlow, module: nn.Threshold, input: Any) -> Any:
    """``threshold`` as a module."""
    return threshold(flow, input, module.threshold, module.value)


def shifting_dropout(flow: UnitFlow, input: Any, p: float = 0.5, *_: Any, **__: Any) -> Any:
    """Alpha dropout replaces entries by a number of its own in training; where folded, evaluation mode is meant."""
    if p == 0 or flow.batch_norm == "folded":
        return input
    return _refused(flow, input, "alpha dropout puts numbers that have a scale in training; try nn.Dropout")


def shifting_dropout_module(flow: UnitFlow, module: nn.AlphaDropout, input: Any) -> Any:
    """``shifting_dropout`` as a module."""
    return shifting_dropout(flow, input, module.p)


def _refused(flow: UnitFlow, values: Any, reason: str) -> Signal:
    flow.refuse(reason, values)
    first = values[0] if isinstance(values, tuple) else values
    return Signal.fixed(flow.signal(first).units.shape)


_KEPT: tuple[str, ...] = (
    "relu",
    "relu_",
    "abs",
    "abs_",
    "leaky_relu",
    "leaky_relu_",
    "rrelu",
    "rrelu_",
    "dropout",
    "dropout_",
)
_KEPT += ("feature_dropout", "neg", "neg_", "negative", "positive", "absolute")
_DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d")
_COMPARISONS = ("gt", "ge", "lt", "le")

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{getattr(torch, name): keep for name in _KEPT if hasattr(torch, name)},
    **{getattr(F, name): keep for name in (*_KEPT, *_DROPOUTS) if hasattr(F, name)},
    **{f: keep for f in (operator.neg, operator.pos, operator.abs, abs)},
    **{f: prelu for f in (F.prelu, torch.prelu)},
    **{f: threshold for f in (F.threshold, torch.threshold)},
    **{f: clamp for f in (torch.clamp, torch.clip)},
    torch.clamp_min: lambda flow, input, min: clamp(flow, input, min),
    torch.clamp_max: lambda flow, input, max: clamp(flow, input, None, max),
    **{f: power for f in (torch.pow, operator.pow)},
    torch.square: square,
    torch.sqrt: square_root,
    **{getattr(module, name): compare for module in (torch, operator) for name in _COMPARISONS},
    torch.sign: sign,
    **{f: shifting_dropout for f in (F.alpha_dropout, F.feature_alpha_dropout)},
}
METHODS: dict[str, Callable[..., Any]] = {
    **{name: keep for name in ("relu", "relu_", "abs", "abs_", "neg", "neg_", "__neg__", "__abs__")},
    **{name: clamp for name in ("clamp", "clamp_", "clip", "clip_")},
    **{name: FUNCTIONS[torch.clamp_min] for name in ("clamp_min", "clamp_min_")},
    **{name: FUNCTIONS[torch.clamp_max] for name in ("clamp_max", "clamp_max_")},
    **{name: power for name in ("pow", "__pow__")},
    "square": square,
    "sqrt": square_root,
    **{name: compare for name in _COMPARISONS},
    "sign": sign,
}
MODULES: dict[type, Callable[..., Any]] = {
    **{
        kind: keep_module
        for kind in (nn.ReLU, nn.LeakyReLU, nn.RReLU, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
    },
    nn.Dropout3d: keep_module,
    **{kind: shifting_dropout_module for kind in (nn.AlphaDropout, nn.FeatureAlphaDropout)},
    nn.PReLU: prelu_module,
    nn.Threshold: threshold_module,
}
