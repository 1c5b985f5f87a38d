"""From an aten graph to one canonical expression, and nothing assumed on the way.

Operations on data alone are run by torch: their rounded results *are* the constants. Operations on what depends on the
unknowns must be listed, with the very schema that was pinned, or the function is refused. Each result's shape and dtype
is compared with what torch recorded.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch.fx import Node
from torch.utils._pytree import tree_leaves

from ...density._precision import float64_default
from . import elementwise, reductions, structural
from .expressions import Expressions
from .gate import Traced
from .polynomials import Polynomial
from .refusals import Refused
from .schemas import SCHEMAS, schema_hash
from .sums_of_squares import SumOfSquares
from .tensors import Elements, Symbolic

RULES = {**structural.RULES, **elementwise.RULES, **reductions.RULES}
"""The meaning of each operation, by ``name.overload``."""
_IN_PLACE_VIEWS = ("squeeze_.dim", "squeeze_.default", "unsqueeze_.default", "detach_.default")


def lower(traced: Traced, table: Expressions) -> Polynomial:
    """The canonical expression of a traced function's value.

    Raises:
        Refused: An operation, an overload or a use of one that has no rule; more work than the budget allows.
    """
    elements = Elements(table)
    values: dict[Node, Any] = {}
    result: Any = None
    for node in traced.graph.graph.nodes:
        if node.op == "placeholder":
            ids = [elements.add(table.coordinate(j)) for j in range(traced.dim)]
            values[node] = Symbolic(torch.tensor(ids, dtype=torch.int64))
        elif node.op == "get_attr":
            values[node] = _attribute(traced, node)
        elif node.op == "output":
            result = _resolved(node.args[0], values)
        else:
            values[node] = _run(elements, node, values)
    if isinstance(result, (list, tuple)) and len(result) == 1:
        result = result[0]
    if isinstance(result, torch.Tensor):
        raise Refused("the log density does not depend on any unknown")
    if not isinstance(result, Symbolic) or result.boolean or result.ids.numel() != 1:
        raise Refused("the value is not one number")
    (value,) = elements.polynomials(result.ids)
    if value.special:
        raise Refused(f"the log density is {value.special}")
    return value.expanded() if isinstance(value, SumOfSquares) else value


def _attribute(traced: Traced, node: Node) -> Any:
    value: Any = traced.graph
    for part in str(node.target).split("."):
        value = getattr(value, part)
    return value.detach() if isinstance(value, torch.Tensor) else value


def _resolved(value: Any, values: dict[Node, Any]) -> Any:
    if isinstance(value, Node):
        return values[value]
    if isinstance(value, (list, tuple)):
        return type(value)(_resolved(v, values) for v in value)
    if isinstance(value, dict):
        return {k: _resolved(v, values) for k, v in value.items()}
    return value


def _run(elements: Elements, node: Node, values: dict[Node, Any]) -> Any:
    args, kwargs = _resolved(node.args, values), _resolved(node.kwargs, values)
    if node.target is operator.getitem:
        return args[0][args[1]]
    op: Any = node.target
    name = str(op).removeprefix("aten.")
    symbolic = any(isinstance(leaf, Symbolic) for leaf in tree_leaves((args, kwargs), is_leaf=_is_symbolic))
    if name in structural.EMPTY:
        out = structural.empty_like(op, *args, **kwargs)
        return out.to(node.meta["val"].dtype)
    if name in _IN_PLACE_VIEWS:
        _refuse_shared(node)
    elif op._schema.is_mutable:
        raise Refused(f"it updates a tensor in place ({op})")
    if not symbolic:
        return _constant(node, op, _copied(args), kwargs)
    rule = RULES.get(name)
    if rule is None:
        raise Refused(f"the operation {op} on values that depend on the unknowns is not known to the checker")
    if SCHEMAS.get(name) != schema_hash(op):
        raise Refused(f"the operation {op} has another schema than the one the checker was written for")
    out = rule(elements, op, *args, **{k: v for k, v in kwargs.items() if not _idle(k, v)})
    _check(node, out)
    return out


def _constant(node: Node, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operation on data, run by torch, with the dtype it had in the trace (where the default may be another)."""
    out = op(*args, **kwargs)
    recorded = node.meta.get("val")
    if isinstance(out, torch.Tensor) and isinstance(recorded, torch.Tensor) and out.dtype != recorded.dtype:
        with float64_default():
            out = op(*args, **kwargs)
    _check(node, out)
    return out


def _is_symbolic(value: Any) -> bool:
    return isinstance(value, Symbolic)


def _copied(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """An in-place view must not change the constants of the graph."""
    return tuple(a.view(a.shape) if isinstance(a, torch.Tensor) else a for a in args)


def _idle(key: str, value: Any) -> bool:
    """Keyword arguments about where and how memory lies."""
    return key in ("device", "pin_memory", "layout", "memory_format", "non_blocking", "requires_grad", "implicit")


def _refuse_shared(node: Node) -> None:
    source = node.args[0]
    if not isinstance(source, Node) or len(source.users) != 1:
        raise Refused(f"it updates a tensor in place that is used elsewhere ({node.target})")


def _check(node: Node, out: Any) -> None:
    """Shape and dtype are those that torch recorded."""
    recorded = node.meta.get("val")
    outs = list(out) if isinstance(out, (list, tuple)) else [out]
    metas = list(recorded) if isinstance(recorded, (list, tuple)) else [recorded]
    if len(outs) != len(metas):
        raise Refused(f"{node.target} gives {len(metas)} tensors where the checker has {len(outs)}")
    for value, meta in zip(outs, metas, strict=True):
        if value is None:
            continue
        if not isinstance(value, (Symbolic, torch.Tensor)):
            raise Refused(f"{node.target} gives a {type(value).__name__}")
        if meta is None:
            raise Refused(f"the shape of {node.target} was not recorded")
        shape = value.ids.shape if isinstance(value, Symbolic) else value.shape
        if tuple(shape) != tuple(meta.shape):
            raise Refused(f"{node.target} has shape {tuple(meta.shape)} where the checker has {tuple(shape)}")
        if isinstance(value, Symbolic):
            wanted = torch.bool if value.boolean else torch.float64
            if meta.dtype != wanted:
                raise Refused(f"{node.target} gives {meta.dtype} from the unknowns; only float64 is analysed")
        elif value.dtype != meta.dtype:
            raise Refused(f"{node.target} gives {meta.dtype} where the checker has {value.dtype}")
