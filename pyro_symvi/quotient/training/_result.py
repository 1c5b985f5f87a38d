"""What a training run leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import torch
from torch import Tensor


class TrainingError(RuntimeError):
    """A run that did not finish, raised on request."""


class TrainingStatus(Enum):
    """How a run ended; the value is what to do about it."""

    FINISHED = "nothing: all steps were taken"
    NOT_FINITE = (
        "the loss or its gradient was nan or inf, and the step was not taken: lower learning_rate, use a schedule with "
        "a warmup, a smaller clip of the loss or gradient_clip, or float64 weights; look at the data named in cause"
    )

    @property
    def remedy(self) -> str:
        """What to try."""
        return str(self.value)


@dataclass
class History:
    """What was seen on the way, as small arrays.

    Attributes:
        loss: mean of each batch, ``[steps]``.
        gradient_norm: before clipping, ``[steps]``.
        evaluations: for each step at which ``evaluate`` was called, what it returned.
    """

    loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    evaluations: dict[int, dict[str, float]] = field(default_factory=dict)

    def smoothed(self, window: int = 100) -> Tensor:
        """Means of the loss over consecutive windows, ``[steps // window]``, float64."""
        whole = len(self.loss) // window * window
        return torch.tensor(self.loss[:whole], dtype=torch.float64).reshape(-1, window).mean(-1)

    def state(self) -> dict[str, object]:
        """As plain tensors and dictionaries."""
        return {
            "loss": torch.tensor(self.loss, dtype=torch.float64),
            "gradient_norm": torch.tensor(self.gradient_norm, dtype=torch.float64),
            "evaluations": {step: dict(values) for step, values in self.evaluations.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, object]) -> History:
        """What ``state`` gave."""
        loss, norm, evaluations = state["loss"], state["gradient_norm"], state["evaluations"]
        if not (isinstance(loss, Tensor) and isinstance(norm, Tensor) and isinstance(evaluations, dict)):
            raise TypeError("expected tensors and a dictionary")
        return cls(loss.tolist(), norm.tolist(), evaluations)


@dataclass(frozen=True)
class TrainingResult:
    """A trained network, its average, and how the run went.

    Attributes:
        network: with the weights of the last step, in evaluation mode; the very object that was given.
        ema: a copy with the moving average of the weights, in evaluation mode: what samplers should use.
        history: losses and evaluations.
        steps: number of steps taken, those before a resumption included.
        status: how the run ended.
        cause: what was seen where it did not finish, else None.
    """

    network: torch.nn.Module
    ema: torch.nn.Module
    history: History
    steps: int
    status: TrainingStatus
    cause: str | None = None

    def checked(self) -> TrainingResult:
        """This result if all steps were taken.

        Raises:
            TrainingError: otherwise, with cause and remedies.
        """
        if self.status is TrainingStatus.FINISHED:
            return self
        raise TrainingError(
            f"expected training to finish, got {self.status.name} at step {self.steps}, because {self.cause}; "
            f"try: {self.status.remedy}"
        )
