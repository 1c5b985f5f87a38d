"""Which units have exactly one best scale, which have none, and which may be updated at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from ._block import Block, Index


@dataclass(frozen=True)
class LiveGraph:
    """Units and live entries as a directed graph, with all that has no free scale as one node, the outside.

    A criterion has exactly one minimiser over the scales of the units that lie on a cycle through the outside, that is
    on a live path from inputs or biases to outputs (Eaves, Hoffman, Rothblum and Schneider 1985: a matrix can be
    balanced if and only if its graph is a union of strongly connected parts). Other units keep their scale, and the
    entries that touch them count nowhere: so the best point of the others does not depend on them.

    Attributes:
        frozen: ``[H]``, units that keep their scale.
        reasons: why, one a frozen unit.
        layers: free units in lists within which no two are joined, in the order of the network.
        acyclic: whether the free units without the outside have no cycle (they have one where sums tie units).
    """

    frozen: NDArray[np.bool_]
    reasons: dict[int, str]
    layers: tuple[Index, ...]
    acyclic: bool

    @staticmethod
    def of(blocks: tuple[Block, ...], units: int) -> LiveGraph:
        """From blocks with -inf for entries that are not live."""
        graph = _graph(blocks, units)
        _, labels = csgraph.connected_components(graph, directed=True, connection="strong")
        frozen = labels[:units] != labels[units]
        reasons = _reasons(graph, units, frozen) if frozen.any() else {}
        depth = _depths(graph, units, frozen)
        free = np.flatnonzero(~frozen)
        acyclic = bool((depth[free] >= 0).all())
        colours = depth if acyclic else _colours(blocks, units, frozen)
        layers = tuple(free[colours[free] == c] for c in np.unique(colours[free]))
        return LiveGraph(frozen, reasons, layers, acyclic)


def _graph(blocks: tuple[Block, ...], units: int) -> sparse.csr_matrix:
    """The graph; a full block is a hub with its units around it, not r times c edges."""
    sources, targets, hub = [], [], units + 1
    for block in blocks:
        if block.is_full():
            sources += [block.tails, np.full(len(block.heads), hub)]
            targets += [np.full(len(block.tails), hub), block.heads]
            hub += 1
        else:
            tail, head, _ = block.edges()
            sources.append(tail)
            targets.append(head)
    tails, heads = (np.concatenate([*x, np.zeros(0, np.int64)]) for x in (sources, targets))
    return sparse.csr_matrix((np.ones(len(tails)), (tails, heads)), shape=(hub, hub))


def _reasons(graph: sparse.csr_matrix, units: int, frozen: NDArray[np.bool_]) -> dict[int, str]:
    fed = np.zeros(graph.shape[0], bool)
    read = fed.copy()
    fed[csgraph.breadth_first_order(graph, units, return_predecessors=False)] = True
    read[csgraph.breadth_first_order(graph.T.tocsr(), units, return_predecessors=False)] = True
    words = {
        (False, False): "nothing live enters or leaves it",
        (False, True): "nothing live reaches it from the inputs or a bias",
        (True, False): "nothing live leads from it to the outputs",
        (True, True): "it lies on no live path",
    }
    return {int(u): words[bool(fed[u]), bool(read[u])] for u in np.flatnonzero(frozen)}


def _depths(graph: sparse.csr_matrix, units: int, frozen: NDArray[np.bool_]) -> Index:
    """Length of the longest path to each node from a source, the outside taken away; -1 on cycles ``[H]``."""
    keep = np.ones(graph.shape[0], bool)
    keep[:units], keep[units] = ~frozen, False
    inner = graph[keep][:, keep].tocsr()
    inner.data[:] = 1.0
    depth = np.full(inner.shape[0], -1)
    waiting = np.asarray(inner.sum(0)).ravel()
    level = 0
    while True:
        ready = (waiting == 0) & (depth < 0)
        if not ready.any():
            break
        depth[ready] = level
        waiting -= inner.T @ ready.astype(float)
        level += 1
    result = np.full(graph.shape[0], -1)
    result[keep] = depth
    return result[:units]


def _colours(blocks: tuple[Block, ...], units: int, frozen: NDArray[np.bool_]) -> Index:
    """Colours ``[H]`` such that no two joined units share one, greedily in the order of the units."""
    pairs = [block.edges()[:2] for block in blocks]
    tails, heads = (np.concatenate(x) for x in zip(*pairs, strict=True))
    inner = (tails < units) & (heads < units)
    graph = sparse.csr_matrix((np.ones(int(inner.sum())), (tails[inner], heads[inner])), shape=(units, units))
    graph = (graph + graph.T).tocsr()
    colours = np.full(units, -1)
    for u in np.flatnonzero(~frozen):
        taken = set(colours[graph.indices[graph.indptr[u] : graph.indptr[u + 1]]].tolist())
        colour = 0
        while colour in taken:
            colour += 1
        colours[u] = colour
    return colours
