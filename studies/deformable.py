"""Frames of symmetric deformable objects, learnt with and without their symmetry, on rendered images.

Two-arm figure: bilateral, its arms moving on their own, so that images are not symmetric. The left-right error is the
mean distance from v(u) = argmax_v <R Phi(u; I), Phi(v; I)>, sought in the same image, to the true partner of u, over
all pixels u of the figure whose partner is seen, in per cent of the figure's width; means over images never trained on.
Runs (loss: expected distance in cells; 48 x 48 pixels, frames in R^3 on 24 x 24 cells):

    symmetric   half of the pairs mirrored, R = diag(-1, 1, 1)
    plain       no pair mirrored: equivariance alone. The loss does not change under Phi -> Q Phi, Q in O(3); reported
                are the error as found, its mean over 16 random Q ("any gauge"), the error with A = Q^T R Q fitted to
                100 training images and their mirror images ("Procrustes"), and with any orthogonal A so fitted
    mirrored    as plain, the mirror images among the training images: the same data as ``symmetric``
    wrong       half of the pairs mirrored, R = diag(-1, -1, 1), a half turn

"articulation" is the share of the usual angles of shoulders and elbows: 0.4, where comparisons are made, and 1.

Flower: petals that bend on their own, all alike, the whole turned any way; each image of a pair is warped, with turns
up to 8 degrees for a quarter of the steps, then up to 60, so that petals often take one another's place; in between
the frame is turned by that of 200 random orthogonal maps under which its loss is least. Loss: likelihood, relaxed over
the group per pair by min or softmin, or not. The error is that of the next petal's place, as found with R_1 (either
way round) and with the orthogonal conjugate of R_1 that is the best for the test images by least squares on their true
places: a gift to all, owed to the loss without relaxation, which knows no coordinates. "warped copy": places found
again in a warped copy under the best R_h, without relaxation h = 1.

The recipe was chosen on seeds 900 and above. Primary comparisons, named before the run (ratios of errors, paired over
seeds, t and bootstrap intervals, p values by Holm): figure at 0.4, symmetric / plain in any gauge; symmetric / plain
with Procrustes; wrong / symmetric; flower, softmin / none and min / none, both with fitted maps. All else is
description. Thresholds of the plan: 3 % with the symmetric loss, 3 times below plain, better than Procrustes beyond the
seeds, wrong group visibly worse, min and softmin learn where none stalls.

    make study-deformable    (or python studies/deformable.py [--seeds 5] [--short] [--workers 1] [--folder DIR])

Each cell leaves a file in DIR (build/deformable), so that a study that is stopped goes on from there. A whole study
writes deformable.txt and deformable.svg to studies/results; with --short (or CI in the environment) or fewer seeds they
stay in DIR.
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
from deformable_parts import learning, pictures, tables

HERE = Path(__file__).resolve().parent
CALM, FULL = 0.4, 1.0
FIGURE = {"images": 500, "tests": 100, "steps": 500}
FLOWER = {"petals": 4, "images": 300, "tests": 60, "steps": 200}
SHORT = {"images": 16, "tests": 4, "steps": 2, "size": 24}
FILES = ("deformable.txt", "deformable.svg")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="runs an arm, 2 or more; fewer than 5 are a trial")
    parser.add_argument("--short", action="store_true", help="the whole path in half a minute; says nothing of frames")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "build" / "deformable", help="for cells")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.seeds < 2:
        parser.error(f"expected --seeds of at least 2, got {options.seeds}, because intervals are over seeds")
    short = options.short or bool(os.environ.get("CI"))
    whole = options.seeds >= 5 and not short
    seeds = list(range(options.seeds)) if whole else [900 + k for k in range(2 if short else options.seeds)]
    flowers = cells.run_cells(learning.flower_cell, flowers_wanted(seeds, short), options.folder, options.workers)
    figures = cells.run_cells(learning.figure_cell, figures_wanted(seeds, short), options.folder, options.workers)
    text = "\n".join(
        [f"$ python studies/deformable.py {'--short' if short else f'--seeds {len(seeds)}'}",
         f"{len(seeds)} seeds; figure {_words(figures[0])}; flower {_words(flowers[0])}", "",
         tables.figure_report(figures, CALM), "", tables.figure_report(figures, FULL), "",
         tables.flower_report(flowers), "", tables.comparisons(figures, flowers, CALM), "",
         tables.verdicts(figures, flowers, CALM), "", cells.cpu_line([*figures, *flowers]),
         f"torch {torch.__version__}, {platform.machine()}, one thread a process", ""]
    )  # fmt: skip
    print(text, flush=True)
    (options.folder / FILES[0]).write_text(text, encoding="utf-8")
    pictures.errors(figures, flowers, CALM, FULL, options.folder / FILES[1])
    if whole:
        for file in FILES:
            shutil.copy(options.folder / file, HERE / "results" / file)


def figures_wanted(seeds: list[int], short: bool) -> list[dict[str, Any]]:
    kinds = [(arm, CALM) for arm in tables.FIGURE_ARMS] + [("symmetric", FULL)]
    return [
        {"arm": arm, "articulation": articulation, "seed": seed, **FIGURE, **(SHORT if short else {})}
        for seed in seeds
        for arm, articulation in kinds
    ]


def flowers_wanted(seeds: list[int], short: bool) -> list[dict[str, Any]]:
    return [
        {"relaxation": name, "seed": seed, **FLOWER, **(SHORT if short else {})}
        for seed in seeds
        for name in tables.RELAXATIONS
    ]


def _words(cell: dict[str, Any]) -> str:
    option = cell["option"]
    return f"{option['steps']} steps of 16 pairs, {option['images']} images, {option['tests']} for tests"


if __name__ == "__main__":
    main()
