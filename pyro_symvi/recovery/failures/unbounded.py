"""Failures without an optimum: infinite objectives, objectives that fall for ever, statistics that do not exist."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...families import Parameters
from ..theorems import Guide, Objective, Setting
from .failure import Curve, Failure, Optimum


@dataclass(frozen=True, kw_only=True)
class Unbounded(Failure):
    """An objective with no least value, or a statistic with no value.

    Attributes:
        growth: What is drawn: numbers ``[n]`` for places ``[n]``.
        span: First and last place.
        label: Words for places.
        quantity: Words for the numbers.
        missing: What does not exist.
        guide_at: Parameters of the guide that is drawn, and certified.
    """

    growth: Callable[[Tensor], Tensor] = field(repr=False, compare=False)
    span: tuple[float, float]
    label: str
    quantity: str = "objective"
    missing: str = "there is no optimum"
    guide_at: Parameters = field(repr=False, compare=False)

    def curve(self, nodes: int = 61) -> Curve:
        """The numbers over the span."""
        at = torch.linspace(*self.span, nodes, dtype=torch.float64)
        return Curve(at, self.growth(at), self.label)

    def optima(self) -> tuple[Optimum, ...]:
        """None."""
        return ()

    def error(self) -> float:
        """Infinite."""
        return math.inf

    @property
    def outcome(self) -> str:
        """What is missing."""
        return f"undefined, {self.missing}"

    def fitted(self) -> Optimum:
        """The guide that is drawn."""
        return Optimum(tuple(self.guide_at["loc"].tolist()), self.guide_at, math.nan)

    def setting(self) -> Setting:
        """Target, guide and objective, of which nothing is granted."""
        return Setting(self.target, Guide.of(self.family), self.objective or Objective(self.divergence))


__all__ = ["Unbounded"]
