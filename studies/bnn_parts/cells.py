"""What the parts share: cells that outlive a killed run, two processes, tables and pictures."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
Cell = Callable[..., dict[str, Any]]


def run_cells(compute: Cell, options: Sequence[dict[str, Any]], folder: Path, workers: int) -> list[dict[str, Any]]:
    """``compute(**option)`` for each, kept in files named after the option and the code that made them."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(compute, option, str(folder)) for option in options]
    if workers < 2:
        found = [_cell(job) for job in jobs]
    else:
        with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(_cell, jobs))
    return found


def _cell(job: tuple[Cell, dict[str, Any], str]) -> dict[str, Any]:
    compute, option, folder = job
    torch.set_num_threads(1)
    code = Path(sys.modules[compute.__module__].__file__ or "").read_bytes() + Path(__file__).read_bytes()
    name = compute.__module__.rsplit(".", 1)[-1]
    content = json.dumps(option, sort_keys=True).encode() + code
    path = Path(folder) / f"{name}-{hashlib.blake2b(content, digest_size=8).hexdigest()}.json"
    if not path.exists():
        started = time.process_time()
        outcome = {"option": option, **compute(**option)}
        outcome["cpu_seconds"] = time.process_time() - started
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(outcome), encoding="utf-8")
        partial.replace(path)
        words = ", ".join(f"{key} {value}" for key, value in option.items())
        print(f"  {name}: {words}: {outcome['cpu_seconds']:.0f} s of CPU time", file=sys.stderr, flush=True)
    return json.loads(path.read_text(encoding="utf-8"))


def cpu_line(found: Sequence[dict[str, Any]]) -> str:
    return f"{sum(one['cpu_seconds'] for one in found) / 60:.1f} CPU minutes"


def out_of(count: int, total: int) -> str:
    return f"{count} of {total}"


def usual_worst(tests: int) -> float:
    """The median of the largest of so many independent |z|."""
    from scipy import special

    return float(-special.ndtri((1 - 0.5 ** (1 / tests)) / 2))


def interval(mean: float, error: float, digits: int = 3) -> str:
    return "n/a" if not math.isfinite(error) else f"{mean:.{digits}f} +- {error:.{digits}f}"


def figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, Any]:
    """A figure whose svg is the same for the same content."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "bnn", "svg.fonttype": "path", "font.size": 9, "axes.grid": True,
                                "grid.alpha": 0.25, "axes.spines.top": False, "axes.spines.right": False})  # fmt: skip
    from matplotlib import pyplot

    return pyplot.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")


def save(picture: Any, path: Path) -> None:
    from matplotlib import pyplot

    picture.savefig(path, metadata={"Date": None})
    pyplot.close(picture)
