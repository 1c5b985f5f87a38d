"""What ``progress=`` stands for."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from tqdm.auto import tqdm

from ._approximation import Progress


class Reporter:
    """A callback (steps done, objective) from ``progress=``: a tqdm bar, the user's function, or nothing."""

    def __init__(self, progress: Progress, total: int, what: str) -> None:
        self.progress, self.total, self.what = progress, total, what
        self.bar: Any = None

    def __enter__(self) -> Reporter:
        if self.progress is True:
            self.bar = tqdm(total=self.total, desc=self.what)
        return self

    def __call__(self, done: int, objective: float) -> None:
        """Say that ``done`` steps are done."""
        if self.bar is not None:
            self.bar.update(done - self.bar.n)
            self.bar.set_postfix(objective=f"{objective:.6g}")
        elif callable(self.progress) and not isinstance(self.progress, bool):
            self.progress(done, objective)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.close()
