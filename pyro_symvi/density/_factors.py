"""One matrix times many vectors, as one product of two matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

_ATEN = torch.ops.aten


def share_factors(module: fx.GraphModule, tensors: Sequence[Tensor]) -> None:
    r"""Rewrite ``bmm`` where one factor is the same matrix for the whole batch and the other a vector.

    ``vmap`` makes of :math:`X\beta` for ``beta [n, k]`` a batch of n products ``[n, r, k] @ [n, k, 1]`` with X repeated
    (stride zero); :math:`\beta X^T`, one product of ``[n, k]`` and ``[k, r]``, is the same and reads X once.

    Args:
        module: Changed in place.
        tensors: Values of its inputs.
    """
    graph = module.graph
    places = [node for node in graph.nodes if node.op == "placeholder"]
    known: dict[fx.Node, Any] = dict(zip(places, tensors, strict=True))
    for node in [node for node in graph.nodes if node.op == "call_function" and node.target is _ATEN.bmm.default]:
        factors = [known.get(factor, factor.meta.get("val")) for factor in node.all_input_nodes]
        if len(factors) != 2 or not all(isinstance(factor, Tensor) for factor in factors):
            continue
        left, right = node.all_input_nodes
        with graph.inserting_before(node):
            if _repeated(factors[0]) and factors[1].shape[2] == 1:
                matrix = graph.call_function(_ATEN.t.default, (graph.call_function(_ATEN.select.int, (left, 0, 0)),))
                vectors, dim = graph.call_function(_ATEN.squeeze.dim, (right, 2)), 2
            elif _repeated(factors[1]) and factors[0].shape[1] == 1:
                matrix = graph.call_function(_ATEN.select.int, (right, 0, 0))
                vectors, dim = graph.call_function(_ATEN.squeeze.dim, (left, 1)), 1
            else:
                continue
            product = graph.call_function(_ATEN.mm.default, (vectors, matrix))
            node.replace_all_uses_with(graph.call_function(_ATEN.unsqueeze.default, (product, dim)))
        graph.erase_node(node)
    module.recompile()


def _repeated(batch: Tensor) -> bool:
    return batch.stride(0) == 0 or batch.shape[0] == 1
