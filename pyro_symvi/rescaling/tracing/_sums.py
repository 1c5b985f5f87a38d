"""Sums tie the units of their terms; products keep the unit of the factor that has one."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ._signal import Signal, Weights
from ._units import FIXED, ZERO

if TYPE_CHECKING:
    from ._flow import UnitFlow


def add(flow: UnitFlow, input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """Terms of a sum share their scale; a bias enters the units that it is added to."""
    if isinstance(input, Weights) and isinstance(other, Weights):
        flow.refuse("a weight that is a sum of parameters has no scale of its own", (input, other))
        return torch.broadcast_tensors(input.entries.double(), other.entries)[0]
    if isinstance(input, Weights):
        input, other = other, input
    signal = flow.signal(input)
    if isinstance(other, Weights) and signal.degree == 1 and not bool((signal.units == ZERO).any()):
        units, _ = torch.broadcast_tensors(signal.units, other.entries)
        flow.use(other, units)
        return Signal(units)
    return combine(flow, f"added in {flow.where()}", signal, flow.signal(other))


def combine(flow: UnitFlow, reason: str, *terms: Signal) -> Signal:
    """Signals that must share their scale entry by entry (broadcast): one signal with their units."""
    alike = common_degree(flow, *terms)
    units = torch.broadcast_tensors(*(s.units for s in alike))
    result = units[0]
    for other in units[1:]:
        flow.table.tie(result, other, reason)
        result = torch.where(result == ZERO, other, result)
    return Signal(result, alike[0].degree)


def common_degree(flow: UnitFlow, *terms: Signal) -> list[Signal]:
    """Signals of one degree; the units of all are fixed where degrees differ among those with a scale."""
    free = [flow.table.free(s.units) for s in terms]
    degrees = {s.degree for s, scaled in zip(terms, free, strict=True) if scaled}
    if len(degrees) > 1:
        flow.refuse(f"terms of degrees {sorted(degrees)} have no scale in common", terms)
    degree = degrees.pop() if len(degrees) == 1 else 1.0
    return [Signal(s.units, degree, s.after) for s in terms]


def multiply(flow: UnitFlow, input: Any, other: Any) -> Any:
    """A constant or a fixed signal keeps the unit of the other factor, which squared has twice the degree."""
    if isinstance(input, Weights) or isinstance(other, Weights):
        return _times_parameter(flow, input, other)
    if not isinstance(input, Signal) or not isinstance(other, Signal):
        signal, constant = (input, other) if isinstance(input, Signal) else (other, input)
        shape = constant.shape if isinstance(constant, Tensor) else ()
        return Signal(signal.units.expand(torch.broadcast_shapes(signal.units.shape, shape)), signal.degree)
    a, b = torch.broadcast_tensors(input.units, other.units)
    roots = flow.table.roots(a), flow.table.roots(b)
    if torch.equal(*roots) and bool((roots[0] > FIXED).any()):
        return Signal(a, input.degree + other.degree)
    kept = product_partner(flow, input, other)
    zero = (a == ZERO) | (b == ZERO)
    return Signal(torch.where(zero, ZERO, kept.units.expand(a.shape)), kept.degree)


def product_partner(flow: UnitFlow, input: Any, other: Any) -> Signal:
    """Of two factors the one with a scale; where both have one, the second one is fixed."""
    a, b = flow.signal(input), flow.signal(other)
    if not flow.table.free(b.units):
        return a
    if flow.table.free(a.units):
        flow.refuse("the scales of two factors are not followed", b)
        return a
    return b


def _times_parameter(flow: UnitFlow, input: Any, other: Any) -> Any:
    """A factor for each unit makes new units; one for several units keeps scale one, as they keep theirs."""
    weight, value = (other, input) if isinstance(other, Weights) else (input, other)
    if isinstance(value, Weights):
        flow.refuse("a weight that is a product of parameters has no scale of its own", (input, other))
        return torch.broadcast_tensors(weight.entries.double(), value.entries)[0]
    if not isinstance(value, Signal):
        shape = value.shape if isinstance(value, Tensor) else ()
        return Weights(weight.entries.expand(torch.broadcast_shapes(weight.entries.shape, shape)), weight.name)
    entries, units = torch.broadcast_tensors(weight.entries, value.units)
    distinct, places = torch.unique(entries, return_inverse=True)
    roots = flow.table.roots(units).reshape(-1)
    flat = places.reshape(-1)
    low, high = roots.new_full((len(distinct),), 2**62), roots.new_zeros(len(distinct))
    low.scatter_reduce_(0, flat, roots, "amin"), high.scatter_reduce_(0, flat, roots, "amax")
    if not torch.equal(low, high) or bool((entries == 0).any()):
        flow.use(weight, torch.tensor(FIXED))
        return Signal(units, value.degree)
    new = flow.fresh(weight, len(distinct))[places]
    flow.use(weight, new, units, value.degree)
    return Signal(new)


def divide(flow: UnitFlow, input: Any, other: Any, *, rounding_mode: Any = None) -> Any:
    """A divisor without scale keeps the units."""
    if isinstance(other, Signal | Weights):
        if isinstance(other, Weights) or rounding_mode or flow.table.free(other.units):
            flow.refuse("a divisor with a scale is not followed", (other, input) if rounding_mode else other)
        other = torch.ones(other.entries.shape if isinstance(other, Weights) else other.units.shape)
    if rounding_mode:
        flow.refuse("rounding depends on the scale", input)
    return multiply(flow, input, other)


def subtract(flow: UnitFlow, input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """As a sum."""
    return add(flow, input, other)


def where(flow: UnitFlow, condition: Any, input: Any, other: Any) -> Signal:
    """A choice by a condition without scale ties as a sum does."""
    if isinstance(condition, Signal) and flow.table.free(condition.units):
        flow.refuse("a choice by a condition that depends on the scale", condition)
    shape = condition.units.shape if isinstance(condition, Signal) else condition.shape
    zero = Signal(torch.tensor(ZERO).expand(shape))
    return combine(flow, f"alternatives in {flow.where()}", zero, flow.signal(input), flow.signal(other))


def larger(flow: UnitFlow, input: Any, other: Any) -> Signal:
    """The larger (or smaller) of two."""
    return combine(flow, f"compared in {flow.where()}", flow.signal(input), flow.signal(other))


_SUMS, _DIFFERENCES = ("add", "iadd"), ("sub", "isub")
FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{f: add for f in (torch.add, operator.add, operator.iadd)},
    **{f: subtract for f in (torch.sub, torch.subtract, operator.sub, operator.isub)},
    **{f: multiply for f in (torch.mul, torch.multiply, operator.mul, operator.imul)},
    **{f: divide for f in (torch.div, torch.divide, torch.true_divide, operator.truediv, operator.itruediv)},
    torch.where: where,
    **{f: larger for f in (torch.maximum, torch.minimum)},
}
METHODS: dict[str, Callable[..., Any]] = {
    **{name: add for name in ("add", "add_", "__add__", "__radd__", "__iadd__")},
    **{name: subtract for name in ("sub", "sub_", "__sub__", "__isub__")},
    **{name: multiply for name in ("mul", "mul_", "__mul__", "__rmul__", "__imul__")},
    **{name: divide for name in ("div", "div_", "__truediv__", "__itruediv__")},
    **{name: larger for name in ("maximum", "minimum")},
}
MODULES: dict[type, Callable[..., Any]] = {}
