"""How the learning rate moves during training, as a factor."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from ._value import Value, positive_int


@dataclass(frozen=True, eq=False, repr=False)
class Schedule(Value, ABC):
    """A factor of the learning rate for each step. To implement one, write ``_factor``.

    Args:
        warmup: steps over which the factor rises linearly from 0.
    """

    needs_end = True
    """Whether the factor depends on the number of steps: such a run cannot be prolonged."""

    warmup: int = 0

    def __post_init__(self) -> None:
        positive_int(self.warmup, "warmup", minimum=0)

    def factor(self, step: int, steps: int) -> float:
        """The factor of step 0, 1, ..., steps - 1."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        return rise * self._factor(step, steps)

    @abstractmethod
    def _factor(self, step: int, steps: int) -> float: ...


@dataclass(frozen=True, eq=False, repr=False)
class Constant(Schedule):
    """The same rate throughout: a run can be prolonged."""

    needs_end = False

    def _factor(self, step: int, steps: int) -> float:
        return 1.0


@dataclass(frozen=True, eq=False, repr=False)
class Cosine(Schedule):
    """(1 + cos(pi s)) / 2 with s the share of steps done, not below ``floor``.

    Raises:
        ValueError: for a floor outside [0, 1].
    """

    floor: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.floor <= 1:
            raise ValueError(f"expected a floor in [0, 1], got {self.floor!r}")

    def _factor(self, step: int, steps: int) -> float:
        return max(self.floor, (1 + math.cos(math.pi * step / steps)) / 2)
