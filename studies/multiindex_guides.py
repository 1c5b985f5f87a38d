"""Tied guides against orbit mixtures of a committee machine, and the curvature at the tied point, along n/d.

Data: y = p^{-1/2} sum_k sigma(w_k . x) + N(0, 0.5), p = 4 orthonormal w_k, inputs N(0, I_d), d = 50 (b4 also 100);
sigma is b4 (even, no second Hermite coefficient: noise sensitivity exponent 2), abs (even, exponent 1) or relu. Model:
`committee_machine`, the same sigma and noise, weights N(0, 1/d). Guides: independent normal weights, fitted by Adam on
the exact bound `committee_elbo` (no draws), then put in an orbit mixture over all permutations of units (relu) or all
signed ones (b4, abs); its ELBO is the component's and the gain, by Monte Carlo. A seed is a data set with its teacher.
Starts:

    centred   all units alike with m = 0 and kept so: the fixed points of the signed permutations (b4, abs)
    tied      all units alike, and kept so (`TiedGuide`)
    broken    from near m = 0, no longer tied: a tenth of a draw of the prior, scales of the prior
    random    a draw of the prior
    spectral  p top eigenvectors of the optimal spectral matrix, turned at random in their span
    informed  the teacher

Reported: ELBO per datum (nats), squared error of the predictive mean on 2,000 fresh inputs (the signal has variance 1,
so that no prediction at all is an error of 1), overlap q_d with the teacher modulo the group, how often q_d > 0.8.

Primary comparisons, named after a trial on other seeds and before the run (ELBO of mixtures per datum and error, paired
over seeds, t and bootstrap intervals, p values by Holm): b4 at n/d = 6, broken - tied; b4 at 16, informed - spectral;
b4 at 63, spectral - tied; abs at 12, spectral - tied; relu at 16, spectral - tied. All else is description.

Second, a hypothesis: does the lowest eigenvalue of the loss's Hessian at the fitted tied point, in the standard
representation of S_p, change sign near the algorithmic threshold, and does its eigenvector then point at the teacher?
At m = 0 the mean-field Hessian is 1 + (1/d) sum_i T_i x_i x_i^T with T affine in y (`standard_curvature`), so its edge
and outlier are those of Marchenko and Pastur and of Baik, Ben Arous and Peche; where the first is below zero depends on
noise alone, and an outlier needs E[sigma (z^2 - 1)] != 0, about at n/d = p (1 + Delta) / E[sigma (z^2 - 1)]^2 (our
derivation, weak signals). d = 50, 100, 200.

Thresholds are asymptotic statements on optimal inference with known sigma and noise; mean-field guides may miss them.

    make study-multiindex_guides    (or python studies/multiindex_guides.py [--seeds 12] [--short] [--workers 1]
                                     [--folder DIR])

Each cell leaves a file in DIR (build/multiindex_guides), so that a study that is stopped goes on from there. A whole
study writes multiindex_guides.txt, multiindex_guides.svg and multiindex_guides_curvature.svg to studies/results; with
--short (or CI in the environment) or fewer seeds they stay in DIR. --short takes half a minute.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import pyro
import torch
from bnn_parts import cells
from multiindex_parts import curvature, learning, pictures, starts, tables

from pyro_symvi.multiindex import committee_thresholds, noise_sensitivity

HERE = Path(__file__).resolve().parent
UNITS, DIM, STEPS = 4, 50, 500
RATIOS = {
    "b4": [6.0, 12.0, 16.0, 21.0, 30.0, 42.0, 63.0],
    "abs": [1.5, 2.5, 3.3, 5.0, 8.0, 12.0, 24.0],
    "relu": [1.0, 3.0, 6.6, 10.0, 16.0, 25.0],
}
LARGER = {"b4": [21.0, 42.0, 63.0]}
"""Also at twice the dimension."""
CURVATURE_DIMS = [50, 100, 200]
CURVATURE_RATIOS = [0.04, 0.08, 0.15, 0.3, 0.5, 0.8, 1.2, 2.0, 4.0, 8.0, 16.0, 32.0]
FILES = ("multiindex_guides.txt", "multiindex_guides.svg", "multiindex_guides_curvature.svg")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12, help="data sets a cell, 3 or more; fewer than 10 are a trial")
    parser.add_argument("--short", action="store_true", help="the whole path in a minute; says nothing of guides")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "build" / "multiindex_guides", help="for cells")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.seeds < 3:
        parser.error(f"expected --seeds of at least 3, got {options.seeds}, because intervals are over seeds")
    short = options.short or bool(os.environ.get("CI"))
    whole = options.seeds >= 10 and not short
    seeds = list(range(options.seeds)) if whole else [900 + k for k in range(3 if short else options.seeds)]
    fits = cells.run_cells(learning.cell, guides_wanted(seeds, short), options.folder, options.workers)
    bent = cells.run_cells(curvature.cell, curvature_wanted(seeds, short), options.folder, options.workers)
    checked = [{"activation": name, "units": UNITS, "dim": DIM, "ratio": 6.0, "seed": seeds[0]} for name in RATIOS]
    checks = cells.run_cells(curvature.against_lanczos, checked, options.folder, options.workers)
    known = {name: thresholds(name) for name in RATIOS}
    found, curves = tables.by_name(fits), tables.curves(bent)
    text = "\n".join(
        [f"$ python studies/multiindex_guides.py {'--short' if short else f'--seeds {len(seeds)}'}",
         f"{len(seeds)} seeds, {fits[0]['option']['steps']} steps of Adam", "", tables.report(found, known),
         tables.curvature_report(curves, checks, known), "", cells.cpu_line([*fits, *bent, *checks]),
         f"torch {torch.__version__}, pyro {pyro.__version__}, {platform.machine()}, one thread a process", ""]
    )  # fmt: skip
    print(text, flush=True)
    (options.folder / FILES[0]).write_text(text, encoding="utf-8")
    pictures.guides(found, known, DIM, options.folder / FILES[1])
    pictures.curvature(curves, known, options.folder / FILES[2])
    if whole:
        for file in FILES:
            shutil.copy(options.folder / file, HERE / "results" / file)


def guides_wanted(seeds: list[int], short: bool) -> list[dict[str, Any]]:
    base = {"units": UNITS, "seeds": seeds, "steps": 30 if short else STEPS}
    wanted = [
        {"activation": name, "dim": DIM, "ratio": ratio, "kinds": list(starts.STARTS[name == "relu" :]), **base}
        for name, ratios in RATIOS.items()
        for ratio in (ratios[:2] if short else ratios)
    ]
    return wanted + [
        {"activation": name, "dim": 2 * DIM, "ratio": ratio, "kinds": list(starts.STARTS[1:]), **base}
        for name, ratios in LARGER.items()
        for ratio in ratios
        if not short
    ]


def curvature_wanted(seeds: list[int], short: bool) -> list[dict[str, Any]]:
    return [
        {
            "activation": name, "units": UNITS, "dim": dim, "seed": seed,
            "ratios": CURVATURE_RATIOS[:10:3] if short else CURVATURE_RATIOS,
        }
        for name in RATIOS
        for dim in (CURVATURE_DIMS[:1] if short else CURVATURE_DIMS)
        for seed in seeds
    ]  # fmt: skip


def thresholds(activation: str) -> dict[str, float | None]:
    """In n/d: of optimal inference (an estimate), of message passing, and where the tied Hessian shows the signal."""
    optimal = committee_thresholds(activation, UNITS, starts.NOISE)
    sensitivity = noise_sensitivity(activation)
    even = sensitivity.parity == "even" and sensitivity.exponent == 1
    signal = UNITS * (1 + starts.NOISE) / sensitivity.coefficient**2 if even else None
    return {"information": optimal.information, "algorithmic": optimal.algorithmic, "signal": signal}


if __name__ == "__main__":
    main()
