"""Sums of squared Lie derivatives over the group, and their errors where elements or directions are drawn."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...groups import Action, Group
from .._capture import OUTPUT
from .._rules import MonteCarlo
from ._derivative import Derivative
from ._result import LayerTerm, LieError


class LieSums:
    """Sums of squares over elements, weighted, and the table of pooled values that errors come from."""

    def __init__(self, action: Action, mask: Tensor | None, keep: bool) -> None:
        self.events, self.mask, self.keep = len(action.event_shape), mask, keep
        self.count = 0
        self.squared: dict[int, Tensor] = {}
        self.terms: dict[str, tuple[Tensor, Tensor]] = {}
        self.vectors: dict[str, list[Tensor]] = {}
        self.table: list[list[Tensor]] = []
        self.shares: list[Tensor] = []
        self.norm = torch.zeros(())

    def start(self, weights: Tensor, y: Tensor) -> None:
        """A block of elements with responses ``y [k, B, *rest]``."""
        self.block, self.shape, self.number = weights, y.shape, 0
        self.norm = self.norm + self._mean(self.whole(y.square()))
        self.table.append([])
        self.shares.append(weights)
        self.weights = torch.ones_like(self.whole(y)[0])
        mask = self.mask
        if mask is not None and self.weights.shape[: mask.ndim] == mask.shape:
            self.weights = self.weights * mask.to(self.weights).reshape(
                *mask.shape, *(1,) * (self.weights.ndim - mask.ndim)
            )

    def add(self, tangent: Tensor, turn: Tensor | None, terms: dict[str, Tensor]) -> None:
        """The next direction: tangent of the output, velocity of rho_out at it, terms of layers."""
        whole = self._part(tangent, turn)
        squares = self.whole(whole.square())
        pooled = (squares * self.weights).flatten(1).sum(1) / self.weights.sum()
        self.table[-1].append(pooled)
        self.squared[self.number] = self.squared.get(self.number, 0) + self._mean(squares)
        if self.keep:
            self.vectors.setdefault("", []).append(whole[0])
        for name, term in terms.items():
            part = self._part(term, turn if name == OUTPUT else None)
            before = self.terms.get(name, (0, 0))
            square, inner = self._mean(self.whole(part.square())), self._mean(self.whole(part * whole))
            self.terms[name] = (before[0] + square, before[1] + inner)
            if self.keep:
                self.vectors.setdefault(name, []).append(part[0])
        self.number += 1
        self.count += 1

    def result(
        self, group: Group, method: Derivative, reasons: tuple[str, ...], probed: bool, average: Any, floor: float
    ) -> LieError:
        """Everything in its place; with probes a mean over directions."""
        share = 1 / self.number if probed else 1.0
        by_generator = torch.stack(list(self.squared.values()))
        if probed:
            by_generator = by_generator.mean(0, keepdim=True)
        terms = tuple(
            LayerTerm(name, square * share, inner * share, self._vector(name))
            for name, (square, inner) in self.terms.items()
            if name != OUTPUT or bool(square.any())
        )
        error = self._error(probed, isinstance(average, MonteCarlo))
        return LieError(
            by_generator,
            self.norm,
            self.weights,
            terms,
            self._vector(""),
            group,
            method,
            reasons,
            average is not None,
            error,
            floor,
        )

    def _error(self, probed: bool, sampled: bool) -> float:
        """Standard error of the mean square over probes and draws (crossed: their variances add)."""
        table = torch.cat([torch.stack(block) for block in self.table], 1)  # [directions, elements]
        table = table if probed else table.sum(0, keepdim=True)
        variance = 0.0
        if probed:
            variance += float((table @ torch.cat(self.shares).to(table)).var()) / len(table)
        if sampled:
            variance += float(table.mean(0).var()) / table.shape[1]
        return math.sqrt(variance)

    def _vector(self, name: str) -> Tensor | None:
        return torch.stack(self.vectors[name]) if self.keep else None

    def _part(self, tangent: Tensor, turn: Tensor | None) -> Tensor:
        values = tangent.double().reshape(self.shape)
        return values if turn is None else values - turn

    def pooled(self, objects: Tensor) -> float:
        """Mean over the objects that count."""
        return float((self.weights * objects).sum() / self.weights.sum())

    def whole(self, values: Tensor) -> Tensor:
        """Sum over the components of an object, ``[..., B, *rest]`` to ``[..., B, *copies]``."""
        return values.sum(tuple(range(-self.events, 0))) if self.events else values

    def _mean(self, values: Tensor) -> Tensor:
        return torch.tensordot(self.block, values, dims=1)
