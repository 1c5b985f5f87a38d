"""What is seen during a training run, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch
from torch import Tensor


class TrainingError(RuntimeError):
    """A run that did not finish, raised on request."""


class TrainingStatus(Enum):
    """How a run ended; the value is what to do about it."""

    FINISHED = "nothing: all steps were taken"
    NOT_FINITE = (
        "the loss or its gradient was nan or inf, and the step was not taken: lower learning_rate, use a schedule with "
        "a warmup or a smaller gradient_clip; look at the images named in cause"
    )

    @property
    def remedy(self) -> str:
        """What to try."""
        return str(self.value)


@dataclass
class History:
    """What was seen on the way.

    Attributes:
        loss: mean of each batch, ``steps`` numbers.
        gradient_norm: before clipping.
        evaluations: for each step at which ``evaluate`` was called, what it returned.
        levels: the mean loss, on some pairs of the same kind, of three frames that know nothing of the images:
            ``constant`` (all places alike), ``one_place`` (every place sent to the same one) and ``position`` (the
            place in the picture, whatever is there). A loss at the lowest of them shows that nothing was learnt.
    """

    loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    evaluations: dict[int, dict[str, float]] = field(default_factory=dict)
    levels: dict[str, float] = field(default_factory=dict)

    def smoothed(self, window: int = 100) -> Tensor:
        """Means of the loss over consecutive windows, ``[steps // window]``, float64."""
        whole = len(self.loss) // window * window
        return torch.tensor(self.loss[:whole], dtype=torch.float64).reshape(-1, window).mean(-1)

    def state(self) -> dict[str, Any]:
        """As plain tensors and dictionaries."""
        return {
            "loss": torch.tensor(self.loss, dtype=torch.float64),
            "gradient_norm": torch.tensor(self.gradient_norm, dtype=torch.float64),
            "evaluations": {step: dict(values) for step, values in self.evaluations.items()},
            "levels": dict(self.levels),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> History:
        """What ``state`` gave."""
        return cls(
            state["loss"].tolist(),
            state["gradient_norm"].tolist(),
            {step: dict(values) for step, values in state["evaluations"].items()},
            dict(state["levels"]),
        )
