"""What ``progress=`` of a training loop stands for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


class StepBar:
    """A tqdm bar with the mean loss of the last steps, the user's function of step and loss, or nothing.

    A context that gives a function to call after each step with the number of steps done and the loss.
    """

    def __init__(self, progress: bool | Callable[[int, float], None], total: int, done: int) -> None:
        if not (isinstance(progress, bool) or callable(progress)):
            raise TypeError(f"expected progress as True, False or a function, got {progress!r}")
        self.progress, self.total, self.done = progress, total, done
        self.bar: Any = None
        self.mean = math.nan

    def __enter__(self) -> Callable[[int, float], None]:
        if self.progress is True:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=self.total, initial=self.done, desc="train", unit="step")
        return self._report

    def _report(self, step: int, loss: float) -> None:
        if self.bar is not None:
            self.mean = loss if math.isnan(self.mean) else 0.98 * self.mean + 0.02 * loss
            self.bar.update(1)
            self.bar.set_postfix(loss=f"{self.mean:.4g}", refresh=False)
        elif callable(self.progress) and not isinstance(self.progress, bool):
            self.progress(step, loss)

    def __exit__(self, *exc: object) -> None:
        if self.bar is not None:
            self.bar.close()
