"""Does a mean-field guide end at a higher ELBO from a better point of the rescaling orbit? Paired seeds.

A perceptron 64-50-20-10 on 1,257 digits of scikit-learn, priors N(0, 0.3^2) on all weights and biases, Pyro's
AutoNormal with an initial scale of 0.01, Adam for a fixed number of steps on minibatches of 128 (one draw a step). Its
means start at three points of one orbit, so at one function:

    none    as the init left it
    l2      the point of least sum of squares (ENorm, Stock et al. 2019)
    path    path conditioning (Lebeurrier, Vayer and Gribonval 2026, arXiv 2602.19799)

Inits: "uniform" is that of PyTorch, "kaiming" Kaiming normal with biases of zero, "trained" the first after five epochs
of Adam. The scales of the guide begin at 0.01 in all coordinates, whatever the point: the means of the starts compute
one function, their likelihood terms differ a little by the noise. Before training l2 has the smallest divergence from
the prior by construction, since its scales are those of the others; that is no finding. What is asked is the end.

Reported per datum, in nats: ELBO, likelihood term (64 draws whose noise is kept for all runs) and divergence from the
prior (exact), with paired differences over seeds and 95 % intervals (Student and bootstrap; not adjusted for their
number), at the rate that is best on the other seeds, each start its own, and at a rate of 0.003. Last, the gain of
moving the trained guide to the best point of its orbit, which leaves the likelihood term as it is, and the comparison
of the starts after that move. The number of steps is fixed and small, so guides may be far from converged.

    make study-rescaling_elbo    (or python studies/rescaling_elbo.py [--seeds 10] [--short] [--workers 1]
                                  [--folder DIR])

Each init and start leaves a file in DIR (build/rescaling_elbo), so that a study that is stopped goes on from there. A
whole study writes rescaling_elbo.txt and rescaling_elbo.svg to studies/results; with --short (or CI in the environment)
or fewer seeds they stay in DIR. --short takes half a minute.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from pathlib import Path

import pyro
import torch
from bnn_parts import cells
from rescaling_elbo_parts import tables, training

HERE = Path(__file__).resolve().parent
RATES, STEPS = [0.003, 0.01, 0.03], 400


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="starts of the network, 3 or more")
    parser.add_argument("--short", action="store_true", help="the whole path in a minute; says nothing about starts")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "build" / "rescaling_elbo", help="where cells are")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.seeds < 3:
        parser.error(f"expected --seeds of at least 3, got {options.seeds}, because intervals are over seeds")
    short = options.short or bool(os.environ.get("CI"))
    seeds = [900, 901, 902] if short else list(range(options.seeds))
    wanted = [
        {
            "init": init, "method": method, "seeds": seeds,
            "rates": [tables.FIXED, 0.01] if short else RATES, "steps": 20 if short else STEPS,
        }
        for init in training.INITS
        for method in training.METHODS
    ]  # fmt: skip
    done = cells.run_cells(training.cell, wanted, options.folder, options.workers)
    found = tables.by_name(done)
    text = "\n".join(
        [f"$ python studies/rescaling_elbo.py {'--short' if short else f'--seeds {len(seeds)}'}",
         f"{len(seeds)} seeds, {wanted[0]['steps']} steps", "", tables.report(found), "",
         cells.cpu_line(done),
         f"torch {torch.__version__}, pyro {pyro.__version__}, {platform.machine()}, one thread a process", ""]
    )  # fmt: skip
    print(text, flush=True)
    (options.folder / "rescaling_elbo.txt").write_text(text, encoding="utf-8")
    tables.picture(found, options.folder / "rescaling_elbo.svg")
    if len(seeds) >= 10 and not short:
        for file in ("rescaling_elbo.txt", "rescaling_elbo.svg"):
            shutil.copy(options.folder / file, HERE / "results" / file)


if __name__ == "__main__":
    main()
