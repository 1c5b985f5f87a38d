"""Structural operations: views, joins, indexing and writes, run by torch itself on the numbers of expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .refusals import Refused
from .tensors import Elements, Symbolic

Rule = Callable[..., Any]

_VIEWS = (
    "alias.default alias_copy.default clone.default contiguous.default detach.default detach_.default "
    "diagonal.default diagonal_copy.default expand.default expand_copy.default flip.default gather.default "
    "index.Tensor index_select.default lift_fresh.default lift_fresh_copy.default narrow.default permute.default "
    "permute_copy.default repeat.default roll.default select.int select_copy.int slice.Tensor slice_copy.Tensor "
    "squeeze.default squeeze.dim squeeze.dims squeeze_.dim squeeze_.default squeeze_copy.dim t.default t_copy.default "
    "transpose.int transpose_copy.int unsqueeze.default unsqueeze_.default unsqueeze_copy.default "
    "split.Tensor split_with_sizes.default unbind.int chunk.default tril.default triu.default diag_embed.default"
).split()
_RESHAPES = "view.default _unsafe_view.default reshape.default view_copy.default".split()
_JOINS = "cat.default stack.default".split()
_WRITES = "select_scatter.default slice_scatter.default diagonal_scatter.default scatter.src".split()
_FILLED_LIKE = (
    "new_zeros.default new_ones.default new_full.default zeros_like.default ones_like.default full_like.default"
).split()
_EMPTY = "empty.memory_format empty_like.default new_empty.default empty_strided.default new_empty_strided.default"


def concrete(value: Any, what: str) -> Any:
    """Indices, masks and shapes must be known."""
    leaves = value if isinstance(value, (list, tuple)) else [value]
    if any(isinstance(leaf, Symbolic) for leaf in leaves):
        raise Refused(f"{what} depends on the unknowns")
    return value


def _view(elements: Elements, op: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    concrete([*_flat(args), *_flat(tuple(kwargs.values()))], f"an index or a shape in {op}")
    out = op(elements.lift(x).clone(), *args, **kwargs)
    boolean = isinstance(x, Symbolic) and x.boolean
    if isinstance(out, (list, tuple)):
        return [Symbolic(part.contiguous(), boolean) for part in out]
    return Symbolic(out.contiguous(), boolean)


def _flat(args: tuple[Any, ...]) -> list[Any]:
    out: list[Any] = []
    for arg in args:
        out += list(arg) if isinstance(arg, (list, tuple)) else [arg]
    return out


def _reshape(elements: Elements, op: Any, x: Any, shape: Any) -> Symbolic:
    return Symbolic(elements.lift(x).reshape(concrete(shape, "a shape")), isinstance(x, Symbolic) and x.boolean)


def _join(elements: Elements, op: Any, parts: Any, *args: Any, **kwargs: Any) -> Symbolic:
    concrete([*args, *kwargs.values()], "a dimension")
    boolean = any(isinstance(part, Symbolic) and part.boolean for part in parts)
    return Symbolic(op([elements.lift(part) for part in parts], *args, **kwargs), boolean)


def _write(elements: Elements, op: Any, x: Any, *args: Any, **kwargs: Any) -> Symbolic:
    """Positions: everything but the operand and the source."""
    source_at = 2 if op._schema.name == "aten::scatter" else 0
    rest = list(args)
    source = rest[source_at]
    concrete([*rest[:source_at], *rest[source_at + 1 :], *kwargs.values()], f"a position in {op}")
    rest[source_at] = elements.lift(source)
    return Symbolic(op(elements.lift(x).clone(), *rest, **kwargs))


def _index_put(elements: Elements, op: Any, x: Any, indices: Any, values: Any, accumulate: bool = False) -> Symbolic:
    if accumulate:
        raise Refused("index_put with accumulate=True")
    concrete(indices, "an index")
    return Symbolic(op(elements.lift(x).clone(), indices, elements.lift(values)))


def _copy(elements: Elements, op: Any, x: Any, source: Any, non_blocking: bool = False) -> Symbolic:
    shape = x.ids.shape if isinstance(x, Symbolic) else x.shape
    return Symbolic(elements.lift(source).expand(shape).contiguous())


def _fill(elements: Elements, op: Any, x: Any, value: Any) -> Symbolic:
    shape = x.ids.shape if isinstance(x, Symbolic) else x.shape
    return Symbolic(elements.lift(value).expand(shape).contiguous())


def _pad(elements: Elements, op: Any, x: Any, pad: Any, value: Any = 0) -> Symbolic:
    number = elements.constant(value)
    return Symbolic(torch.ops.aten.constant_pad_nd.default(elements.lift(x), concrete(pad, "a shape"), number))


def _filled_like(elements: Elements, op: Any, x: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
    """The value does not depend on x."""
    concrete([*_flat(args), *kwargs.values()], f"an argument of {op}")
    shape = x.ids.shape if isinstance(x, Symbolic) else x.shape
    dtype = torch.bool if isinstance(x, Symbolic) and x.boolean else torch.float64
    out: torch.Tensor = op(torch.zeros(shape, dtype=dtype) if isinstance(x, Symbolic) else x, *args, **kwargs)
    return out


def empty_like(op: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Uninitialised memory, as nan (so that it can't enter a result unnoticed)."""
    args = tuple(torch.zeros(a.ids.shape, dtype=torch.float64) if isinstance(a, Symbolic) else a for a in args)
    out: torch.Tensor = op(*args, **kwargs)
    return torch.full_like(out, torch.nan) if out.is_floating_point() else torch.zeros_like(out)


def _to_copy(elements: Elements, op: Any, x: Any, **kwargs: Any) -> Symbolic:
    dtype = kwargs.get("dtype")
    if dtype not in (None, torch.float64):
        raise Refused(f"a value that depends on the unknowns is cast to {dtype}, which rounds it")
    return Symbolic(x.ids)


EMPTY = frozenset(_EMPTY.split())
RULES: dict[str, Rule] = {
    **dict.fromkeys(_VIEWS, _view),
    **dict.fromkeys(_RESHAPES, _reshape),
    **dict.fromkeys(_JOINS, _join),
    **dict.fromkeys(_WRITES, _write),
    **dict.fromkeys(_FILLED_LIKE, _filled_like),
    "index_put.default": _index_put,
    "copy.default": _copy,
    "fill.Scalar": _fill,
    "fill.Tensor": _fill,
    "constant_pad_nd.default": _pad,
    "_to_copy.default": _to_copy,
}
