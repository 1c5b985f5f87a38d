"""What is told of a run while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tqdm.auto import tqdm

from ._block import Block
from ._plan import Plan


@dataclass(frozen=True)
class BlockReport:
    """One finished block of one pack: what ``progress=function`` is called with."""

    pack: int
    block: int
    blocks: int
    """Blocks a pack, in all."""
    draws: int
    """Draws a chain that this pack has by now."""
    acceptance: float
    energy_error: float
    """Root mean square over its steps."""
    divergences: int
    """Steps, over its chains, with an infinite energy error or one beyond 1000."""
    seconds: float


Progress = bool | Callable[[BlockReport], None]


class Bar:
    """A tqdm bar over the steps of this process's packs, the user's function, or nothing."""

    def __init__(self, progress: Progress, plan: Plan, packs: int, done: int) -> None:
        if not (isinstance(progress, bool) or callable(progress)):
            raise TypeError(f"expected progress as True, False or a function, got {progress!r}")
        self._progress, self._plan, self._packs, self._done = progress, plan, packs, done
        self._bar: Any = None
        self._warm = 0
        self._divergences = 0

    def __enter__(self) -> Bar:
        if self._progress is True:
            total = self._packs * (self._plan.warmup + self._plan.draws * self._plan.thin)
            self._bar = tqdm(total=total, initial=self._done, desc="sample", unit="step")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def warm_up(self, done: int) -> None:
        """So many steps of the present pack's warm-up are done; 0 begins one."""
        done = min(done, self._plan.warmup)
        if self._bar is not None:
            self._bar.set_description("warm up", refresh=False)
            self._bar.update(max(done - self._warm, 0))
        self._warm = done

    def block(self, pack: int, block: int, result: Block) -> None:
        """A block is done."""
        self._divergences += result.divergences
        draws = result.theta.shape[1]
        rms = result.squared_error**0.5
        if self._bar is not None:
            self._bar.set_description("sample", refresh=False)
            self._bar.set_postfix(
                acceptance=f"{result.acceptance:.3f}",
                energy_error=f"{rms:.3g}",
                divergences=self._divergences,
                refresh=False,
            )
            self._bar.update(draws * self._plan.thin)
        elif callable(self._progress):
            so_far = block * self._plan.block + draws
            report = BlockReport(
                pack, block, self._plan.blocks, so_far, result.acceptance, rms, result.divergences, result.seconds
            )
            self._progress(report)
