"""Posteriors of neural networks: what exact identities, redundancy and width do, part by part.

    balancedness   identities against width; how far MCLMC, mean-field VI and ensembles miss them
    orbit_law      where each method puts a unit along its orbit of rescaling
    linear_grid    1-M-1 linear networks by exact Gibbs sampling, M = 1, 5, 100, three priors
    reallocation   how redundant units share one feature, against two Dirichlet laws
    conformity     marginals of one unit against the prior, against width, with the bound
    permuted_starts   chains from permuted copies of one trained network, from members trained apart, from the prior

    make study-bnn      (or python studies/bnn.py [--part NAME ...] [--short] [--workers 2] [--folder DIR])

Each cell of a part leaves a small file in DIR (build/bnn), so that a run that is stopped goes on from there. At full
length text and figure of each part are written to studies/results/bnn_NAME.txt and .svg; with `--short`, or CI in the
environment, they stay in DIR. About 25 CPU minutes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import shutil
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
PARTS = ("linear_grid", "orbit_law", "conformity", "reallocation", "balancedness", "permuted_starts")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be given again")
    parser.add_argument("--short", action="store_true", help="a look in a minute or two; nothing is kept in results")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "build" / "bnn", help="where cells are kept")
    options = parser.parse_args(arguments)
    short = options.short or bool(os.environ.get("CI"))
    torch.set_num_threads(1)
    for name in options.part or PARTS:
        module = importlib.import_module(f"bnn_parts.{name}")
        command = f"python studies/bnn.py --part {name}{' --short' if short else ''}"
        text = "\n".join(
            [f"$ {command}", "", (module.__doc__ or "").strip(), "", module.run(short, options.folder, options.workers),
             f"torch {torch.__version__}, {platform.machine()}, one thread a process", ""]
        )  # fmt: skip
        print(text, flush=True)
        (options.folder / f"bnn_{name}.txt").write_text(text, encoding="utf-8")
        if not short:
            for ending in ("txt", "svg"):
                shutil.copy(options.folder / f"bnn_{name}.{ending}", HERE / "results" / f"bnn_{name}.{ending}")


if __name__ == "__main__":
    main()
