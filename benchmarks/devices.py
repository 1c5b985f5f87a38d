"""What the benchmarks with ``--device`` share: a clock that waits for the device, names of chip and processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from headlines import processor

HELP = "beside the CPU (one thread), measure on this device as well, cuda say, and print the ratio"


def clock(device: str) -> float:
    """Seconds of the clock once the device has done its work: on one thread of an idle machine, those of the CPU."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(work: Callable[[], Any], device: str, budget: float = 0.3, fewest: int = 3) -> float:
    """Median seconds of a piece of work, over as many runs as fit into the budget, after two that warm up."""
    work()
    begin = clock(device)
    work()
    rounds = max(fewest, min(300, int(budget / max(clock(device) - begin, 1e-9))))
    taken = []
    for _ in range(rounds):
        begin = clock(device)
        work()
        taken.append(clock(device) - begin)
    return median(taken)


def machine(device: str) -> str:
    """The chip, the processor and the version of torch."""
    chip = torch.cuda.get_device_name() if torch.device(device).type == "cuda" else device
    return f"{chip}, torch {torch.__version__.split('+')[0]}; CPU: one thread of {processor()}"
