"""What do augmentation and a minimal bias teach at equal training time? Two models, three tasks, paired seeds.

    molecules      PointCloudTransformer on conformers: MMFF94 energy, and dipole (needs the extra [molecules])
    octupole       PointNet on decorated clouds: a tensor of degree 3
    pseudoscalar   PointNet on decorated clouds: a number that changes sign in the mirror

Regimes: no augmentation; augmentation with O(3); augmentation with harmonics as input features, with a tensor-basis
head, with both. Equal cost means equal CPU time of training: epochs are divided by the cost of a step in the regime,
measured once by --costs (kept in `equivariance_parts/learning.py`), so a regime with dearer steps has fewer gradient
evaluations; both are reported. On one seed all regimes have the same data, split, orientations of held-out samples
and seed of the parameters (equal parameters only where the architecture is the same); batches and augmentation are
drawn apart. Test errors are exact averages over orientations and mirror images: RMSE^2 = RMSE[E z]^2 + A^2.

    make study-equivariance      (or python studies/equivariance.py [--only TASK ...] [--seeds 5] [--quick]
                                  [--workers 1] [--folder DIR] [--costs])

Each run leaves a small file in DIR (build/equivariance), so that a study that is stopped goes on from there. At full
length text and figures are written to studies/results/equivariance_TASK.txt, .svg and _spectra.svg; with --quick, or
CI in the environment, they stay in DIR. About 30 CPU minutes; --quick takes under one.
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
from equivariance_parts import learning, pictures, tables

HERE = Path(__file__).resolve().parent


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(learning.TASKS), help="only this; may be given again")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each regime, 2 or more")
    parser.add_argument("--quick", action="store_true", help="the whole path in a minute; says nothing about models")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument(
        "--folder", type=Path, default=HERE.parent / "build" / "equivariance", help="where runs are kept"
    )
    parser.add_argument("--costs", action="store_true", help="only measure the cost of a step in each regime")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.costs:
        for task in options.only or learning.TASKS:
            words = ", ".join(f"{regime} {value:.2f}" for regime, value in learning.costs(task).items())
            print(f"{task}: {words}", flush=True)
        return
    if options.seeds < 2:
        parser.error(f"expected --seeds of at least 2, got {options.seeds}, because intervals are over seeds")
    quick = options.quick or bool(os.environ.get("CI"))
    seeds = min(options.seeds, 2) if quick else options.seeds
    for task in options.only or learning.TASKS:
        try:
            found = cells.run_cells(
                learning.cell,
                [
                    {"task": task, "regime": regime, "seed": seed, "quick": quick}
                    for seed in range(seeds)
                    for regime in learning.REGIMES
                ],
                options.folder,
                options.workers,
            )
        except ImportError as error:
            print(f"{task} left out: {error}", file=sys.stderr, flush=True)
            continue
        command = f"python studies/equivariance.py --only {task} --seeds {seeds}{' --quick' if quick else ''}"
        text = "\n".join(
            [f"$ {command}", "", tables.report(task, found),
             f"{cells.cpu_line(found)} in all, tests and spectra included",
             f"torch {torch.__version__}, {platform.machine()}, one thread a process", ""]
        )  # fmt: skip
        print(text, flush=True)
        name = f"equivariance_{task}"
        (options.folder / f"{name}.txt").write_text(text, encoding="utf-8")
        pictures.curves(task, found, options.folder / f"{name}.svg")
        pictures.spectra(task, found, options.folder / f"{name}_spectra.svg")
        if not quick:
            for file in (f"{name}.txt", f"{name}.svg", f"{name}_spectra.svg"):
                shutil.copy(options.folder / file, HERE / "results" / file)


if __name__ == "__main__":
    main()
