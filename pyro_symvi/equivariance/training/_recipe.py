"""Settings of a training run as values."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from ..._value import Value, positive_int


class Schedule(Value, ABC):
    """How the learning rate changes: ``rate(t)`` multiplies it, t from 0 at the first step to 1 at the end.

    To implement one, write a frozen dataclass with ``rate``.
    """

    @abstractmethod
    def rate(self, t: float) -> float:
        """Factor at the fraction ``t`` of all steps."""


@dataclass(frozen=True, eq=False, repr=False)
class Constant(Schedule):
    """The learning rate as it is."""

    def rate(self, t: float) -> float:
        """1."""
        return 1.0


@dataclass(frozen=True, eq=False, repr=False)
class Cosine(Schedule):
    """A linear rise, then half a cosine down to ``final``.

    Attributes:
        warm_up: fraction of the steps of the rise.
        final: factor at the end.

    Raises:
        ValueError: unless ``0 <= warm_up < 1`` and ``0 <= final <= 1``.
    """

    warm_up: float = 0.02
    final: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.warm_up < 1 or not 0 <= self.final <= 1:
            raise ValueError(f"expected 0 <= warm_up < 1 and 0 <= final <= 1, got {self.warm_up!r} and {self.final!r}")

    def rate(self, t: float) -> float:
        """Factor at the fraction ``t`` of all steps."""
        if t < self.warm_up:
            return max(t / self.warm_up, 0.01)
        u = (t - self.warm_up) / (1 - self.warm_up)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(u, 1.0)))


@dataclass(frozen=True, eq=False, repr=False)
class Recipe(Value):
    """Settings of :func:`train`: AdamW with gradients clipped to a norm.

    Attributes:
        epochs: passes over the data.
        batch_size: samples per step; a last batch that is smaller is used too.
        learning_rate: before the schedule.
        schedule: :class:`Cosine` or :class:`Constant`.
        weight_decay: decoupled (Loshchilov and Hutter, ICLR 2019); 0 is Adam.
        clip: largest norm of the gradient; inf for none.
        penalty_weight: factor of the penalty, where there is one.
        keep_best: give back the state of the epoch with the least validation loss, not the last one. A choice made on
            the validation data: measure errors on other data.
        seed: of batches, augmentation and dropout.

    Raises:
        TypeError: for anything but a schedule.
        ValueError: for a learning rate, clipping or weight decay out of range.
    """

    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 2e-3
    schedule: Schedule = field(default_factory=Cosine)
    weight_decay: float = 0.0
    clip: float = 1.0
    penalty_weight: float = 1.0
    keep_best: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        positive_int(self.epochs, "epochs")
        positive_int(self.batch_size, "batch_size")
        positive_int(self.seed, "seed", 0)
        if not isinstance(self.schedule, Schedule):
            raise TypeError(f"expected a schedule, got {self.schedule!r}; try Cosine() or Constant()")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise ValueError(f"expected a finite learning_rate > 0, got {self.learning_rate!r}")
        if not self.clip > 0 or not self.weight_decay >= 0:
            raise ValueError(f"expected clip > 0 and weight_decay >= 0, got {self.clip!r} and {self.weight_decay!r}")
