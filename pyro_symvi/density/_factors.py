"""One matrix times many vectors, as one product of two matrices."""

from __future__ import annotations

import torch
from torch import Tensor, fx

_BMM, _MM, _SQUEEZE, _UNSQUEEZE = (
    torch.ops.aten.bmm.default,
    torch.ops.aten.mm.default,
    torch.ops.aten.squeeze.dim,
    torch.ops.aten.unsqueeze.default,
)


def share_factors(module: fx.GraphModule, constants: tuple[Tensor, ...], inputs: int) -> tuple[Tensor, ...]:
    r"""Rewrite ``bmm`` where one factor is the same constant matrix for the whole batch and the other a vector.

    ``vmap`` makes of :math:`X\beta` for ``beta [n, k]`` a batch of n products ``[n, r, k] @ [n, k, 1]`` with X repeated
    (stride zero); :math:`\beta X^T`, one product of ``[n, k]`` and ``[k, r]``, is the same and reads X once.

    Returns:
        The constants, with the matrices made anew at the end; the module's inputs follow them.
    """
    graph = module.graph
    places = [node for node in graph.nodes if node.op == "placeholder"]
    values = dict(zip(places[inputs:], constants, strict=True))
    last = places[-1]
    added: list[Tensor] = []
    for node in [node for node in graph.nodes if node.op == "call_function" and node.target is _BMM]:
        left, right = node.args
        side = 0 if _shared(values.get(left)) else 1 if _shared(values.get(right)) else None
        vector = node.args[1 - side] if side is not None else None
        if side is None or not isinstance(vector, fx.Node):
            continue
        matrix, dim = values[node.args[side]][0], 2 if side == 0 else 1
        shape = _shape(vector)
        if shape is None or len(shape) != 3 or shape[dim] != 1:
            continue
        matrix = (matrix.mT if side == 0 else matrix).contiguous()
        with graph.inserting_after(last):
            last = graph.placeholder(f"factor_{len(added)}")
        added.append(matrix)
        with graph.inserting_before(node):
            rows = graph.call_function(_SQUEEZE, (vector, dim))
            product = graph.call_function(_MM, (rows, last))
            node.replace_all_uses_with(graph.call_function(_UNSQUEEZE, (product, dim)))
        graph.erase_node(node)
    if not added:
        return constants
    kept = list(constants)
    for node, value in values.items():
        if not node.users:
            graph.erase_node(node)
            kept = [other for other in kept if other is not value]
    module.recompile()
    return (*kept, *added)


def _shared(value: Tensor | None) -> bool:
    return value is not None and value.dim() == 3 and (value.stride(0) == 0 or value.shape[0] == 1)


def _shape(node: fx.Node) -> torch.Size | None:
    value = node.meta.get("val", node.meta.get("tensor_meta"))
    return getattr(value, "shape", None)
