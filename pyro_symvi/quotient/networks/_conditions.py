"""What a network is told of clouds besides coordinates, checked and flattened to one batch dimension."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._context import Batched, Context


@dataclass(frozen=True)
class Conditions:
    """Times and contexts of a flat batch of B clouds.

    Args:
        time: ``[B, T]``, features of the noise level.
        mask: ``[B, N]`` bool, or None where every point is there.
        features: ``[B, N, F]``, or None.
        pairs: ``[B, N, N, K]``, indicators of the kind of each pair (see ``pair_kinds``), or None; B is 1 where
            the pairs of all clouds are the same.
    """

    time: Tensor
    mask: Tensor | None
    features: Tensor | None
    pairs: Tensor | None


def pair_kinds(edge_kinds: int, hops: int) -> int:
    """How many kinds of pairs there are: 0 for none, 1..E for edges, then one a graph distance of 2..``hops``."""
    return 0 if edge_kinds == 0 else 1 + edge_kinds + max(hops - 1, 0)


def flat_conditions(
    context: Context | None,
    time: Tensor,
    batch: torch.Size,
    points: int,
    *,
    features: int,
    edge_kinds: int,
    hops: int,
) -> Conditions:
    """Conditions ``[B, ...]`` from a context ``[*batch, N]``, or one of fewer batch dimensions that broadcasts.

    Raises:
        ValueError: for a context of another shape; features or edges that are missing, not wanted, or of another
            number than the network was made for.
    """
    context = Context() if context is None else context
    if context.shape is not None:
        _check_shape(context.shape, batch, points)
    given = 0 if context.features is None else context.features.shape[-1]
    if given != features:
        raise ValueError(
            f"expected {features or 'no'} features a point, got {given or 'none'}, because the network was made with "
            f"features={features}; try features={given} or another context"
        )
    if (context.edges is None) != (edge_kinds == 0):
        raise ValueError(
            f"expected {'a context with' if edge_kinds else 'no'} edges, because the network was made with "
            f"edge_kinds={edge_kinds}; try edge_kinds=K, the largest kind in context.edges"
        )
    pairs = None
    if context.edges is not None:
        edges, dtype = context.edges, time.dtype
        key = (edge_kinds, hops)
        (kinds,) = context.remember(Batched(("pair kinds", *key)), lambda: (_kinds(edges, edge_kinds, hops),))
        pairs = context.remember(("pairs", *key, dtype), lambda: _one_hot(kinds, pair_kinds(*key), dtype))
        shared = pairs.shape[:-3].numel() == 1 and batch.numel() > 0
        event = pairs.shape[-3:]
        pairs = (pairs if shared else pairs.expand(*batch, *event)).reshape(-1, *event)

    def flat(field: Tensor | None, trailing: int) -> Tensor | None:
        if field is None:
            return None
        event = field.shape[field.ndim - trailing :]
        return field.expand(*batch, *event).reshape(-1, *event)

    mask = flat(context.mask, 1)
    if mask is not None and context.remember("no padding", lambda: bool(context.mask.all())):  # type: ignore[union-attr]
        mask = None
    values = flat(context.features, 2)
    return Conditions(time, mask, None if values is None else values.to(time), pairs)


def _check_shape(shape: torch.Size, batch: torch.Size, points: int) -> None:
    try:
        fits = shape[-1] == points and torch.broadcast_shapes(shape[:-1], batch) == batch
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"expected a context of shape {[*batch, points]}, got {list(shape)}, because the clouds are "
            f"{[*batch, points, 3]}; try context.expand(...) or context[index]"
        )


def _one_hot(kinds: Tensor, count: int, dtype: torch.dtype) -> Tensor:
    return (kinds[..., None] == torch.arange(count, device=kinds.device)).to(dtype)


def _kinds(edges: Tensor, edge_kinds: int, hops: int) -> Tensor:
    """Pair kinds ``[*batch, N, N]``: the edge's own, then E + g - 1 for points g = 2..hops edges apart."""
    low, high = (int(edges.min()), int(edges.max())) if edges.numel() else (0, 0)
    if low < 0 or high > edge_kinds:
        raise ValueError(
            f"expected edges in 0..{edge_kinds}, got {low}..{high}, because the network was made with "
            f"edge_kinds={edge_kinds}; try edge_kinds={high}"
        )
    kinds = edges.long()
    if hops < 2:
        return kinds
    joined = (kinds != 0).float()
    reached = (joined + torch.eye(joined.shape[-1], device=joined.device)).clamp(max=1.0)
    for distance in range(2, hops + 1):
        further = (reached @ joined + reached).clamp(max=1.0)
        kinds = torch.where(further > reached, edge_kinds + distance - 1, kinds)
        reached = further
    return kinds
