"""What ``progress=`` stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm

Progress = bool | Callable[[int, float], None]


class reporter:
    """A callback from ``progress=``: a tqdm bar, the user's function, or nothing."""

    def __init__(self, progress: Progress, total: int) -> None:
        if not (isinstance(progress, bool) or callable(progress)):
            raise TypeError(f"expected progress as True, False or a function, got {progress!r}")
        self.progress, self.total = progress, total
        self.bar: Any = None

    def __enter__(self) -> Callable[[int, float], None]:
        if self.progress is True:
            self.bar = tqdm(total=self.total, desc="fit")
        return self.report

    def report(self, step: int, objective: float) -> None:
        if self.bar is not None:
            self.bar.update(1)
            self.bar.set_postfix(objective=f"{objective:.6g}")
        elif callable(self.progress) and not isinstance(self.progress, bool):
            self.progress(step, objective)

    def __exit__(self, *exc: Any) -> None:
        if self.bar is not None:
            self.bar.close()
