"""What a run of a sampler is reduced to, and how times are taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CLOCK = time.process_time
"""CPU seconds of the process: those of the clock on an idle machine, and free of the neighbours on a busy one."""

WALL = time.perf_counter
"""For compilation alone, part of which other processes do."""


@dataclass(frozen=True)
class Run:
    """One sampler on one number of chains.

    Attributes:
        label: what ran.
        chains: how many.
        gradients: evaluated while draws were taken, over all chains.
        seconds: of taking them; without compilation, without warm-up.
        compilation, warmup: seconds.
        means: predicted means ``[points, chains, draws]``.
        note: in words.
    """

    label: str
    chains: int
    gradients: float
    seconds: float
    compilation: float
    warmup: float
    means: np.ndarray
    note: str = ""


def calls_per_second(function: Callable[[], object], rounds: int = 15, least: float = 0.05) -> float:
    """Of the best of ``rounds``, each of as many calls as take ``least`` seconds."""
    function()
    begin, count = CLOCK(), 0
    while CLOCK() - begin < least:
        function()
        count += 1
    best = float("inf")
    for _ in range(rounds):
        begin = CLOCK()
        for _ in range(count):
            function()
        best = min(best, (CLOCK() - begin) / count)
    return 1 / best
