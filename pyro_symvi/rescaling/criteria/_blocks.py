"""The entries of a parameter vector, put into blocks by the units that they join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ...groups import NetworkRescaling
from ..tracing import TracedNetwork
from ._block import Block, Index, Vector


def blocks_of(network: TracedNetwork, logs: Vector, *, largest: bool = False) -> tuple[Block, ...]:
    """Blocks with the log weights ``[dim]`` of all entries (-inf: none), those between the same units taken together.

    A layer between two lists of units (dense, convolution) is one dense matrix, so that nothing but the logs of its
    n entries is stored; all else (biases, grouped convolutions) goes into one sparse matrix for each degree. An entry
    from a unit into itself does not move where k = 1.

    Args:
        network: with its action.
        logs: log weights.
        largest: entries between the same units are represented by the largest, not by their sum.
    """
    action, places = network.action, network.layout
    units = action.units
    heads, tails = (np.where(i < 0, units, i) for i in (action.enters.numpy(), action.leaves.numpy()))
    degrees = None if action.degrees is None else action.degrees.double().numpy()
    blocks: list[Block] = []
    rest = []
    for name, shape in zip(places.names, places.shapes, strict=True):
        part = places.slices[name]
        k = 1.0 if degrees is None else float(degrees[part].max(initial=1.0))
        uniform = degrees is None or bool((degrees[part] == k).all())
        block = _dense(heads[part], tails[part], k, logs[part], shape, units, largest) if uniform else None
        if block is None:
            rest.append(np.arange(part.start, part.stop))
        else:
            blocks.append(block)
    loose = [Entries(heads[i], tails[i], _at(degrees, i), logs[i]) for i in rest]
    blocks, loops = _without_loops(blocks, units)
    return (*blocks, *_sparse([*loose, *loops], units, largest))


def counts_of(action: NetworkRescaling, chosen: np.ndarray | None) -> tuple[Index, Index, Vector]:
    """How many of the chosen entries (None: all) enter and leave each unit ``[H]``, and B^T 1 over them."""
    units = action.units
    into, out = action.enters.numpy(), action.leaves.numpy()
    degrees = None if action.degrees is None else action.degrees.double().numpy()
    if chosen is not None:
        into, out = into[chosen], out[chosen]
        degrees = None if degrees is None else degrees[chosen]
    fan_in = np.bincount(into + 1, minlength=units + 1)[1:]
    fan_out = np.bincount(out + 1, minlength=units + 1)[1:]
    leaving = fan_out if degrees is None else np.bincount(out + 1, degrees, units + 1)[1:]
    return fan_in, fan_out, (leaving - fan_in).astype(float)


class Entries(NamedTuple):
    """Single entries: units entered and left, degrees, log weights, all ``[m]``."""

    heads: Index
    tails: Index
    degrees: Vector
    logs: Vector


def _at(degrees: Vector | None, index: Index) -> Vector:
    return np.ones(len(index)) if degrees is None else degrees[index]


def _dense(
    heads: Index, tails: Index, degree: float, logs: Vector, shape: Sequence[int], units: int, largest: bool
) -> Block | None:
    """One matrix, where heads depend on one of the first two axes alone and tails on the other."""
    if len(shape) < 2 or len(logs) < 16:
        return None
    shaped = (shape[0], shape[1], -1)
    into, out, x = heads.reshape(shaped), tails.reshape(shaped), logs.reshape(shaped)
    for turn in (False, True):
        if turn:
            into, out, x = np.swapaxes(into, 0, 1), np.swapaxes(out, 0, 1), np.swapaxes(x, 0, 1)
        if bool((into == into[:, :1, :1]).all()) and bool((out == out[:1, :, :1]).all()):
            matrix = _combine_last(x, largest)
            rows, matrix = _merge(into[:, 0, 0], matrix, largest)
            columns, turned = _merge(out[0, :, 0], matrix.T, largest)
            return Block(rows, columns, degree, np.ascontiguousarray(turned.T))
    return None


def _combine_last(x: Vector, largest: bool) -> Vector:
    if x.shape[2] == 1:
        return x[:, :, 0]
    top = x.max(2)
    if largest:
        return top
    safe = np.maximum(top, -1e300)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - safe[:, :, None]).sum(2)) + safe


def _merge(units: Index, x: Vector, largest: bool) -> tuple[Index, Vector]:
    """Rows of the same unit taken together."""
    found, starts = np.unique(np.sort(units), return_index=True)
    if len(found) == len(units):
        return units, x
    order = np.argsort(units, kind="stable")
    x = x[order]
    top = np.maximum.reduceat(x, starts, axis=0)
    if largest:
        return found, top
    group = np.repeat(np.arange(len(found)), np.diff(np.append(starts, len(units))))
    safe = np.maximum(top, -1e300)
    with np.errstate(divide="ignore"):
        return found, np.log(np.add.reduceat(np.exp(x - safe[group]), starts, axis=0)) + safe


def _without_loops(blocks: list[Block], units: int) -> tuple[list[Block], list[Entries]]:
    """Entries of dense blocks that lead from a unit into itself, taken out."""
    kept, loops = [], []
    for block in blocks:
        common, rows, columns = np.intersect1d(block.heads, block.tails, return_indices=True)
        own = common < units
        if own.any():
            logs = block.logs[rows[own], columns[own]]
            loops.append(Entries(common[own], common[own], np.full(len(logs), block.degree), logs))
            others = block.logs.copy()  # the block may be a view of the caller's weights
            others[rows[own], columns[own]] = -np.inf
            block = replace(block, logs=others)
        kept.append(block)
    return kept, loops


def _sparse(parts: list[Entries], units: int, largest: bool) -> list[Block]:
    """One sparse block for each degree."""
    if not parts:
        return []
    heads, tails, degrees, logs = (np.concatenate(column) for column in zip(*parts, strict=True))
    loop = (heads == tails) & (heads < units)
    degrees = np.where(loop, degrees - 1, degrees)  # B z = (k - 1) z: as if it led outside
    still = loop & (degrees == 0)
    heads = np.where(loop, units, heads)
    tails = np.where(still, units, tails)
    degrees = np.where(still | (tails == units), 1.0, degrees)
    everything = np.arange(units + 1)
    blocks = []
    for degree in np.unique(degrees):
        chosen = (degrees == degree) & (logs > -np.inf)
        key = heads[chosen] * (units + 1) + tails[chosen]
        order = np.argsort(key, kind="stable")
        found = np.unique(key)
        if not len(found):
            continue
        _, merged = _merge(key, logs[chosen][:, None], largest)
        if len(found) == len(key):
            merged = logs[chosen][order][:, None]
        row, column = np.divmod(found, units + 1)
        pointer = np.searchsorted(row, np.arange(units + 2))
        pattern = sparse.csr_matrix((np.ones(len(found)), column, pointer), shape=(units + 1, units + 1))
        blocks.append(Block(everything, everything, float(degree), merged[:, 0], pattern))
    return blocks
