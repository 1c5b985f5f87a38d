"""Message passing for one unit against state evolution, along n/d: random, spectral and informed starts.

Data: y = sqrt(snr) sigma(w . x) + N(0, 1), inputs N(0, I_d), float32; sigma is b4 (even, no second Hermite coefficient:
noise sensitivity exponent 2) at snr 0.2 and 0.1, or abs (exponent 1) at snr 0.5. A seed is a data set with its w; all
ratios of a seed use the first rows of one x. `gamp` without damping, started

    random     a random direction with the squared length 1/d that it deserves
    spectral   the optimal spectral estimate, with the length and the messages that theory gives it
    informed   overlap 0.9 with w: the end of the informed branch, whether it can be found or not

Reported: squared cosine with w at the end, beside the stable fixed point that state evolution predicts (the smallest
for random and spectral starts, the largest for the informed one), 95 % t intervals of means over seeds; how many seeds
go beyond half of the informed overlap; the spectral estimate itself beside its prediction; the course of the informed
start against state evolution.

Predictions hold as d grows at fixed n/d. Overlaps of random and spectral starts near a threshold are spread over a
window that shrinks slowly with d, and are no test of it: read them far from the thresholds, and their trend in d.

    make study-multiindex_gamp    (or python studies/multiindex_gamp.py [--seeds 8] [--device cpu] [--short]
                                   [--workers 1] [--folder DIR])

On a CPU d = 1,000 (some six CPU minutes with 8 seeds, 1 GB). `--device cuda` runs d = 1,000 and 4,000 at more ratios
(some 10 GB), 8 seeds by default, in a few minutes. Each seed leaves a file in DIR (build/multiindex_gamp), and the text
is written anew after each round of seeds, so that a study that is stopped goes on from there. A whole study on a GPU
writes multiindex_gamp.txt and .svg to studies/results, one on a CPU multiindex_gamp_cpu.txt and .svg; with --short (or
CI in the environment) or fewer seeds they stay in DIR. --short takes 20 seconds.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import torch
from bnn_parts import cells
from multiindex_parts import passing, passing_tables

HERE = Path(__file__).resolve().parent
CHANNELS = {
    ("b4", 0.2): [8.0, 10.0, 11.0, 12.0, 13.0, 14.0, 16.0, 18.0, 20.0, 22.0, 24.0, 28.0, 36.0],
    ("b4", 0.1): [14.0, 18.0, 20.0, 22.0, 24.0, 26.0, 32.0, 45.0, 60.0, 66.0, 72.0, 80.0, 100.0],
    ("abs", 0.5): [0.7, 1.0, 1.2, 1.4, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0],
}
CPU_CHANNELS = {
    ("b4", 0.2): [8.0, 10.0, 12.0, 14.0, 18.0, 22.0, 28.0, 36.0],
    ("b4", 0.1): [14.0, 20.0, 24.0, 32.0, 60.0, 80.0],
    ("abs", 0.5): [0.7, 1.0, 1.4, 2.0, 3.0, 4.0, 7.0],
}
SHORT_CHANNELS = {("b4", 0.2): [8.0, 14.0], ("b4", 0.1): [20.0], ("abs", 0.5): [1.0, 2.0, 4.0]}
"""Ratios n / d of each activation and signal-to-noise ratio."""


def wanted(device: str, short: bool, seeds: int) -> list[dict[str, Any]]:
    """The options of all cells: seeds outermost, so that early results cover all channels."""
    on_gpu = device != "cpu"
    channels = SHORT_CHANNELS if short else CHANNELS if on_gpu else CPU_CHANNELS
    dims = [200] if short else [1000, 4000] if on_gpu else [1000]
    return [
        {
            "activation": activation, "snr": snr, "ratios": ratios, "dim": dim, "seed": seed,
            "iterations": 20 if short else 100 if on_gpu else 60, "device": device,
        }
        for seed in range(seeds)
        for dim in dims
        for (activation, snr), ratios in channels.items()
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="data sets, 3 or more")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for d up to 4,000")
    parser.add_argument("--short", action="store_true", help="the whole path in 20 s; says nothing about thresholds")
    parser.add_argument("--workers", type=int, default=1, help="processes, on a CPU")
    parser.add_argument(
        "--folder", type=Path, default=HERE.parent / "build" / "multiindex_gamp", help="where cells are"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")  # no TF32: GAMP subtracts nearly equal numbers
    short = options.short or bool(os.environ.get("CI"))
    seeds = 3 if short else options.seeds
    if seeds < 3:
        parser.error(f"expected --seeds of at least 3, got {seeds}, because intervals are over seeds")
    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error(f"expected a GPU for --device {options.device}, got none; try --device cpu")
    todo = wanted(options.device, short, seeds)
    size = 1 if options.device != "cpu" else options.workers
    command = f"$ python studies/multiindex_gamp.py --device {options.device}" + (" --short" if short else "")
    done: list[dict[str, Any]] = []
    round_size = len(todo) // seeds
    for first in range(0, len(todo), round_size):
        done += cells.run_cells(passing.cell, todo[first : first + round_size], options.folder, size)
        text = write(done, options.folder, f"{command} --seeds {seeds}", draw=first == 0 or len(done) == len(todo))
    print(text, flush=True)
    if seeds >= 8 and not short:
        name = "multiindex_gamp" if options.device != "cpu" else "multiindex_gamp_cpu"
        for end in (".txt", ".svg"):
            shutil.copy(options.folder / f"multiindex_gamp{end}", HERE / "results" / f"{name}{end}")


def write(done: list[dict[str, Any]], folder: Path, command: str, *, draw: bool) -> str:
    """Text, and the picture, of the cells so far, into the folder."""
    seconds = sum(one["seconds"] for one in done)
    memory = max((one.get("gigabytes", 0.0) for one in done), default=0.0)
    machine = torch.cuda.get_device_name() if memory else platform.machine()
    text = "\n".join(
        [command, "", passing_tables.report(done), f"{cells.cpu_line(done)}, {seconds / 60:.1f} minutes in all cells",
         f"torch {torch.__version__}, {machine}, " + (f"{memory:.1f} GB at most" if memory else "one thread a process"),
         ""]
    )  # fmt: skip
    (folder / "multiindex_gamp.txt").write_text(text, encoding="utf-8")
    if draw:
        passing_tables.picture(done, folder / "multiindex_gamp.svg")
    return text


if __name__ == "__main__":
    main()
