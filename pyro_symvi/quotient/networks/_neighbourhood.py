"""Which points talk to which: all pairs, or those near in the sequence."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Neighbourhood(ABC):
    """For each of N points its K neighbours.

    ``weights`` ``[B or 1, N, K]`` are zero for a point itself, padding and places beyond the ends; otherwise one over
    the root of the number of neighbours.
    """

    weights: Tensor

    @abstractmethod
    def spread(self, values: Tensor) -> Tensor:
        """Values of the neighbours: ``[B, N, ...]`` -> ``[B, N or 1, K, ...]``."""

    @abstractmethod
    def chosen(self, pairs: Tensor) -> Tensor:
        """Values of pairs ``[B, N, N, C]`` for the neighbours: ``[B, N, K, C]``."""

    @abstractmethod
    def combine(self, coefficients: Tensor, vectors: Tensor) -> Tensor:
        """Sums over neighbours j of coefficients ``[B, N, K, H]`` times vectors ``[B, N, d, C]`` of j, in H groups."""


class AllPairs(Neighbourhood):
    """Each point hears every other: time and memory N^2."""

    def __init__(self, x: Tensor, mask: Tensor | None) -> None:
        points = x.shape[-2]
        there = 1 - torch.eye(points, dtype=x.dtype, device=x.device)[None]
        if mask is not None:
            there = there * mask[:, None, :].to(x)
        self.weights = there / there.sum(-1, keepdim=True).clamp(min=1.0).sqrt()

    def spread(self, values: Tensor) -> Tensor:
        return values[:, None]

    def chosen(self, pairs: Tensor) -> Tensor:
        return pairs

    def combine(self, coefficients: Tensor, vectors: Tensor) -> Tensor:
        heads, (batch, points, d, count) = coefficients.shape[-1], vectors.shape
        split = vectors.reshape(batch, points, d, heads, count // heads).permute(0, 3, 1, 2, 4).flatten(3)
        summed = coefficients.permute(0, 3, 1, 2) @ split
        return summed.reshape(batch, heads, points, d, count // heads).permute(0, 2, 3, 1, 4).reshape(vectors.shape)


class Window(Neighbourhood):
    """Each point hears those at most ``reach`` places before or after it: time and memory N reach."""

    def __init__(self, x: Tensor, mask: Tensor | None, reach: int) -> None:
        points = x.shape[-2]
        reach = min(reach, points - 1)
        offsets = torch.cat([torch.arange(-reach, 0), torch.arange(1, reach + 1)]).to(x.device)
        places = torch.arange(points, device=x.device)[:, None] + offsets
        there = ((places >= 0) & (places < points))[None]
        self.places = places.clamp(0, points - 1)
        if mask is not None:
            there = there & mask[:, self.places]
        there = there.to(x)
        self.weights = there / there.sum(-1, keepdim=True).clamp(min=1.0).sqrt()

    def spread(self, values: Tensor) -> Tensor:
        chosen = values.index_select(1, self.places.reshape(-1))
        return chosen.reshape(len(values), *self.places.shape, *values.shape[2:])

    def chosen(self, pairs: Tensor) -> Tensor:
        return pairs[:, torch.arange(len(self.places), device=pairs.device)[:, None], self.places]

    def combine(self, coefficients: Tensor, vectors: Tensor) -> Tensor:
        each = coefficients.repeat_interleave(vectors.shape[-1] // coefficients.shape[-1], -1)
        return (each[..., None, :] * self.spread(vectors)).sum(2)
