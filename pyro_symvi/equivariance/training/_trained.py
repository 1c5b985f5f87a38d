"""What a training run returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ._recipe import Recipe


@dataclass(frozen=True)
class TrainingHistory:
    """Numbers after each epoch; the first entry is before training.

    Attributes:
        epochs: ``[times]``, from 0.
        steps: gradient evaluations (batches) so far, ``[times]``.
        seconds, cpu_seconds: of training so far, by the clock and of this process, ``[times]``; validation and
            callbacks are left out.
        numbers: ``loss`` (mean over the epoch's batches as the parameters went along, augmented, in units of the
            targets' variances; nan before training), ``penalty``, ``validation`` (the same loss on held-out data), and
            ``rmse_NAME`` on held-out data in the units of each target; each ``[times]``.
    """

    epochs: Tensor
    steps: Tensor
    seconds: Tensor
    cpu_seconds: Tensor
    numbers: dict[str, Tensor]

    @staticmethod
    def of(rows: Sequence[dict[str, float]]) -> TrainingHistory:
        """From rows of numbers."""

        def column(name: str) -> Tensor:
            return torch.tensor([row.get(name, math.nan) for row in rows], dtype=torch.float64)

        apart = ("epoch", "steps", "seconds", "cpu_seconds")
        names = dict.fromkeys(name for row in rows for name in row if name not in apart)
        epochs, steps, seconds, cpu_seconds = map(column, apart)
        return TrainingHistory(epochs, steps, seconds, cpu_seconds, {name: column(name) for name in names})

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.numbers:
            raise KeyError(f"expected a number among {sorted(self.numbers)}, got {name!r}")
        return self.numbers[name]

    def __len__(self) -> int:
        return len(self.epochs)


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        model: in evaluation mode.
        history: of the run.
        recipe: its settings.
        epoch: whose state the model has: the last one, or with ``keep_best`` that of the least validation loss.
        scales: standard deviation of each target, by which the loss was weighted.
        stopped: why the run ended early; empty where it did not.
    """

    model: nn.Module = field(repr=False)
    history: TrainingHistory = field(repr=False)
    recipe: Recipe
    epoch: int
    scales: dict[str, float]
    stopped: str = ""
