"""The gate: is a traced graph a faithful, value-independent description of the function?

The raw function is traced with fake tensors, which have no values to read; then with real ones at two points, under
different random seeds. All operation sequences and constants must agree, and no operation may be random or depend on
values in its shape. Only then is the function traced once more, with in-place updates written as pure operations, for
the lowering. What no trace can show (code that inspects types or the dispatcher, globals that change later, parameters
trained later) is why an analysis carries the hash of its graph and constants.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_leaves

from ...density._state import one_fake_mode, seeded
from .refusals import Refused

Function = Callable[[torch.Tensor], torch.Tensor]

_DENIED = (
    "_local_scalar_dense",
    "item",
    "is_nonzero",
    "equal",
    "allclose",
    "nonzero",
    "unique",
    "_unique",
    "masked_select",
    "argmax",
    "argmin",
    "argsort",
    "sort",
    "topk",
    "multinomial",
    "bernoulli",
    "as_strided",
    "set_",
    "resize_",
)
_MOST_NODES = 2_000


@dataclass(frozen=True)
class Traced:
    """A function that passed the gate.

    Attributes:
        graph: Pure operations, from a trace with real tensors.
        fingerprint: Hash of the graph and all its constants.
        detached: Whether a value that depends on the unknowns was detached (its gradient is then not the function's).
        dim: Length of the argument.
    """

    graph: GraphModule
    fingerprint: str
    detached: bool
    dim: int


def trace(function: Function, dim: int, points: tuple[torch.Tensor, ...] = ()) -> Traced:
    """Trace ``function(z[dim]) -> scalar`` in float64.

    Args:
        function: The raw function (never one already made functional: that would let its values be read).
        dim: Length of its argument.
        points: Two points where it can be evaluated; standard ones by default.

    Raises:
        Refused: It is not one fixed sequence of pure operations.
    """
    first, second = points if len(points) == 2 else _points(dim)

    def raw(z: torch.Tensor) -> torch.Tensor:
        return function(z)  # one argument, whatever the signature

    fake = _traced(raw, first, "fake", 11)
    runs = [_traced(raw, first, "real", 12), _traced(raw, second, "real", 97)]
    for graph in (fake, *runs):
        _refuse_denied(graph)
    described = [_describe(graph) for graph in (fake, *runs)]
    if not described[0] == described[1] == described[2]:
        raise Refused(_difference(described))
    constants = [_constants(graph) for graph in (fake, *runs)]
    if not (_same(constants[0], constants[1]) and _same(constants[1], constants[2])):
        raise Refused("its constants change from run to run (random numbers, counters, or values read from z)")
    return pure_trace(raw, first)


def pure_trace(function: Function, z: torch.Tensor) -> Traced:
    """The trace with in-place updates as pure operations, alone: for functions that passed the gate (and for tests)."""
    pure = _traced(torch.func.functionalize(function, remove="mutations"), z, "real", 12)
    _refuse_denied(pure)
    return Traced(pure, _fingerprint(pure), _detaches(pure), len(z))


def _points(dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    index = torch.arange(dim, dtype=torch.float64)
    return 0.3 * torch.cos(1.7 * index + 0.4) + 0.05, -1.1 * torch.cos(0.9 * index + 0.1) - 0.02


def _traced(function: Function, z: torch.Tensor, mode: Literal["real", "fake"], seed: int) -> GraphModule:
    from torch.fx.experimental.proxy_tensor import make_fx  # loads much of torch

    with seeded(seed), torch.no_grad(), one_fake_mode() if mode == "real" else nullcontext():
        try:
            graph = make_fx(function, tracing_mode=mode, _allow_non_fake_inputs=True, pre_dispatch=False)(z.clone())
        except Exception as error:
            first = (str(error).strip().splitlines() or ["no message"])[0][:200]
            raise Refused(
                f"it can't be traced with {mode} tensors ({type(error).__name__}: {first}): it branches on values, or "
                "reads them (if, bool, .item(), .numpy(), .tolist()), of the unknowns or of data"
            ) from error
    if len(graph.graph.nodes) > _MOST_NODES:
        raise Refused(f"its graph has {len(graph.graph.nodes)} operations, too many")
    return graph


def _refuse_denied(graph: GraphModule) -> None:
    for node in graph.graph.nodes:
        if node.op in ("placeholder", "get_attr", "output"):
            continue
        if node.op != "call_function":
            raise Refused(f"it calls {node.op} {node.target}, which is no tensor operation")
        if node.target is operator.getitem:
            continue
        if not isinstance(node.target, torch._ops.OpOverload):
            raise Refused(f"it uses the Python operation {node.target} on traced values")
        name = node.target._schema.name.removeprefix("aten::")
        if not node.target._schema.name.startswith(("aten::", "prims::")):
            raise Refused(f"it uses {node.target}, an operation of its own")
        tags = node.target.tags
        if torch.Tag.nondeterministic_seeded in tags:
            raise Refused(f"it uses {node.target}, which is random")
        if name in _DENIED or name.rstrip("_") in _DENIED:
            raise Refused(f"it uses {node.target}, whose result or shape depends on values")
        if name in ("index", "index_put"):
            continue  # the rules ask for known indices and masks
        if torch.Tag.data_dependent_output in tags or torch.Tag.dynamic_output_shape in tags:
            raise Refused(f"it uses {node.target}, whose result or shape depends on values")


def _describe(graph: GraphModule) -> list[tuple[Any, ...]]:
    """The operations in order, dead ones included, with their scalar arguments and where their tensors come from."""
    number = {node: i for i, node in enumerate(graph.graph.nodes)}

    def plain(value: Any) -> Any:
        if isinstance(value, Node):
            return ("node", number[value])
        if isinstance(value, (list, tuple)):
            return tuple(plain(v) for v in value)
        if isinstance(value, dict):
            return tuple(sorted((k, plain(v)) for k, v in value.items()))
        if isinstance(value, slice):
            return ("slice", plain(value.start), plain(value.stop), plain(value.step))
        if isinstance(value, float):
            return ("float", value.hex())
        if isinstance(value, torch.Tensor):
            return ("tensor", tuple(value.shape), str(value.dtype))
        return (type(value).__name__, str(value))

    return [
        (node.op, str(node.target) if node.op != "get_attr" else "", plain(node.args), plain(node.kwargs))
        for node in graph.graph.nodes
    ]


def _difference(described: list[list[tuple[Any, ...]]]) -> str:
    for entries in zip(*described, strict=False):
        if not entries[0] == entries[1] == entries[2]:
            names = sorted({str(entry[1]) for entry in entries})
            return f"its operations change from run to run (first at {', '.join(names)}): values or random numbers"
    return "the number of its operations changes from run to run: it branches on values or on what runs it"


def _constants(graph: GraphModule) -> list[torch.Tensor]:
    return [value for value in _attributes(graph) if isinstance(value, torch.Tensor)]


def _attributes(graph: GraphModule) -> Iterator[Any]:
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            value: Any = graph
            for part in str(node.target).split("."):
                value = getattr(value, part)
            yield value


def _same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    if any(type(value) not in (torch.Tensor, torch.nn.Parameter) for value in (*left, *right)):
        raise Refused("a constant of it is no ordinary tensor")
    return len(left) == len(right) and all(
        a.dtype == b.dtype and a.shape == b.shape and _bytes(a) == _bytes(b) for a, b in zip(left, right, strict=True)
    )


def _bytes(value: torch.Tensor) -> bytes:
    return value.detach().cpu().contiguous().numpy().tobytes()


def _fingerprint(graph: GraphModule) -> str:
    digest = hashlib.sha256(repr(_describe(graph)).encode())
    for value in _constants(graph):
        digest.update(_bytes(value))
    return digest.hexdigest()


def _detaches(graph: GraphModule) -> bool:
    """Whether a detached value depends on the argument."""
    reached: set[Node] = set()
    for node in graph.graph.nodes:
        inputs = [a for a in tree_leaves((node.args, node.kwargs)) if isinstance(a, Node)]
        if node.op == "placeholder" or any(a in reached for a in inputs):
            reached.add(node)
            if node.op == "call_function" and "detach" in str(node.target) and node.users:
                return True
    return False
